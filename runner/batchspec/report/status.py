"""Work in flight as text and JSON."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Protocol

from batchspec.report.figures import count, moment, number, seconds, table
from batchspec.report.hygiene import clean_line
from batchspec.report.progress import progress_json, progress_lines
from batchspec.report.style import PLAIN, Style
from batchspec.spec.words import listing
from batchspec.state.model import SubmissionState

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from batchspec.events import Expectation, Progress
    from batchspec.plan.model import Outcome

FORMAT_VERSION = 1
_HEAD = ("BATCH", "STATE", "REQUESTS", "AGE", "ENDS IN")
_RIGHT = tuple(_HEAD.index(name) for name in ("REQUESTS", "AGE", "ENDS IN"))
_SHOWN = 50
"""So many submissions are listed one by one."""
_WIDTH = 80
_LATE = 3600.0
"""Seconds of age from which on it is said until when a batch ends at the latest."""
_STATES = {
    SubmissionState.PREPARED: "not sent yet",
    SubmissionState.ARMED: "being sent",
    SubmissionState.UNKNOWN: "unconfirmed",
    SubmissionState.BOUND: "in progress",
    SubmissionState.ENDED: "ended",
}


class OpenSubmission(Protocol):
    """A submission that is not over, as the workflow knows it."""

    @property
    def tag(self) -> str:
        """Its tag."""

    @property
    def spec(self) -> str:
        """The spec that asked; empty for an adopted batch."""

    @property
    def state(self) -> SubmissionState:
        """Where it stands."""

    @property
    def batch_id(self) -> str | None:
        """The server's id once it is known."""

    @property
    def requests(self) -> int:
        """How many requests it carries."""

    @property
    def created_at(self) -> dt.datetime | None:
        """The server's time of creation."""

    @property
    def ended_at(self) -> dt.datetime | None:
        """The server's time of its end."""

    @property
    def expires_at(self) -> dt.datetime | None:
        """When the batch ends at the latest."""

    @property
    def results_until(self) -> dt.datetime | None:
        """When its results disappear from the API."""

    @property
    def results_at_risk(self) -> bool:
        """Whether that is soon."""

    @property
    def detail(self) -> str:
        """The last failure, in words."""

    @property
    def age(self) -> float | None:
        """Seconds since its creation."""

    @property
    def expected(self) -> Expectation | None:
        """How much longer it should take."""


class Status(Protocol):
    """The state of work, as the workflow reads it."""

    @property
    def submissions(self) -> Sequence[OpenSubmission]:
        """Submissions that are not over."""

    @property
    def collected(self) -> int:
        """How many are over and collected."""

    @property
    def answers(self) -> Mapping[Outcome, int]:
        """Known questions by outcome."""

    @property
    def emulated(self) -> bool:
        """Whether this is the emulated state."""

    @property
    def environment(self) -> str | None:
        """The environment whose state this is."""

    @property
    def serial(self) -> int:
        """The state's serial number."""

    @property
    def waiting(self) -> Mapping[str, Sequence[str]]:
        """Specs that wait for others, by name, with those they wait for."""

    @property
    def progress(self) -> Progress | None:
        """How far the work in flight has come."""


def status_text(status: Status, *, style: Style = PLAIN) -> str:
    """Return a table of what is open, what needs attention, and totals."""
    lines = [] if status.environment is None else [f"Environment {status.environment}."]
    lines += [*_open(status.submissions, style), *_attention(status.submissions, style)]
    lines += [
        f"{name} waits for {listing(needs, 'and')}." for name, needs in status.waiting.items()
    ]
    if lines:
        lines.append("")
    if status.progress is not None:
        lines += progress_lines(status.progress)
    return "\n".join([*lines, _totals(status)]) + "\n"


def status_json(status: Status) -> dict[str, Any]:
    """Return the status as `status --format json` prints it."""
    return {
        "format_version": FORMAT_VERSION,
        "emulated": status.emulated,
        **({} if status.environment is None else {"environment": status.environment}),
        "serial": status.serial,
        "collected": status.collected,
        "answers": {outcome.name.lower(): n for outcome, n in sorted(status.answers.items())},
        "waiting": {name: list(needs) for name, needs in status.waiting.items()},
        "progress": progress_json(status.progress),
        "submissions": [_as_json(submission) for submission in status.submissions],
    }


def _open(submissions: Sequence[OpenSubmission], style: Style) -> Iterator[str]:
    if not submissions:
        return
    ordered = sorted(submissions, key=lambda submission: submission.spec)[:_SHOWN]
    head, *rows = table([_HEAD, *map(_row, ordered)], right=_RIGHT)
    yield f"  {style.bold(head)}"
    spec = None
    for submission, row in zip(ordered, rows, strict=True):
        if submission.spec != spec:
            spec = submission.spec
            yield clean_line(spec) or "(adopted)"
        yield f"  {row}"
    if len(submissions) > _SHOWN:
        rest = len(submissions) - _SHOWN
        yield f"  and {number(rest)} more; `batchspec status --format json` has all"


def _row(submission: OpenSubmission) -> tuple[str, ...]:
    return (
        clean_line(submission.batch_id or "-"),
        _STATES.get(submission.state, submission.state.lower()),
        number(submission.requests),
        "-" if submission.age is None else seconds(submission.age),
        "-" if submission.expected is None else seconds(submission.expected.seconds),
    )


def _attention(submissions: Sequence[OpenSubmission], style: Style) -> Iterator[str]:
    late = [s.expires_at for s in submissions if s.age and s.age > _LATE and s.ended_at is None]
    if any(_overdue(submission) for submission in submissions):
        yield "The oldest batch must have ended by now; `batchspec collect` takes its answers in."
    elif latest := min((until for until in late if until is not None), default=None):
        yield f"The oldest batch ends at {moment(latest)} at the latest."
    for submission in submissions:
        name = submission.batch_id or f"submission {submission.tag}"
        if submission.results_at_risk:
            until = moment(submission.results_until)
            text = f"{name}: its results disappear at {until}; `batchspec collect` takes them in."
            yield style.warn(clean_line(text))
        if submission.detail:
            yield clean_line(f"{name}: {submission.detail}")


def _overdue(submission: OpenSubmission) -> bool:
    """Tell whether a batch that nobody has looked at lately is past its last possible moment."""
    made, latest = submission.created_at, submission.expires_at
    if made is None or latest is None or submission.age is None or submission.ended_at is not None:
        return False
    return submission.age > (latest - made).total_seconds()


def _totals(status: Status) -> str:
    requests = sum(submission.requests for submission in status.submissions)
    parts = ["Nothing is in flight"]
    if requests:
        batches = count(len(status.submissions), "submission")
        parts = [f"{count(requests, 'request')} in {batches} in flight"]
    known = [
        f"{number(n)} {outcome.name.lower().replace('_', ' ')}"
        for outcome, n in sorted(status.answers.items())
        if n
    ]
    note = " (emulated)" if status.emulated else ""
    if known:
        parts.append(f"known questions: {', '.join(known)}")
    line = f"{'; '.join(parts)}{note}."
    if len(line) <= _WIDTH:
        return line
    lines = textwrap.wrap(f"Known questions: {', '.join(known)}{note}.", _WIDTH)
    return "\n".join([f"{parts[0]}.", *lines])


def _as_json(submission: OpenSubmission) -> dict[str, Any]:
    def time(value: dt.datetime | None) -> str | None:
        return None if value is None else value.isoformat().replace("+00:00", "Z")

    return {
        "tag": submission.tag,
        "spec": submission.spec,
        "state": submission.state.value,
        "batch_id": submission.batch_id,
        "requests": submission.requests,
        "created_at": time(submission.created_at),
        "ended_at": time(submission.ended_at),
        "expires_at": time(submission.expires_at),
        "results_until": time(submission.results_until),
        "results_at_risk": submission.results_at_risk,
        "detail": submission.detail,
        "age_seconds": None if submission.age is None else round(submission.age, 1),
        "expected_seconds": None
        if submission.expected is None
        else round(submission.expected.seconds, 1),
    }
