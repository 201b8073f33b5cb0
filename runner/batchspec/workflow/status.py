"""What is in flight, read from the ledger alone; never blocks and never calls the API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from batchspec.api.port import RETENTION
from batchspec.events import Expectation, Progress
from batchspec.plan.model import Outcome
from batchspec.records import frozen
from batchspec.spec.project import LoadedSpec
from batchspec.state.ledger import LedgerReader
from batchspec.state.model import OPEN, Submission, SubmissionState
from batchspec.workflow.context import Session
from batchspec.workflow.expectation import Experience
from batchspec.workflow.tenancy import lease_of

ENDS_WITHIN = dt.timedelta(hours=24)
"""A batch ends at the latest so long after its creation (fact sheet §1.9)."""
WARN_BEFORE = dt.timedelta(days=8)
"""Results not collected 21 days after creation are named as about to disappear."""


@frozen
class SubmissionStatus:
    """One submission that is not over."""

    tag: str
    spec: str
    state: SubmissionState
    batch_id: str | None
    requests: int
    created_at: dt.datetime | None
    ended_at: dt.datetime | None
    expires_at: dt.datetime | None
    """When the batch ends at the latest."""
    results_until: dt.datetime | None
    """When its results disappear from the API."""
    results_at_risk: bool
    """They disappear within `WARN_BEFORE`."""
    detail: str
    age: float | None
    """Seconds since its creation."""
    expected: Expectation | None
    """How much longer it should take; None: nothing tells."""


@frozen
class StatusReport:
    """The state of work, for `batchspec status`."""

    submissions: tuple[SubmissionStatus, ...]
    collected: int
    """Submissions that are collected."""
    answers: dict[Outcome, int]
    """Questions known to the state, by outcome."""
    emulated: bool
    environment: str | None
    """The environment whose state this is."""
    serial: int
    waiting: dict[str, tuple[str, ...]]
    """Specs that wait for others to be answered, by name, with those they wait for."""
    progress: Progress | None
    """How far the work has come that what is in flight belongs to; None: nothing is in flight."""


def read_status(
    session: Session, specs: Sequence[LoadedSpec], *, everything: bool = False
) -> StatusReport:
    """Return what is in flight for the given specs, and for adopted batches.

    With ``everything``, also for specs that are gone or cannot be read any more.

    Raises:
        StateFailure: when the ledger is damaged or newer than this program.
    """
    environment = session.project.environment
    name = None if environment is None else environment.name
    reader = session.reader()
    if reader is None:
        return StatusReport(
            submissions=(),
            collected=0,
            answers={},
            emulated=session.emulated,
            environment=name,
            serial=0,
            waiting={},
            progress=None,
        )
    names = {loaded.spec.name for loaded in specs}
    now = session.clock.now()
    rows = [s for s in reader.submissions() if everything or s.spec in names or not s.spec]
    models = {loaded.spec.name: loaded.spec.model for loaded in specs}
    experience = Experience.of(rows, models)
    return StatusReport(
        submissions=tuple(_status(s, now, experience) for s in rows if s.state in OPEN),
        collected=sum(s.state is SubmissionState.COLLECTED for s in rows),
        answers=_answers(reader, None if everything else names | {""}),
        emulated=session.emulated,
        environment=name,
        serial=reader.serial,
        waiting=_waiting(specs, {s.spec for s in rows if s.state in OPEN}),
        progress=_progress(session, reader, specs, rows),
    )


def _progress(
    session: Session,
    reader: LedgerReader,
    specs: Sequence[LoadedSpec],
    rows: Sequence[Submission],
) -> Progress | None:
    in_flight = {s.tag for s in rows if s.state in OPEN}
    if not in_flight:
        return None
    # DuckDB and Arrow, which sum up what was answered so far.
    from batchspec.workflow.progress import Meter, began_at, behind_of, work_of  # noqa: PLC0415

    tags = work_of(reader, in_flight) & {s.tag for s in rows}
    began = began_at(reader, tags)
    elapsed = 0.0 if began is None else (session.clock.now() - began).total_seconds()
    behind = behind_of(reader, tags) if lease_of(session).held else ()
    names = {s.spec for s in rows} | {loaded.spec.name for loaded in specs}
    unsent = [one for one in behind if one.spec in names]
    return Meter(session=session, specs=specs).progress(reader, tags, max(0.0, elapsed), unsent)


def _waiting(specs: Sequence[LoadedSpec], busy: set[str]) -> dict[str, tuple[str, ...]]:
    """Return the specs that need one which is in flight or waits itself."""
    waiting: dict[str, tuple[str, ...]] = {}
    for loaded in specs:  # each after those it needs
        names = tuple(name for name in loaded.spec.needs if name in busy or name in waiting)
        if names:
            waiting[loaded.spec.name] = names
    return waiting


def _answers(reader: LedgerReader, names: Collection[str] | None) -> dict[Outcome, int]:
    sums: dict[Outcome, int] = {}
    for spec, outcomes in reader.totals().items():
        for outcome, count in outcomes.items() if names is None or spec in names else ():
            sums[outcome] = sums.get(outcome, 0) + count
    return sums


def _status(submission: Submission, now: dt.datetime, experience: Experience) -> SubmissionStatus:
    created = submission.created_at
    until = None if created is None else created + RETENTION
    return SubmissionStatus(
        tag=submission.tag,
        spec=submission.spec,
        state=submission.state,
        batch_id=submission.batch_id,
        requests=submission.requests,
        created_at=created,
        ended_at=submission.ended_at,
        expires_at=None if created is None else created + ENDS_WITHIN,
        results_until=until,
        results_at_risk=until is not None and until - now < WARN_BEFORE,
        detail=submission.detail,
        age=None if created is None else max(0.0, (now - created).total_seconds()),
        expected=None if submission.ended_at is not None else experience.left(submission, now),
    )
