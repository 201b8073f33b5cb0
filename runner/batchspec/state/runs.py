"""The history as people read it: each command with what it came to, and every step with its time.

One summary for text, JSON and the page, so that they never disagree.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from batchspec.records import frozen
from batchspec.state.history import RunRecord, Transition
from batchspec.state.ledger import LedgerReader
from batchspec.state.model import Submission, SubmissionState

_NOTHING_MADE = frozenset((SubmissionState.REJECTED, SubmissionState.ABANDONED))


@frozen
class PastRun:
    """A command and what it came to."""

    record: RunRecord
    latest: bool
    """No command was recorded after it, so that it may be at work where it has no end."""
    submissions: tuple[str, ...] = ()
    """Tags of the submissions that it began and that did not come to nothing."""
    requests: int = 0
    """Requests of those."""
    collected: tuple[str, ...] = ()
    """Tags of the submissions whose answers it took in."""


@frozen
class RunHistory:
    """What was done to a state."""

    runs: tuple[PastRun, ...] = ()
    """The newest ones, newest first."""
    total: int = 0
    """How many there are."""
    emulated: bool = False


@frozen
class Step:
    """A submission got into a state, as the journal has it or as the submission's own times say."""

    transition: Transition | None
    """None: it is older than the journal; only what stands in the submission is known."""
    submission: Submission
    state: SubmissionState
    at: dt.datetime | None
    """Local clock, or the server's where the journal has nothing; None: not known."""
    server_at: dt.datetime | None
    """The server's time: of the listing before ARMED, of the batch's creation and of its end."""


def read_history(
    reader: LedgerReader | None,
    *,
    emulated: bool,
    specs: Collection[str] = (),
    limit: int | None = None,
) -> RunHistory:
    """Return the commands that were about the given specs, or about the state as a whole.

    Args:
        reader: The state; None: nothing was ever done.
        emulated: Whether it is the emulated state.
        specs: Names; none: all commands.
        limit: How many; None: all.

    Raises:
        StateFailure: the ledger is damaged.
    """
    if reader is None:
        return RunHistory(emulated=emulated)
    records = [*reader.runs()]
    wanted = [r for r in records if not specs or not r.specs or not set(specs).isdisjoint(r.specs)]
    work = _Work.of(reader)
    return RunHistory(
        runs=tuple(
            PastRun(
                record=record,
                latest=record is records[0],
                submissions=tuple(work.begun.get(record.run, ())),
                requests=sum(work.requests[tag] for tag in work.begun.get(record.run, ())),
                collected=tuple(work.collected.get(record.run, ())),
            )
            for record in wanted[:limit]
        ),
        total=len(wanted),
        emulated=emulated,
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """Submissions by the command that moved them."""

    begun: Mapping[str, list[str]]
    collected: Mapping[str, list[str]]
    requests: Mapping[str, int]

    @classmethod
    def of(cls, reader: LedgerReader) -> _Work:
        made = {s.tag: s.requests for s in reader.submissions() if s.state not in _NOTHING_MADE}
        begun: dict[str, list[str]] = {}
        collected: dict[str, list[str]] = {}
        for step in reader.transitions():
            if step.state is SubmissionState.PREPARED and step.tag in made:
                begun.setdefault(step.run, []).append(step.tag)
            if step.state is SubmissionState.COLLECTED:
                collected.setdefault(step.run, []).append(step.tag)
        return cls(begun=begun, collected=collected, requests=made)


def read_steps(reader: LedgerReader) -> Iterator[Step]:
    """Yield every step of every submission that is known, in the order of their times.

    Raises:
        StateFailure: the ledger is damaged.
    """
    labels = reader.key_labels()
    known = {s.tag: replace(s, key_label=labels.get(s.tag)) for s in reader.submissions()}
    journal = [step for step in reader.transitions() if step.tag in known]
    steps = [_journaled(step, known[step.tag]) for step in journal]
    seen = {(step.tag, step.state) for step in journal}
    for submission in known.values():
        steps += (s for s in _own_times(submission) if (submission.tag, s.state) not in seen)
    yield from sorted(steps, key=_moment)


_LAST = dt.datetime.max.replace(tzinfo=dt.UTC)


def _moment(step: Step) -> dt.datetime:
    return step.at or _LAST


def _journaled(step: Transition, submission: Submission) -> Step:
    return Step(
        transition=step,
        submission=submission,
        state=step.state,
        at=step.at,
        server_at=_server_times(submission).get(step.state),
    )


def _server_times(submission: Submission) -> dict[SubmissionState, dt.datetime | None]:
    return {
        SubmissionState.ARMED: submission.armed_at,
        SubmissionState.BOUND: submission.created_at,
        SubmissionState.ENDED: submission.ended_at,
    }


def _own_times(submission: Submission) -> Iterator[Step]:
    """Yield what a submission itself says of its way, for steps that the journal lacks."""
    server = _server_times(submission)
    times = {SubmissionState.PREPARED: submission.prepared_at, **server}
    times.setdefault(submission.state, None)
    for state, at in times.items():
        if at is not None or state is submission.state:
            yield Step(
                transition=None,
                submission=submission,
                state=state,
                at=at,
                server_at=server.get(state),
            )
