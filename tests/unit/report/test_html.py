"""The page of a project: its size is bounded, and nothing hostile becomes markup."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from html.parser import HTMLParser

from batchspec.outputs.overview import BatchLine, ItemLine, Overview, SpecOverview
from batchspec.outputs.spending import (
    Advice,
    Bin,
    Group,
    InFlight,
    Lengths,
    Spending,
    Sums,
)
from batchspec.report.html import page

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\"'&"
NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


class Tags(HTMLParser):
    """Counts elements, and notes attributes that would run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def line(text: str) -> ItemLine:
    """Return an item of which every text is the same."""
    return ItemLine(
        key=json.dumps(text),
        status="succeeded",
        row=text,
        prompt=text,
        answer=text,
        detail=text,
        output_tokens=5,
        usd=Decimal("0.0001"),
        hash=bytes(32),
    )


def spec(text: str, items: int) -> SpecOverview:
    """Return a spec of which every name and text is the same."""
    confusion = [[text, None, 1], ["b", "b", 2]]
    check = {
        "name": text,
        "verdict": "error",
        "failures": 2,
        "detail": text,
        "evaluation": {"compared": 3, "agreed": 2, "confusion": confusion},
    }
    return SpecOverview(
        name=text,
        model=text,
        max_tokens=100,
        items=1_000_000,
        statuses=(("succeeded", 2),),
        waiting=text,
        lengths=Lengths(answers=2, median=3, p95=4, most=5, truncated=1, usd_truncated=Decimal(0)),
        bins=(Bin(upto=4, answers=1), Bin(upto=8, answers=1)),
        checks=(check,),
        lines=(line(text),) * items,
    )


def overview(text: str, items: int) -> Overview:
    """Return a project of which every name and text is the same."""
    sums = Sums(answers=3, succeeded=2, tokens=(10, 0, 0, 0, 5, 0), usd=Decimal("1.5"))
    batch = BatchLine(
        spec=text,
        batch_id=text,
        state="COLLECTED",
        requests=3,
        created_at=NOW,
        ended_at=NOW + dt.timedelta(minutes=5),
    )
    return Overview(
        project=text,
        made_at=NOW,
        spending=Spending(
            groups=(Group(spec=text, model=text, day=NOW.date(), key=text, sums=sums),),
            in_flight=InFlight(requests=7, usd_max=None),
            advice=(Advice(code="window", spec=text, message=text),),
            prices_as_of=NOW.date(),
            emulated=False,
        ),
        specs=(spec(text, items),),
        batches=(batch,),
        batches_total=1,
    )


def test_nothing_hostile_becomes_markup() -> None:
    """In every place that takes a text, a hostile one adds no element and no handler."""
    plain, hostile = Tags(), Tags()
    plain.feed(page(overview("plain", 3)))
    hostile.feed(page(overview(HOSTILE, 3)))
    assert hostile.tags == plain.tags
    assert not hostile.handlers
    assert hostile.tags.count("script") == 2


def test_the_page_allows_only_its_own_script() -> None:
    """The policy names what the page holds by digest, and no source beside it."""
    text = page(overview("plain", 1))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_a_page_stays_small() -> None:
    """However long and however full of marks texts are, the page stays below 5 MB and says so."""
    text = page(overview("<&>" * 500, 1000))
    assert 3_000_000 < len(text.encode()) < 5_000_000
    (shown,) = re.findall(r"A sample of ([\d,]+) of 1,000,000 items", text)
    assert 0 < int(shown.replace(",", "")) < 1000


def test_what_the_page_tells() -> None:
    """Costs, checks, the confusion table, lengths and batches are on it."""
    text = page(overview("plain", 1))
    for part in ("$1.50", "2 of 3 agree", "(no answer)", "1 were cut short", "5 min", "collected"):
        assert part in text, part
