"""What a run came to: gathered from its events, shown as text or JSON at its end."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchspec import events
from batchspec.report.checks import check_lines, checks_json
from batchspec.report.figures import count, money, number, table
from batchspec.report.hygiene import clean_line, quoted
from batchspec.report.narration import failed_item_line
from batchspec.report.style import PLAIN, Style

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

FORMAT_VERSION = 1
_NAMED_FAILURES = 10
_SUCCEEDED = "succeeded"


@dataclass(slots=True, kw_only=True)
class SpecSummary:
    """One spec's part of a run, filled while events come in."""

    name: str
    outputs: list[events.OutputWritten] = field(default_factory=list)
    checks: list[events.CheckDone] = field(default_factory=list)
    failed: list[events.FailedItem] = field(default_factory=list)
    done: events.SpecDone | None = None


class RunSummary:
    """Gathers the events of a run."""

    def __init__(self) -> None:
        self.specs: dict[str, SpecSummary] = {}

    def add(self, event: events.Event) -> None:
        """Keep an event when the summary shows it."""
        match event:
            case events.OutputWritten():
                self._of(event.spec).outputs.append(event)
            case events.CheckDone():
                self._of(event.spec).checks.append(event)
            case events.FailedItem():
                self._of(event.spec).failed.append(event)
            case events.SpecDone():
                self._of(event.spec).done = event
            case _:
                pass

    @property
    def waits(self) -> bool:
        """Whether some spec is not complete yet, so that there is more to come."""
        return any(spec.done is not None and not spec.done.complete for spec in self.specs.values())

    @property
    def in_flight(self) -> bool:
        """Whether a spec waits for answers of batches."""
        return any(spec.done is not None and spec.done.in_flight for spec in self.specs.values())

    def _of(self, spec: str) -> SpecSummary:
        return self.specs.setdefault(spec, SpecSummary(name=spec))


def summary_text(
    summary: RunSummary, *, style: Style = PLAIN, collect: str = "batchspec collect"
) -> str:
    """Return every spec's statuses, cost, outputs, checks and failed items.

    Args:
        summary: What was gathered.
        style: Colours.
        collect: The command that takes in answers that are not here yet.
    """
    blocks = ["\n".join(_spec(spec, style)) for spec in summary.specs.values()]
    if summary.in_flight:
        blocks.append(f"When batches have ended, `{collect}` takes their answers in.")
    return "\n\n".join(blocks) + "\n" if blocks else ""


def summary_json(summary: RunSummary, *, exit_code: int) -> dict[str, Any]:
    """Return the summary with the failed items that are named, as `run --format json` prints it."""
    return {
        "format_version": FORMAT_VERSION,
        "exit_code": exit_code,
        "specs": [_spec_json(spec) for spec in summary.specs.values()],
    }


def _spec(spec: SpecSummary, style: Style) -> Iterator[str]:
    done = spec.done
    items = "" if done is None else f", {count(done.items, 'item')}"
    yield f"{style.bold(spec.name)}{items}"
    if done is not None:
        yield from _statuses(done, style)
        yield f"  {_cost(done)}"
        if sum(done.cache):
            yield f"  {_cache(done.cache)}"
        if not done.complete:
            why = done.why or "Answers are in flight or held back."
            yield style.warn(f"  Not complete yet: {clean_line(_lowered(why))}")
    yield from (_output(output) for output in spec.outputs)
    for check in spec.checks:
        yield from check_lines(check, style=style)
    yield from _failed(spec, style)


def _lowered(sentence: str) -> str:
    """Return a sentence as the second half of one; names keep their capitals."""
    first, _, rest = sentence.partition(" ")
    return f"{first.lower()} {rest}" if first in {"It", "Answers", "All"} else sentence


def _statuses(done: events.SpecDone, style: Style) -> Iterator[str]:
    rows = [(status, number(items)) for status, items in done.by_status]
    for (status, _), line in zip(rows, table(rows, right=(1,)) if rows else [], strict=True):
        yield f"  {line if status == _SUCCEEDED else style.bad(line)}"


def _cost(done: events.SpecDone) -> str:
    requests = f"{count(done.requests_submitted, 'request')} submitted"
    known = done.usd is not None and (done.complete or done.usd)
    this_run = f"this run cost {money(done.usd)}" if known else ""
    in_all = f"all answers together {money(done.usd_total)}" if done.usd_total is not None else ""
    return ", ".join(part for part in (requests, this_run, in_all) if part)


def _cache(cache: tuple[int, int]) -> str:
    """Say how much of what could be cached was read and not written: the real hit rate."""
    read, written = cache
    share = f"{100 * read / (read + written):.0f} %"
    return f"cache: {share} of the shared prefixes read ({number(read)} tokens), the rest written"


def _output(output: events.OutputWritten) -> str:
    notes = [count(output.rows, "row")]
    if not output.changed:
        notes.append("same bytes as before")
    if output.emulated:
        notes.append("emulated")
    return f"  output {clean_line(output.path)} ({', '.join(notes)})"


def _failed(spec: SpecSummary, style: Style) -> Iterator[str]:
    if not spec.failed:
        return
    shown = spec.failed[:_NAMED_FAILURES]
    failed = max(len(spec.failed), 0 if spec.done is None else spec.done.failed)
    head = f"{count(failed, 'failed item')}"
    rest = f", the first {len(shown)}" if len(shown) < failed else ""
    yield f"  {style.bad(head)}{rest}:"
    yield from (quoted(failed_item_line(item), "  ") for item in shown)


def _usd(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")


def _spec_json(spec: SpecSummary) -> dict[str, Any]:
    done = spec.done
    return {
        "name": spec.name,
        "complete": done is not None and done.complete,
        "items": None if done is None else done.items,
        "statuses": {} if done is None else dict(done.by_status),
        "requests_submitted": 0 if done is None else done.requests_submitted,
        "usd": None if done is None else _usd(done.usd),
        "usd_total": None if done is None else _usd(done.usd_total),
        "cache_read_tokens": 0 if done is None else done.cache[0],
        "cache_write_tokens": 0 if done is None else done.cache[1],
        "outputs": [
            {"path": o.path, "rows": o.rows, "changed": o.changed, "emulated": o.emulated}
            for o in spec.outputs
        ],
        "checks": checks_json(spec.checks),
        "failed": [
            {"key": json.loads(item.key), "status": item.status, "detail": item.detail}
            for item in spec.failed
        ],
    }
