"""Work in flight as text and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from batchspec.report.figures import count, moment, number, table
from batchspec.report.hygiene import clean_line
from batchspec.report.style import PLAIN, Style
from batchspec.spec.words import listing
from batchspec.state.model import SubmissionState

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from batchspec.plan.model import Outcome

FORMAT_VERSION = 1
_HEAD = ("SPEC", "BATCH", "STATE", "REQUESTS", "CREATED", "ENDS BY")
_REQUESTS = _HEAD.index("REQUESTS")
_STATES = {
    SubmissionState.PREPARED: "not sent yet",
    SubmissionState.ARMED: "being sent",
    SubmissionState.UNKNOWN: "being looked for",
    SubmissionState.BOUND: "in progress",
    SubmissionState.ENDED: "ended, not collected",
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


def status_text(status: Status, *, style: Style = PLAIN) -> str:
    """Return a table of what is open, what needs attention, and totals."""
    lines = [] if status.environment is None else [f"Environment {status.environment}."]
    lines += [*_open(status.submissions, style), *_attention(status.submissions, style)]
    lines += [
        f"{name} waits for {listing(needs, 'and')}." for name, needs in status.waiting.items()
    ]
    if lines:
        lines.append("")
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
        "submissions": [_as_json(submission) for submission in status.submissions],
    }


def _open(submissions: Sequence[OpenSubmission], style: Style) -> Iterator[str]:
    if not submissions:
        return
    head, *rows = table([_HEAD, *map(_row, submissions)], right=(_REQUESTS,))
    yield style.bold(head)
    yield from rows


def _row(submission: OpenSubmission) -> tuple[str, ...]:
    return (
        clean_line(submission.spec) or "(adopted)",
        clean_line(submission.batch_id or "-"),
        _STATES.get(submission.state, submission.state.lower()),
        number(submission.requests),
        moment(submission.created_at),
        moment(submission.expires_at),
    )


def _attention(submissions: Sequence[OpenSubmission], style: Style) -> Iterator[str]:
    for submission in submissions:
        name = submission.batch_id or f"submission {submission.tag}"
        if submission.results_at_risk:
            until = moment(submission.results_until)
            text = f"{name}: its results disappear at {until}; `batchspec collect` takes them in."
            yield style.warn(clean_line(text))
        if submission.detail:
            yield clean_line(f"{name}: {submission.detail}")


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
    if known:
        parts.append(f"known questions: {', '.join(known)}")
    return f"{'; '.join(parts)}{' (emulated)' if status.emulated else ''}."


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
    }
