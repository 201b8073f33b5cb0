"""The plan as Markdown, for pull requests: short, foldable, the same bytes for the same plan.

Keys and notes are foreign text. They stand in fences only, whose marks are longer than
any in the text, so nothing in them can become markup, a link, a mention or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

from batchspec.plan.model import Action, Change, Estimate, Plan, SpecPlan
from batchspec.report.figures import UNKNOWN_PRICE, count, money, number, shared_questions, size
from batchspec.report.hygiene import clean_line
from batchspec.report.wording import wording_lines

NAMED_CHANGES = 50
"""So many changes of a spec are named; the rest are counted."""
NAMED_SPECS = 100
"""So many specs have a row in the table; the rest are counted."""
LONGEST = 60_000
"""A comment on GitHub has at most 65,536 characters; sections that do not fit are left out whole,
so that no fence and no fold stays open."""
_KEY_LIMIT = 200
_MARKS = {Action.SUBMIT: "+", Action.FAILED: "!", Action.REMOVED: "-"}
_TICKS = re.compile("`+")


def plan_markdown(plan: Plan) -> str:
    """Return a headline, a table of counts and prices, and the changes of each spec folded."""
    blocks = [f"### batchspec: {_headline(plan)}"]
    if plan.environment is not None:
        blocks.append(f"{plan.environment.words()}.")
    blocks.append("\n".join(_table(plan.specs)))
    return "\n\n".join([*blocks, *_fitting(plan, LONGEST - sum(map(len, blocks)))]) + "\n"


def _fitting(plan: Plan, room: int) -> Iterator[str]:
    """Yield the sections of specs that fit, and a word on those that do not."""
    left_out = 0
    for block in _sections(plan):
        if len(block) > room:
            left_out += 1
            continue
        room -= len(block) + 2
        yield block
    if left_out:
        sections = count(left_out, "section")
        yield f"{sections} would not fit into a comment; `batchspec plan` shows everything."


def _sections(plan: Plan) -> Iterator[str]:
    for spec in plan.specs:
        if spec.changes or spec.estimate.notes:
            yield _details(spec)
        if spec.reworded:
            yield _rewordings(spec)


def _headline(plan: Plan) -> str:
    items = sum(spec.counts.submit for spec in plan.specs)
    if not items:
        return "nothing to submit"
    requests = count(sum(spec.requests for spec in plan.specs), "request")
    paying = [spec.estimate for spec in plan.specs if spec.requests]
    usd, most = _sum([e.usd for e in paying]), _sum([e.usd_max for e in paying])
    price = _dollars(usd)
    if usd is not None:
        price = f"about {price} (at most {_dollars(most, ceiling=True)})"
    return f"{count(items, 'item')} to submit as {requests}, {price}"


def _table(specs: Sequence[SpecPlan]) -> Iterator[str]:
    if len(specs) > NAMED_SPECS:
        yield from _table(specs[:NAMED_SPECS])
        yield f"| and {number(len(specs) - NAMED_SPECS)} more |{' |' * 10}"
        return
    yield (
        "| spec | model | submit | unchanged | in flight | failed | removed | requests | batches "
        "| expected | at most |"
    )
    yield "|---|---|" + "---:|" * 9
    for spec in specs:
        if spec.after:
            after = f"known after {', '.join(map(_cell, spec.after))}"
            yield f"| {_cell(spec.name)} | {_cell(spec.model)} | {after} |{' |' * 8}"
            continue
        counts = spec.counts
        figures = [
            counts.submit,
            counts.unchanged,
            counts.in_flight,
            counts.failed,
            counts.removed,
            spec.requests,
            spec.batches,
        ]
        cells = [
            _cell(spec.name),
            _cell(spec.model),
            *map(number, figures),
            *_prices(spec),
        ]
        yield f"| {' | '.join(cells)} |"


def _prices(spec: SpecPlan) -> tuple[str, str]:
    if not spec.requests:
        return "–", "–"  # noqa: RUF001 - a dash in a table of numbers
    estimate: Estimate = spec.estimate
    return _dollars(estimate.usd), _dollars(estimate.usd_max, ceiling=True)


def _details(spec: SpecPlan) -> str:
    return _folded(f"{_name(spec.name)}: {_reasons(spec)}", list(_lines(spec)), "diff")


def _rewordings(spec: SpecPlan) -> str:
    """Return what changed in a few requests, word by word."""
    lines: list[str] = []
    for item in spec.reworded:
        lines.append(f"{clean_line(item.key, _KEY_LIMIT)} ({item.reason.value})")
        lines += wording_lines(item.rewording)
    examples = count(len(spec.reworded), "changed request")
    return _folded(f"{_name(spec.name)}: {examples}, word by word", lines, "text")


def _folded(summary: str, lines: Sequence[str], kind: str) -> str:
    """Return lines behind a summary, in a fence that none of them can close."""
    fence = "`" * max(3, 1 + max((len(run) for run in _TICKS.findall("\n".join(lines))), default=0))
    head = f"<details><summary>{summary}</summary>"
    return "\n".join([head, "", f"{fence}{kind}", *lines, fence, "", "</details>"])


def _lines(spec: SpecPlan) -> Iterator[str]:
    for change in spec.changes[:NAMED_CHANGES]:
        yield _change(change)
    if len(spec.changes) > NAMED_CHANGES:
        yield f"  and {number(len(spec.changes) - NAMED_CHANGES)} more"
    if spec.counts.duplicate:
        yield f"  {shared_questions(spec.counts)}"
    if spec.requests:
        bodies = f"{count(spec.requests, 'request')}, {size(spec.bytes)}"
        tokens = (
            f"about {number(spec.estimate.input_tokens)} input and "
            f"{number(spec.estimate.output_tokens)} output tokens"
        )
        yield f"  {bodies}, {tokens}"
        for note in spec.estimate.notes:
            yield f"  note: {clean_line(note)}"


def _change(change: Change) -> str:
    words = [_MARKS[change.action], clean_line(change.key, _KEY_LIMIT)]
    if change.action is not Action.SUBMIT:
        words.append(change.action.value)
    if change.reason is not None:
        words.append(change.reason.value)
    if change.outcome is not None:
        words.append(f"({change.outcome.name.lower().replace('_', ' ')})")
    return " ".join(words)


def _reasons(spec: SpecPlan) -> str:
    words = [f"{number(items)} {reason.value}" for reason, items in spec.reasons.items() if items]
    words += [
        f"{number(items)} {name}"
        for name, items in (("failed", spec.counts.failed), ("removed", spec.counts.removed))
        if items
    ]
    return ", ".join(words) or "notes"


def _cell(text: str) -> str:
    """Return a name as a code span; what no name of a spec or model holds becomes ``?``."""
    return f"`{re.sub(r'[^A-Za-z0-9._:/@-]', '?', text[:_KEY_LIMIT]) or '?'}`"


def _name(text: str) -> str:
    """Return a spec's name for HTML; the schema allows letters, digits and dashes only."""
    return re.sub(r"[^a-z0-9-]", "", text)


def _dollars(usd: Decimal | None, *, ceiling: bool = False) -> str:
    return UNKNOWN_PRICE if usd is None else money(usd, ceiling=ceiling)


def _sum(amounts: Sequence[Decimal | None]) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if len(known) == len(amounts) else None
