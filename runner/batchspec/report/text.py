"""The plan as text: what would be submitted, why, and its price."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from batchspec.plan.model import Action, Estimate, Plan, Reason, SpecPlan
from batchspec.report.figures import (
    UNKNOWN_PRICE,
    count,
    key_label,
    money,
    number,
    shared_questions,
    size,
    some_keys,
)
from batchspec.report.hygiene import clean_line
from batchspec.report.style import PLAIN, Style
from batchspec.report.wording import wording_lines
from batchspec.spec.words import listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_NAMED_FAILURES = 10


def plan_text(
    plan: Plan,
    *,
    style: Style = PLAIN,
    command: str = "batchspec run",
    refusals: Sequence[str] = (),
) -> str:
    """Return the plan of all selected specs, ending with one line of totals.

    Args:
        plan: The plan.
        style: Colours.
        command: What hints tell to type; it stays on the state that was planned against.
        refusals: Why `run` would refuse this plan, in full sentences.
    """
    blocks = [] if plan.environment is None else [style.bold(f"{plan.environment.words()}.")]
    blocks += [_spec(spec, style, command) for spec in plan.specs]
    last = [style.bold(_totals(plan, command))]
    last += [f"{style.bad('refused:')} {clean_line(why)}" for why in refusals]
    return "\n\n".join([*blocks, "\n".join(last)]) + "\n"


def _spec(spec: SpecPlan, style: Style, command: str) -> str:
    head = f"{style.bold(spec.name)} ({clean_line(spec.model)})"
    if spec.after:
        return f"{head}: known after {listing(spec.after, 'and')}"
    head = f"{head}, {count(spec.items, 'item')}"
    lines = [head, *_actions(spec, style, command), *_reworded(spec, style)]
    if spec.requests:
        lines += ["", *_price(spec)]
        lines += [f"  note: {clean_line(note)}" for note in spec.estimate.notes]
    return "\n".join(lines)


def _actions(spec: SpecPlan, style: Style, command: str) -> Iterator[str]:
    """One line per reason and per other action, most urgent first."""
    keys = _Keys(spec)
    for reason, items in spec.reasons.items():
        if items:
            sample = keys.sample(Action.SUBMIT, reason.value, items)
            yield _line(style.good("+"), items, _reason(reason, spec), sample)
    if spec.counts.duplicate:
        yield f"    {shared_questions(spec.counts)}"
    if spec.counts.in_flight:
        yield _line(style.warn(">"), spec.counts.in_flight, "in flight", "")
    if spec.counts.failed:
        yield _line(style.bad("!"), spec.counts.failed, "failed", "")
        yield from _failures(spec, command)
    if spec.counts.removed:
        sample = keys.sample(Action.REMOVED, None, spec.counts.removed)
        yield _line(style.dim("-"), spec.counts.removed, "removed", sample)
    if spec.counts.unchanged:
        yield _line(" ", spec.counts.unchanged, "unchanged", "")


def _line(mark: str, items: int, word: str, sample: str) -> str:
    """Return ``  + 12 new: "T-1", "T-2" and 10 more``."""
    return f"  {mark} {number(items)} {word}" + (f": {sample}" if sample else "")


def _reason(reason: Reason, spec: SpecPlan) -> str:
    """Return a reason in a word; of changed files, their names too."""
    if reason is not Reason.FILES or not spec.changed_files:
        return reason.value
    return f"{reason.value} ({some_keys(spec.changed_files, len(spec.changed_files))})"


def _failures(spec: SpecPlan, command: str) -> Iterator[str]:
    """Name failed items: they are never resubmitted silently, so they must be seen."""
    every = (change for change in spec.changes if change.action is Action.FAILED)
    failed = list(islice(every, _NAMED_FAILURES))
    for change in failed:
        outcome = "" if change.outcome is None else change.outcome.name.lower().replace("_", " ")
        yield f"      {key_label(change.key)} {outcome}".rstrip()
    if spec.counts.failed > len(failed):
        rest = spec.counts.failed - len(failed)
        yield f"      and {number(rest)} more"
    yield f"      Their retries are spent; `{command} --retry-failed` asks again."


def _reworded(spec: SpecPlan, style: Style) -> Iterator[str]:
    """Show what changed in a few requests, word by word."""
    for item in spec.reworded:
        yield ""
        yield f"  changed for {key_label(item.key)} ({item.reason.value}):"
        yield from wording_lines(item.rewording, style, indent="  ")


def _price(spec: SpecPlan) -> Iterator[str]:
    estimate = spec.estimate
    batches = count(spec.batches, "batch", "batches")
    yield f"  {count(spec.requests, 'request')} in {batches} ({size(spec.bytes)})"
    tokens = f"{number(estimate.input_tokens)} input and {number(estimate.output_tokens)} output"
    yield f"  about {tokens} tokens"
    yield f"  {_cost(estimate)}"


def _cost(estimate: Estimate) -> str:
    if estimate.usd is None:
        return UNKNOWN_PRICE
    parts = [f"about {money(estimate.usd)}"]
    if estimate.usd_max is not None:
        parts.append(f"at most {money(estimate.usd_max, ceiling=True)}")
    if estimate.usd_without_batch is not None:
        parts.append(f"without batch {money(estimate.usd_without_batch)}")
    return ", ".join(parts)


def _totals(plan: Plan, command: str) -> str:
    items = sum(spec.counts.submit for spec in plan.specs)
    later = [spec.name for spec in plan.specs if spec.after]
    known = f" What {listing(later, 'and')} will submit is known later." if later else ""
    if not items:
        return f"Nothing to submit.{_waiting(plan, command)}{known}"
    requests = count(sum(spec.requests for spec in plan.specs), "request")
    batches = count(sum(spec.batches for spec in plan.specs), "batch", "batches")
    return (
        f"Plan: {count(items, 'item')} to submit as {requests} in {batches}, {_total_price(plan)}."
        f"{known}"
    )


def _waiting(plan: Plan, command: str) -> str:
    """Say that answers are on their way, which "nothing to submit" alone would hide."""
    open_items = sum(spec.counts.in_flight for spec in plan.specs)
    if not open_items:
        return ""
    verb = "is" if open_items == 1 else "are"
    return f" {count(open_items, 'item')} {verb} in flight; `{command}` collects."


def _total_price(plan: Plan) -> str:
    asking = [spec.estimate for spec in plan.specs if spec.requests]
    expected = _sum(estimate.usd for estimate in asking)
    highest = _sum(estimate.usd_max for estimate in asking)
    if expected is None or highest is None:
        return UNKNOWN_PRICE
    return f"about {money(expected)} (at most {money(highest, ceiling=True)})"


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Add amounts; unknown as soon as one is."""
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


class _Keys:
    """Sample keys by action and reason, from as much of the changes as it takes."""

    def __init__(self, spec: SpecPlan, shown: int = 3) -> None:
        self._shown = shown
        self._keys: dict[tuple[Action, str | None], list[str]] = {}
        wanted = sum(min(shown, items) for items in spec.reasons.values())
        wanted += min(shown, spec.counts.removed)
        for change in spec.changes:
            if not wanted:
                return
            if change.action is Action.FAILED:
                continue
            reason = None if change.reason is None else change.reason.value
            found = self._keys.setdefault((change.action, reason), [])
            if len(found) < shown:
                found.append(change.key)
                wanted -= 1

    def sample(self, action: Action, reason: str | None, total: int) -> str:
        """Return the first keys of a group of ``total`` items, or nothing when none is named."""
        found = self._keys.get((action, reason), [])
        return some_keys(found, total, self._shown) if found else ""
