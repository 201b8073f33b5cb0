"""Events as single lines: what `run` says while it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchspec import events
from batchspec.report.checks import headline
from batchspec.report.figures import about, count, key_label, number, seconds, size
from batchspec.report.hygiene import clean_line
from batchspec.report.progress import progress_line
from batchspec.spec.words import listing

if TYPE_CHECKING:
    from collections.abc import Callable


def narrate(event: events.Event) -> str:
    """Return one harmless line for an event, or an empty text for one that has no line.

    `FailedItem` and `SpecDone` have none: the summary at the end shows them.
    """
    teller = _TELLERS.get(type(event))
    return "" if teller is None else clean_line(teller(event))


def _plan_ready(event: events.PlanReady) -> str:
    if event.after:
        return f"{event.spec}: its items are known after {listing(event.after, 'and')}"
    parts = [f"{number(event.submit)} to submit", f"{number(event.unchanged)} unchanged"]
    if event.in_flight:
        parts.append(f"{number(event.in_flight)} in flight")
    if event.failed:
        parts.append(f"{number(event.failed)} failed before")
    price = f"; {count(event.requests, 'request')}, {about(event.usd)}" if event.requests else ""
    return f"{event.spec}: {count(event.items, 'item')}, {', '.join(parts)}{price}"


def _rendering(event: events.Rendering) -> str:
    return f"{event.spec}: rendered {count(event.done, 'prompt')}"


def _reading(event: events.Reading) -> str:
    batches = f"{number(event.done)} of {count(event.total, 'unknown batch', 'unknown batches')}"
    return f"looking for paid answers in the workspace: read {batches}"


def _uploading(event: events.Uploading) -> str:
    requests = count(event.requests, "request")
    return f"{event.spec}: sending {requests} ({size(event.bytes)})"


def _submitted(event: events.Submitted) -> str:
    told = [f"{event.spec}: submitted {event.batch_id} with {count(event.requests, 'request')}"]
    return " ".join(told + _for_items(event.items, event.requests))


def _for_items(items: int | None, requests: int) -> list[str]:
    """Say for how many items requests ask, where there are more of those."""
    return [] if items is None or items == requests else [f"for {count(items, 'item')}"]


def _waiting(event: events.Waiting) -> str:
    if event.progress is not None:
        return f"waiting: {progress_line(event.progress)}"
    before = "" if event.spec is None else f"{event.spec}: "
    why = event.why.rstrip(".")
    return f"{before}{why}; next look in {seconds(event.seconds)}"


def _uncertain(event: events.Uncertain) -> str:
    return (
        f"{event.spec}: whether submission {event.submission} became a batch is not known "
        f"({event.why.rstrip('.')}); looking for it before anything is sent again"
    )


def _settled(event: events.Settled) -> str:
    if event.batch_id is None:
        return f"{event.spec}: submission {event.submission} never became a batch; asking again"
    return f"{event.spec}: submission {event.submission} is {event.batch_id}"


def _collected(event: events.Collected) -> str:
    parts = [f"{number(event.succeeded)} succeeded"]
    if event.failed:
        parts.append(f"{number(event.failed)} failed")
    if event.missing:
        parts.append(f"{number(event.missing)} missing")
    if event.canceled:
        parts.append(f"{number(event.canceled)} canceled")
    requests = event.succeeded + event.failed + event.missing + event.canceled
    parts += _for_items(event.items, requests)
    return f"{event.spec}: collected {event.batch_id}, {', '.join(parts)}"


def _adopted(event: events.Adopted) -> str:
    return f"took in {count(event.answers, 'answer')} of {event.batch_id}, already paid"


def _retry_round(event: events.RetryRound) -> str:
    return f"{event.spec}: asking {count(event.requests, 'request')} again, {event.why.rstrip('.')}"


def _output_written(event: events.OutputWritten) -> str:
    verb = "wrote" if event.changed else "unchanged:"
    note = ", emulated" if event.emulated else ""
    return f"{event.spec}: {verb} {event.path} ({count(event.rows, 'row')}{note})"


def _check_done(event: events.CheckDone) -> str:
    word = {"pass": "passed", "warn": "warns", "error": "failed"}[event.verdict]
    return f"{event.spec}: check {word}: {headline(event)}"


def _notice(event: events.Notice) -> str:
    return f"warning: {event.message}" if event.warning else event.message


def failed_item_line(event: events.FailedItem, limit: int = 200) -> str:
    """Return ``"T-9" refused: The model …`` as one harmless line."""
    detail = clean_line(event.detail, limit)
    return f"{key_label(event.key)} {event.status}" + (f": {detail}" if detail else "")


_TELLERS: dict[type[events.Event], Callable[[Any], str]] = {
    events.PlanReady: _plan_ready,
    events.Rendering: _rendering,
    events.Reading: _reading,
    events.Uploading: _uploading,
    events.Submitted: _submitted,
    events.Waiting: _waiting,
    events.Uncertain: _uncertain,
    events.Settled: _settled,
    events.Collected: _collected,
    events.Adopted: _adopted,
    events.RetryRound: _retry_round,
    events.OutputWritten: _output_written,
    events.CheckDone: _check_done,
    events.Notice: _notice,
}
