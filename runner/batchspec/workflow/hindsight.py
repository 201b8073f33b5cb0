"""Finding what earlier plans expected, so that they can be compared with their answers."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from batchspec.errors import DiskFailure, StateFailure
from batchspec.inputs.engine import Engine
from batchspec.outputs.hindsight import Hindsight, measure_plan
from batchspec.records import frozen
from batchspec.state.history import Expectation
from batchspec.state.ledger import LedgerReader
from batchspec.state.model import Submission
from batchspec.state.runs import read_history
from batchspec.workflow.context import Session
from batchspec.workflow.derive import answer_files


@frozen
class _Answered:
    """A plan of one spec whose submissions are all collected."""

    expected: Expectation
    submissions: tuple[Submission, ...]


def hindsights(
    session: Session, engine: Engine, reader: LedgerReader, specs: Collection[str]
) -> tuple[Hindsight, ...]:
    """Return how far the newest answered plan of each spec was off; damaged state tells nothing."""
    found = []
    for name, answered in _newest(session, reader, set(specs)):
        try:
            paths = answer_files(session, answered.submissions)
            prices = session.catalogue.prices(answered.expected.model)
            told = measure_plan(engine, paths, name, answered.expected, prices)
        except (StateFailure, DiskFailure):
            continue
        if told is not None:
            found.append(told)
    return tuple(sorted(found, key=lambda one: one.spec))


def _newest(
    session: Session, reader: LedgerReader, wanted: set[str]
) -> Iterator[tuple[str, _Answered]]:
    history = read_history(reader, emulated=session.emulated)
    # Read after the history: what a run beside this plan submits in between is among them.
    by_tag = {submission.tag: submission for submission in reader.submissions()}
    for run in history.runs:
        for name in sorted(wanted & run.record.expected.keys()):
            own = [by_tag[tag] for tag in run.submissions if by_tag[tag].spec == name]
            if own and all(submission.results is not None for submission in own):
                wanted.discard(name)
                expected = run.record.expected[name]
                yield name, _Answered(expected=expected, submissions=tuple(own))
