"""How numbers, money, sizes, counts of things and keys are written in text reports."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from batchspec.report.hygiene import clean_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchspec.plan.model import Counts

_CENT = Decimal("0.01")
_FINE = Decimal("0.0001")
_KILO = 1000
_KEY_LIMIT = 60
UNKNOWN_PRICE = "price unknown"


def number(value: int) -> str:
    """Return a whole number with thousands separators."""
    return f"{value:,}"


def count(value: int, noun: str, plural: str = "") -> str:
    """Return ``1 item`` or ``1,000 items``."""
    word = noun if value == 1 else plural or f"{noun}s"
    return f"{number(value)} {word}"


def money(usd: Decimal | None, *, ceiling: bool = False) -> str:
    """Return USD as people read it: cents from one dollar on, four decimals below.

    Args:
        usd: The amount; None when a price is unknown.
        ceiling: Round up, for "at most" figures, which must never understate.
    """
    if usd is None:
        return UNKNOWN_PRICE
    step = _CENT if abs(usd) >= 1 else _FINE
    rounded = usd.quantize(step, rounding=ROUND_CEILING if ceiling else ROUND_HALF_EVEN)
    if not rounded and usd > 0:
        return f"less than ${_FINE}"
    return f"${rounded:,}" if usd else "$0"


def shared_questions(counts: Counts) -> str:
    """Say that some items to submit are answered by another item's request."""
    if counts.duplicate == 1:
        return "1 of them asks what another one asks; one request answers both."
    if counts.duplicate == counts.submit:
        return "They ask what items of another spec ask; one request answers all alike."
    return f"{number(counts.duplicate)} of them ask what others ask; one request answers all alike."


def about(usd: Decimal | None) -> str:
    """Return ``about $0.0029``, ``less than $0.0001``, or that the price is unknown."""
    told = money(usd)
    return f"about {told}" if told.startswith("$") else told


def size(value: int) -> str:
    """Return a byte count in B, KB, MB or GB (decimal units, as the API's limits are)."""
    amount = float(value)
    for unit in ("B", "KB", "MB"):
        if amount < _KILO:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KILO
    return f"{amount:.1f} GB"


def seconds(value: float) -> str:
    """Return a waiting time in words: ``5 s``, ``3 min``, ``2 h``."""
    minute, hour = 60, 3600
    if value < 2 * minute:
        return f"{value:.0f} s" if value >= 1 else f"{value:.1f} s"
    if value < 2 * hour:
        return f"{value / minute:.0f} min"
    return f"{value / hour:.0f} h"


def moment(value: dt.datetime | None) -> str:
    """Return a time to the minute in UTC, or a dash when there is none."""
    return "-" if value is None else value.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%MZ")


def key_label(key: str) -> str:
    """Return an item's key (canonical JSON text) as one harmless, short piece of a line."""
    return clean_line(key, _KEY_LIMIT)


def some_keys(keys: Sequence[str], total: int, shown: int = 3) -> str:
    """Return the first few keys and how many more there are."""
    names = ", ".join(key_label(key) for key in keys[:shown])
    rest = total - min(shown, len(keys))
    return f"{names} and {number(rest)} more" if rest > 0 else names


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Return rows as aligned columns two blanks apart; columns in ``right`` align right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
