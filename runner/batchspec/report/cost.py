"""Where the money went, as text, JSON and CSV out of one summary."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from batchspec.outputs.hindsight import Hindsight, signed
from batchspec.outputs.spending import TOKENS, Group, Spending, Sums
from batchspec.report.figures import count, money, number, table
from batchspec.report.hygiene import clean_line
from batchspec.report.style import PLAIN, Style

FORMAT_VERSION = 1
BREAKDOWNS: dict[str, Callable[[Group], str]] = {
    "spec": lambda group: group.spec or "(adopted)",
    "model": lambda group: group.model or "(unknown)",
    "day": lambda group: group.day.isoformat(),
    "key": lambda group: group.key or "(unknown)",
}
"""What the sums are broken down by, in the order in which they are shown."""
_MONEY = ("usd", "usd_uncached", "usd_wasted", "usd_searches")
_WHOLE = "\u00a0"
"""A blank at which no line ends."""
_UNFORMATTED = "=+-@\t\r"


def broken_down(groups: tuple[Group, ...], by: str) -> dict[str, Sums]:
    """Return the sums by ``spec``, ``model``, ``day`` or ``key``, in the order of their names."""
    found: dict[str, Sums] = {}
    for group in groups:
        name = BREAKDOWNS[by](group)
        found[name] = found.get(name, Sums()) + group.sums
    return dict(sorted(found.items()))


def total(groups: tuple[Group, ...]) -> Sums:
    """Return all sums as one."""
    return sum((group.sums for group in groups), Sums())


def cost_text(spending: Spending, *, style: Style = PLAIN) -> str:
    """Return the summary for a person, at most 100 columns wide."""
    sums = total(spending.groups)
    lines = [] if spending.environment is None else [f"Environment {spending.environment}."]
    if not sums.answers and not spending.in_flight.requests:
        return "\n".join([*lines, "Nothing was collected yet, so nothing was spent.\n"])
    lines += [*_head(spending, sums), ""]
    for by in BREAKDOWNS:
        parts = broken_down(spending.groups, by)
        if len(parts) > 1 or by == "spec":
            lines += [*_table(by, parts, style), ""]
    if spending.hindsights:
        lines += [*_plans(spending.hindsights, style), ""]
    if spending.advice:
        lines.append(style.bold("What could be saved"))
        for advice in spending.advice:
            place = f"{clean_line(advice.spec)}: " if advice.spec else ""
            text = f"{place}{clean_line(advice.message, 600)}"
            lines += _wrapped(text)
    return "\n".join(lines).rstrip() + "\n"


def _wrapped(text: str) -> list[str]:
    """Return lines of at most 98 columns; what is to be typed is not torn apart."""
    whole = re.sub("`[^`]*`", lambda found: found[0].replace(" ", _WHOLE), text)
    lines = textwrap.wrap(
        whole, 98, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
    )
    return [line.replace(_WHOLE, " ") for line in lines]


def _head(spending: Spending, sums: Sums) -> Iterator[str]:
    note = " (emulated: nothing was really paid)" if spending.emulated else ""
    usable = f"{number(sums.succeeded)} of {count(sums.answers, 'answer')} usable"
    yield f"Spent {money(sums.usd)}{note}, {usable}."
    saved = sums.usd_uncached - sums.usd
    cached = any(sums.token(name) for name in ("cache_read", "cache_write_5m", "cache_write_1h"))
    word = "saved" if saved >= 0 else "cost more than it saved, by"
    caching = f"prompt caching {word} {money(abs(saved))}" if cached else "nothing was cached"
    yield f"The batch discount saved {money(sums.usd - sums.usd_searches)}; {caching}."
    if sums.usd_searches:
        yield f"{money(sums.usd_searches)} went to web searches, which no batch makes cheaper."
    if sums.usd_wasted:
        yield f"{money(sums.usd_wasted)} went to refused, truncated and invalid answers."
    if sums.unpriced:
        lacking = count(sums.unpriced, "answer")
        yield f"{lacking} of models without a price on record are in no sum; set `prices`."
    if spending.in_flight.requests:
        most = spending.in_flight.usd_max
        usd = "at an unknown price" if most is None else f"at most {money(most, ceiling=True)}"
        yield f"In flight: {count(spending.in_flight.requests, 'request')}, {usd}."


def _table(by: str, parts: dict[str, Sums], style: Style) -> list[str]:
    head = (by.upper(), "ANSWERS", "INPUT", "CACHED", "OUTPUT", "USD", "WITHOUT CACHE")
    rows = [head]
    for name, sums in parts.items():
        written = sums.token("cache_write_5m") + sums.token("cache_write_1h")
        rows.append(
            (
                clean_line(name, 40),
                number(sums.answers),
                number(sums.token("input_tokens") + written),
                number(sums.token("cache_read")),
                number(sums.token("output_tokens")),
                money(sums.usd) if sums.unpriced < sums.answers else "price unknown",
                money(sums.usd_uncached),
            )
        )
    first, *rest = table(rows, right=range(1, len(head)))
    return [style.bold(first), *rest]


def _plans(hindsights: Sequence[Hindsight], style: Style) -> list[str]:
    """Return what the last plans expected beside what was paid."""
    head = ("LAST PLAN", "ANSWERS", "EXPECTED", "AT MOST", "PAID", "OFF", "INPUT OFF", "OUTPUT OFF")
    rows = [head]
    for one in hindsights:
        prices = (money(one.usd_expected), money(one.usd_max, ceiling=True), money(one.usd))
        off = (signed(one.usd_off), signed(one.input_off), signed(one.output_off))
        rows.append((clean_line(one.spec, 40), number(one.answers), *prices, *off))
    first, *rest = table(rows, right=range(1, len(head)))
    return [style.bold(first), *rest]


def cost_json(spending: Spending) -> dict[str, Any]:
    """Return the summary as JSON; money as decimal text, so that no digit is lost."""
    return {
        "format_version": FORMAT_VERSION,
        "emulated": spending.emulated,
        **({} if spending.environment is None else {"environment": spending.environment}),
        "prices_as_of": spending.prices_as_of.isoformat(),
        "totals": _sums_json(total(spending.groups)),
        "in_flight": {
            "requests": spending.in_flight.requests,
            "usd_max": _text(spending.in_flight.usd_max),
        },
        **{
            f"by_{by}": {
                name: _sums_json(sums) for name, sums in broken_down(spending.groups, by).items()
            }
            for by in BREAKDOWNS
        },
        "last_plans": {one.spec: _plan_json(one) for one in spending.hindsights},
        "advice": [
            {"code": a.code, "spec": a.spec, "message": a.message, "usd": _text(a.usd)}
            for a in spending.advice
        ],
    }


def _plan_json(one: Hindsight) -> dict[str, Any]:
    return {
        "answers": one.answers,
        "usd": _text(one.usd),
        "usd_expected": _text(one.usd_expected),
        "usd_max": _text(one.usd_max),
        "usd_off_percent": one.usd_off,
        "input_tokens": one.input_tokens,
        "input_off_percent": one.input_off,
        "output_tokens": one.output_tokens,
        "output_off_percent": one.output_off,
    }


def _sums_json(sums: Sums) -> dict[str, Any]:
    return {
        "answers": sums.answers,
        "succeeded": sums.succeeded,
        **dict(zip(TOKENS, sums.tokens, strict=True)),
        **{name: _text(getattr(sums, name)) for name in _MONEY},
        "usd_without_batch": _text(2 * sums.usd - sums.usd_searches),
        "unpriced": sums.unpriced,
    }


def cost_csv(spending: Spending) -> str:
    """Return a row for each spec, model, day and key: what every other sum is made from."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*BREAKDOWNS, "answers", "succeeded", *TOKENS, *_MONEY, "unpriced"))
    for group in spending.groups:
        sums = group.sums
        names = (_cell(name(group)) for name in BREAKDOWNS.values())
        usd = (_text(getattr(sums, name)) for name in _MONEY)
        writer.writerow((*names, sums.answers, sums.succeeded, *sums.tokens, *usd, sums.unpriced))
    return out.getvalue()


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(tuple(_UNFORMATTED)) else text


def _text(usd: Decimal | None) -> str | None:
    if usd is None:
        return None
    exact = usd.normalize()
    return f"{exact or Decimal(0):f}"
