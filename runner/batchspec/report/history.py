"""What was done to a state: as text and JSON for people, and as JSON lines for an audit."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from batchspec.report.figures import count, moment, money, number, seconds, table
from batchspec.report.hygiene import clean_line
from batchspec.report.style import PLAIN, Style

if TYPE_CHECKING:
    from batchspec.state.runs import PastRun, RunHistory, Step

FORMAT_VERSION = 1
_LAST = dt.datetime.max.replace(tzinfo=dt.UTC)
"""Steps whose time is not known stand behind all others."""
_FINE = Decimal("0.000001")
_COLUMNS = 80
_COMMIT = 7
"""Hex digits of a commit that people are shown."""
_DIGEST = 12
"""Hex digits of a plan's digest that people are shown."""
_ACTOR = 18
_SPECS = 40
"""Characters of the names of specs that a line has room for."""


def history_text(history: RunHistory, *, style: Style = PLAIN) -> str:
    """Return two or three lines for each command, newest first, at most 80 columns wide."""
    if not history.runs:
        return "Nothing was done yet that is remembered.\n"
    heads = table([_head(run) for run in history.runs])
    lines: list[str] = []
    for head, run in zip(heads, history.runs, strict=True):
        lines.append(style.bold(head))
        lines += [f"    {line}" for line in _details(run)]
    left = history.total - len(history.runs)
    if left:
        lines += ["", f"{count(left, 'older command')}; `--limit` shows more."]
    if history.emulated:
        lines += ["", "All of it was emulated: nothing was paid."]
    return "\n".join(lines) + "\n"


def _head(run: PastRun) -> tuple[str, ...]:
    record = run.record
    changed = "*" if record.dirty else ""
    return (
        moment(record.began_at),
        clean_line(record.command, 13),
        clean_line(record.actor, _ACTOR) or "-",
        f"{clean_line(record.commit[:_COMMIT])}{changed}" if record.commit else "-",
        ending(run),
    )


def ending(run: PastRun) -> str:
    """Return how a command ended, and how long it took."""
    record = run.record
    if record.ended_at is None:
        return "not ended yet" if run.latest else "did not end"
    took = seconds(max(0.0, (record.ended_at - record.began_at).total_seconds()))
    word = "done" if record.exit_code == 0 else f"exit {record.exit_code}"
    return f"{word}, {took}"


def _details(run: PastRun) -> Iterator[str]:
    record = run.record
    yield f"{subject(run)}: {work(run)}"
    yield from plan_line(run)
    if record.failure:
        yield clean_line(f"ended by {record.failure}", _COLUMNS - 4)
    if record.detail:
        yield clean_line(f"reason: {record.detail}", _COLUMNS - 4)
    if record.ci_url:
        yield clean_line(record.ci_url)  # whole: a part of an address leads nowhere


def plan_line(run: PastRun) -> Iterator[str]:
    """Yield by which plan a command went, if something was to be submitted."""
    record = run.record
    made, saved = _digest(record.plan_digest), _digest(record.saved_plan_digest)
    if made and saved and made != saved:
        yield f"plan {made}, in the place of the saved {saved}, which was stale"
    elif made:
        yield f"plan {made}{', as saved' if saved else ''}"


def _digest(text: str) -> str:
    return clean_line(text.removeprefix("sha256:")[:_DIGEST])


def subject(run: PastRun) -> str:
    """Return what a command was about, in few words."""
    names = [clean_line(name) for name in run.record.specs]
    if not names:
        return "the whole state"
    shown = [names[0]]
    for name in names[1:]:
        if len(", ".join([*shown, name])) > _SPECS:
            break
        shown.append(name)
    rest = len(names) - len(shown)
    text = ", ".join(shown) + (f" and {number(rest)} more" if rest else "")
    return f"{text} (sample)" if run.record.sampled else text


def work(run: PastRun) -> str:
    """Return what a command submitted and collected, in words."""
    parts = []
    if run.submissions:
        made = count(len(run.submissions), "batch", "batches")
        parts.append(f"{made} of {count(run.requests, 'request')}")
        if run.record.usd_max is not None:
            parts.append(f"at most {money(run.record.usd_max, ceiling=True)}")
    if run.collected:
        parts.append(f"{count(len(run.collected), 'batch', 'batches')} collected")
    return ", ".join(parts) or "nothing submitted"


def history_json(history: RunHistory) -> dict[str, Any]:
    """Return the history as `history --format json` prints it, newest first."""
    return {
        "format_version": FORMAT_VERSION,
        "emulated": history.emulated,
        "total": history.total,
        "runs": [_run_json(run) for run in history.runs],
    }


def _run_json(run: PastRun) -> dict[str, Any]:
    record = run.record
    return {
        "run": record.run,
        "command": record.command,
        "began_at": _time(record.began_at),
        "ended_at": _time(record.ended_at),
        "exit_code": record.exit_code,
        "failure": record.failure or None,
        "specs": list(record.specs),
        "environment": record.environment or None,
        "sampled": record.sampled,
        "actor": record.actor,
        "host": record.host,
        "ci_url": record.ci_url or None,
        "commit": record.commit or None,
        "dirty": record.dirty,
        "version": record.version,
        "detail": record.detail or None,
        "plan_digest": record.plan_digest or None,
        "saved_plan_digest": record.saved_plan_digest or None,
        "digests": record.digests,
        "items": record.items,
        "requests": record.requests,
        "usd_max": _usd(record.usd_max),
        "submissions": list(run.submissions),
        "requests_submitted": run.requests,
        "collected": list(run.collected),
    }


def audit_lines(
    identity: dict[str, Any], history: RunHistory, steps: Iterable[Step]
) -> Iterator[str]:
    """Yield JSON lines: the state, its commands, every step; the last two by their times.

    The same state gives the same lines. What happens later comes behind, but for a command's own
    line, which its end completes.

    Args:
        identity: By what the state is recognised.
        history: Every command.
        steps: Every step, in the order of their times.
    """
    yield _line({"kind": "state", "format_version": FORMAT_VERSION, **identity})
    events = [
        (run.record.began_at, {"kind": "run", **_run_json(run)}) for run in reversed(history.runs)
    ]
    events += [(step.at or _LAST, _step_json(step)) for step in steps]
    for _, event in sorted(events, key=lambda pair: pair[0]):
        yield _line(event)


def _step_json(step: Step) -> dict[str, Any]:
    submission, seen = step.submission, step.transition
    return {
        "kind": "submission",
        "submission": submission.tag,
        "spec": submission.spec or None,
        "state": step.state.value,
        "at": _time(step.at),
        "server_at": _time(step.server_at),
        "run": None if seen is None else seen.run or None,
        "detail": (seen.detail or None) if seen is not None else None,
        "batch_id": submission.batch_id,
        "requests": submission.requests,
        "usd_max": None if submission.usd_max is None else _usd(Decimal(submission.usd_max)),
        "key": submission.key_label,
        "request_segment": submission.segment,
        "result_segment": submission.results,
        "journaled": seen is not None,
    }


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _time(value: dt.datetime | None) -> str | None:
    return None if value is None else value.isoformat().replace("+00:00", "Z")


def _usd(amount: Decimal | None) -> str | None:
    """Return an amount that nothing may exceed, to a millionth."""
    if amount is None:
        return None
    return f"{amount.quantize(_FINE, rounding=ROUND_CEILING).normalize() or Decimal(0):f}"
