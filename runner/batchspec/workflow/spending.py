"""Where the money went: real usage of everything collected, and what could be saved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

from batchspec.inputs.engine import Engine
from batchspec.outputs.hindsight import Hindsight
from batchspec.outputs.spending import (
    Advice,
    Asked,
    Group,
    InFlight,
    Spending,
    lengths,
    spending,
)
from batchspec.spec.project import LoadedSpec
from batchspec.state.ledger import LedgerReader
from batchspec.state.model import OPEN, Submission
from batchspec.workflow.advice import Evidence, advise
from batchspec.workflow.cacheable import cacheable
from batchspec.workflow.context import Session
from batchspec.workflow.derive import answer_files
from batchspec.workflow.hindsight import hindsights


def read_spending(session: Session, specs: Sequence[LoadedSpec], *, everything: bool) -> Spending:
    """Sum up what the answers of the given specs cost.

    Args:
        session: The session; the API is not called.
        specs: The specs that advice is given for.
        everything: Count adopted batches and specs that are gone, too.

    Raises:
        StateFailure: the ledger or a segment is damaged.
        DiskFailure: the cache of answers could not be rebuilt.
    """
    reader = session.reader()
    if reader is None:
        return _report(session, (), InFlight())
    names = {loaded.spec.name for loaded in specs}
    counted = [s for s in reader.submissions() if everything or s.spec in names]
    asked = asked_of(session, reader, counted, specs)
    with session.engine() as engine:
        groups = spending(engine, asked, session.catalogue)
        advice = _advice(session, engine, reader, asked, specs)
        told = hindsights(session, engine, reader, names)
    return _report(session, groups, _in_flight(counted), advice, told)


def _report(
    session: Session,
    groups: tuple[Group, ...],
    in_flight: InFlight,
    advice: tuple[Advice, ...] = (),
    told: tuple[Hindsight, ...] = (),
) -> Spending:
    environment = session.project.environment
    return Spending(
        groups=groups,
        in_flight=in_flight,
        advice=advice,
        prices_as_of=session.catalogue.as_of,
        emulated=session.emulated,
        hindsights=told,
        environment=None if environment is None else environment.name,
    )


def asked_of(
    session: Session,
    reader: LedgerReader,
    submissions: Sequence[Submission],
    specs: Sequence[LoadedSpec],
) -> tuple[Asked, ...]:
    """Return the collected submissions, after rebuilding what the cache lacks."""
    answer_files(session, submissions)
    models = {loaded.spec.name: loaded.spec.model for loaded in specs}
    labels = reader.key_labels()
    return tuple(
        Asked(
            tag=submission.tag,
            path=session.answers_path(submission.tag),
            spec=submission.spec,
            model=models.get(submission.spec, ""),
            day=(submission.created_at or _EPOCH).astimezone(dt.UTC).date(),
            key=labels.get(submission.tag, ""),
        )
        for submission in submissions
        if submission.results is not None
    )


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _in_flight(submissions: Sequence[Submission]) -> InFlight:
    waiting = [s for s in submissions if s.state in OPEN]
    most = [None if s.usd_max is None else Decimal(s.usd_max) for s in waiting]
    known = [usd for usd in most if usd is not None]
    return InFlight(
        requests=sum(submission.requests for submission in waiting),
        usd_max=sum(known, Decimal(0)) if len(known) == len(most) else None,
    )


def _advice(
    session: Session,
    engine: Engine,
    reader: LedgerReader,
    asked: Sequence[Asked],
    specs: Sequence[LoadedSpec],
) -> tuple[Advice, ...]:
    found = lengths(engine, asked, session.catalogue.prices)
    evidence = Evidence(engine=engine, asked=asked, catalogue=session.catalogue)
    own = (
        advise(
            evidence,
            loaded.spec,
            found[loaded.spec.name],
            cacheable(session, engine, loaded, reader),
        )
        for loaded in specs
        if loaded.spec.name in found
    )
    tags = {one.tag for one in asked}
    submissions = [one for one in reader.submissions() if one.tag in tags]
    return (*(advice for some in own for advice in some), *evidence.hours(submissions))
