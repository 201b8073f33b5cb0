"""One self-contained page of a project: nothing is fetched when it is opened, nothing in it runs.

Inputs, prompts and answers are hostile text. The template escapes everything; items travel as JSON
that the page's script turns into text nodes; and a content security policy that names the page's
own script and style by their digests lets nothing else run, whatever slipped through.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from importlib.resources import files
from itertools import zip_longest
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from batchspec.outputs.overview import BatchLine, ItemLine, Overview, SpecOverview
from batchspec.outputs.spending import Group, Sums
from batchspec.records import frozen
from batchspec.report.chart import Bar, bars
from batchspec.report.cost import BREAKDOWNS, broken_down, total
from batchspec.report.figures import moment, money, number, seconds
from batchspec.report.history import ending, subject, work
from batchspec.report.hygiene import clean_block

SHOWN_ADVICE = 6
"""So many savings are shown at once, the largest first."""
MOST_LABELS = 30
"""A confusion table with more labels says nothing on a page."""
MOST_BYTES = 4_000_000
"""Of all items together: a page stays below 5 MB however long its texts are."""
SUCCEEDED = "succeeded"
_MINUTE = 60


@frozen
class _Confusion:
    """A table of expected and given labels."""

    name: str
    compared: int
    agreed: int
    given: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]


@frozen
class _Shown:
    """A spec with what is drawn of it."""

    of: SpecOverview
    chart: Markup
    confusions: tuple[_Confusion, ...]


def page(overview: Overview, *, addressed: Callable[[str], str] = str) -> str:
    """Return the page.

    Args:
        overview: What is on it.
        addressed: Completes the commands of a sentence, so that they may be followed.
    """
    css, js = _resource("page.css"), _resource("page.js")
    totals = total(overview.spending.groups)
    specs = [_shown(spec) for spec in overview.specs]
    items = _fitting(overview.specs)
    text = (
        _environment(addressed)
        .from_string(_resource("page.html.j2"))
        .render(
            overview=overview,
            spending=overview.spending,
            emulated=overview.spending.emulated,
            totals=totals,
            cache_saved=totals.usd_uncached - totals.usd,
            breakdowns=[*_breakdowns(overview.spending.groups)],
            days=_days(overview),
            durations=_durations(overview.batches),
            advice=sorted(overview.spending.advice, key=lambda one: one.usd or 0, reverse=True),
            shown_advice=SHOWN_ADVICE,
            runs=overview.history.runs,
            specs=specs,
            statuses=sorted({item["status"] for item in items}),
            sampled=len(items),
            all_items=sum(spec.items for spec in overview.specs),
            items=_json(items),
            css=Markup(css),  # noqa: S704 - our own file
            js=Markup(js),  # noqa: S704 - our own file
            css_digest=_digest(css),
            js_digest=_digest(js),
        )
    )
    return text + "\n"


def _breakdowns(groups: tuple[Group, ...]) -> Iterator[tuple[str, dict[str, Sums]]]:
    """Yield the sums that are broken down; a single key is no news."""
    for by in BREAKDOWNS if groups else ():
        parts = broken_down(groups, by)
        if len(parts) > 1 or by != "key":
            yield by, parts


def _coded(text: str) -> Markup:
    """Return a sentence whose parts between backticks are commands."""
    pieces = [escape(clean_block(piece)) for piece in re.split("`([^`]*)`", text)]
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(p) if n % 2 else p for n, p in enumerate(pieces))


def _resource(name: str) -> str:
    return (files("batchspec.report") / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _environment(addressed: Callable[[str], str]) -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_harmless)
    environment.filters.update(money=money, number=number, moment=moment, took=_took)
    environment.filters.update(ending=ending, subject=subject, work=work)
    environment.filters["coded"] = lambda text: _coded(addressed(text))
    return environment


def _harmless(value: Any) -> Any:
    """Take control and direction characters out of every text that stands on the page."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean_block(value)
    return value


def _took(batch: BatchLine) -> str:
    minutes = _minutes(batch)
    return "-" if minutes is None else seconds(minutes * _MINUTE)


def _minutes(batch: BatchLine) -> float | None:
    if batch.created_at is None or batch.ended_at is None:
        return None
    return max(0.0, (batch.ended_at - batch.created_at).total_seconds() / _MINUTE)


def _json(value: Any) -> Markup:
    """Return JSON that cannot end the element it stands in, nor begin another."""
    text = json.dumps(value, ensure_ascii=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)  # noqa: S704 - its marks are escaped


def _fitting(specs: Sequence[SpecOverview]) -> list[dict[str, Any]]:
    """Return the items of all specs, as many as a page of `MOST_BYTES` has room for.

    Failures come first, of each spec as many as of the others; so do they where there is no room
    for all.
    """
    turns = zip_longest(*([(place, line) for line in s.lines] for place, s in enumerate(specs)))
    lines = [line for turn in turns for line in turn if line is not None]
    found, left = [], MOST_BYTES
    for place, line in sorted(lines, key=lambda one: one[1].status == SUCCEEDED):
        item = _item(specs[place].name, line)
        left -= len(_json(item).encode())
        if left < 0:
            break
        found.append((line.status == SUCCEEDED, place, item))
    return [item for *_, item in sorted(found, key=lambda one: one[:2])]


def _item(spec: str, line: ItemLine) -> dict[str, Any]:
    texts = {
        "spec": spec,
        "key": line.key,
        "status": line.status,
        "row": line.row,
        "prompt": line.prompt,
        "answer": line.answer,
        "detail": line.detail,
    }
    usd = None if line.usd is None else f"{line.usd.normalize() or Decimal(0):f}"
    harmless = {name: clean_block(text) for name, text in texts.items()}
    return {**harmless, "output_tokens": line.output_tokens, "usd": usd}


def _days(overview: Overview) -> Markup:
    parts = broken_down(overview.spending.groups, "day")
    values = [
        Bar(label=day[5:], value=float(s.usd), words=f"{money(s.usd)} on {day}", short=money(s.usd))
        for day, s in parts.items()
    ]
    return bars("Spent by day", values)


def _durations(batches: Sequence[BatchLine]) -> Markup:
    took = [(batch, _minutes(batch)) for batch in reversed(batches)]
    values = [
        Bar(
            label=moment(batch.created_at)[5:16],
            value=minutes,
            words=_took(batch),
            short=_took(batch),
        )
        for batch, minutes in took
        if minutes is not None
    ]
    return bars("How long batches took, in the order in which they were made", values)


def _shown(spec: SpecOverview) -> _Shown:
    counts = {bin_.upto: bin_.answers for bin_ in spec.bins}
    ends = [2**power for power in range(max([*counts, spec.max_tokens]).bit_length() + 1)]
    ends = [end for end in ends if end >= min(counts, default=1)]
    values = [
        Bar(
            label=f"≤ {end:,}",
            value=counts.get(end, 0),
            words=f"{counts.get(end, 0):,} answers",
            short=f"{counts.get(end, 0):,}",
        )
        for end in ends
        if counts
    ]
    within = [index for index, end in enumerate(ends) if end <= spec.max_tokens]
    return _Shown(
        of=spec,
        chart=bars(
            "Answers by output tokens; the line is max_tokens",
            values,
            mark=within[-1] if within else None,
        ),
        confusions=tuple(_confusions(spec.checks)),
    )


def _confusions(checks: Sequence[Mapping[str, Any]]) -> Iterator[_Confusion]:
    for check in checks:
        evaluation = check.get("evaluation") or {}
        cells = [
            (str(e), "(no answer)" if g is None else str(g), int(n))
            for e, g, n in evaluation.get("confusion", ())
        ]
        expected = sorted({cell[0] for cell in cells})
        given = sorted({cell[1] for cell in cells} | set(expected))
        if not cells or len(given) > MOST_LABELS:
            continue
        counts = {(e, g): n for e, g, n in cells}
        yield _Confusion(
            name=str(check["name"]),
            compared=int(evaluation["compared"]),
            agreed=int(evaluation["agreed"]),
            given=tuple(given),
            rows=tuple((e, tuple(counts.get((e, g), 0) for g in given)) for e in expected),
        )
