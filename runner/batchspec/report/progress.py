"""How far work has come: as one line of a log, as sentences, and as JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from batchspec.report.figures import count, money, number, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchspec.events import Expectation, Progress

_BRIEF = 1.0
"""Less than so many seconds are no expectation worth a word."""


def progress_line(progress: Progress) -> str:
    """Return the figures as one line: done, money, time so far, time left."""
    return ", ".join((_batches(progress), _done(progress), *_money_and_time(progress)))


def _done(progress: Progress) -> str:
    """Say how many items have their answers; requests where items are not known."""
    if progress.items is None or progress.items_done is None:
        return f"{number(progress.requests_done)} of {count(progress.requests, 'request')}"
    return f"{number(progress.items_done)} of {count(progress.items, 'item')}"


def progress_brief(progress: Progress) -> str:
    """Return the line without the items, for where a bar shows them."""
    return ", ".join((_batches(progress), *_money_and_time(progress)))


def _batches(progress: Progress) -> str:
    return f"{number(progress.batches_done)} of {count(progress.batches, 'batch', 'batches')}"


def _money_and_time(progress: Progress) -> Iterator[str]:
    told = _told(progress.expected)
    left = "" if told is None else f"about {seconds(told.seconds)} left"
    yield from filter(None, (_spent(progress), seconds(progress.elapsed), left))


def _spent(progress: Progress) -> str:
    if progress.usd is None:
        return ""
    of = "" if progress.budget is None else f" of {money(progress.budget)}"
    return f"{money(progress.usd)}{of}" if of or progress.usd else ""


def _told(expected: Expectation | None) -> Expectation | None:
    return None if expected is None or expected.most < _BRIEF else expected


def progress_lines(progress: Progress) -> Iterator[str]:
    """Yield the figures as sentences, each at most 80 columns wide."""
    after = seconds(progress.elapsed)
    yield f"{_batches(progress)} and {_done(progress)} done after {after}."
    if told := _told(progress.expected):
        ends = (seconds(told.least), seconds(told.most))
        span = "" if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}, "
        past = count(told.batches, "earlier batch", "earlier batches")
        yield f"Should end in about {seconds(told.seconds)} ({span}judged by {past})."
    if progress.late:
        late = count(progress.late, "batch has", "batches have")
        yield f"{late} taken longer than any like it before."
    yield " ".join(_money(progress))


def _money(progress: Progress) -> Iterator[str]:
    so_far = "Spent so far: " + money(progress.usd)
    more = "" if progress.usd_open is None else f", at most {_most(progress.usd_open)} more"
    yield f"{so_far}{more}."
    if progress.budget is not None:
        yield f"Budget: {money(progress.budget)}."


def _most(usd: Decimal) -> str:
    return money(usd, ceiling=True)


def progress_json(progress: Progress | None) -> dict[str, Any] | None:
    """Return the figures as `status --format json` has them; money as decimal text."""
    if progress is None:
        return None
    expected = progress.expected
    return {
        "batches": progress.batches,
        "batches_done": progress.batches_done,
        "requests": progress.requests,
        "requests_done": progress.requests_done,
        "items": progress.items,
        "items_done": progress.items_done,
        "elapsed_seconds": round(progress.elapsed, 1),
        "expected": None
        if expected is None
        else {
            "seconds": round(expected.seconds, 1),
            "least_seconds": round(expected.least, 1),
            "most_seconds": round(expected.most, 1),
            "batches": expected.batches,
        },
        "late": progress.late,
        "usd": _text(progress.usd),
        "usd_in_flight_max": _text(progress.usd_open),
        "budget_max_usd": _text(progress.budget),
    }


def _text(usd: Decimal | None) -> str | None:
    return None if usd is None else f"{usd.normalize() or Decimal(0):f}"
