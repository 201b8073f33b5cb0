"""The page of a project: its size is bounded, and nothing hostile becomes markup."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser

from batchspec.outputs.overview import (
    BatchLine,
    FailureKind,
    ItemLine,
    Overview,
    SpecOverview,
)
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
from batchspec.state.history import RunRecord
from batchspec.state.runs import PastRun, RunHistory

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
        failures=(FailureKind(status=text, kind=text, items=2, answers=3),),
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
        history=RunHistory(runs=(past(text),), total=3),
    )


def past(text: str) -> PastRun:
    """Return a command of which every text is the same."""
    record = RunRecord(
        run="1",
        command=text,
        began_at=NOW,
        specs=(text,),
        actor=text,
        host=text,
        ci_url=text,
        commit=text,
        dirty=True,
        detail=text,
        failure=text,
    )
    return PastRun(record=record, latest=True, submissions=("a",), requests=3)


def test_nothing_hostile_becomes_markup() -> None:
    """In every place that takes a text, a hostile one adds no element and no handler."""
    plain, hostile = Tags(), Tags()
    plain.feed(page(overview("plain", 3)))
    hostile.feed(page(overview(HOSTILE, 3)))
    assert hostile.tags == plain.tags
    assert not hostile.handlers
    assert hostile.tags.count("script") == 2


def test_only_an_address_becomes_a_link() -> None:
    """The page of a CI run is linked; any other scheme stays out of the page."""
    run = past("x")
    for address, links in (("https://ci.example/7", 1), ("javascript:alert(1)", 0), ("", 0)):
        shown = replace(run, record=replace(run.record, ci_url=address))
        text = page(replace(overview("plain", 1), history=RunHistory(runs=(shown,), total=1)))
        assert text.count("<a href=") == links
        assert "javascript:" not in text


def test_commands_on_the_page_stand_apart() -> None:
    """What is to be typed is marked as code, completed, and escaped like everything else."""
    told = Advice(code="x", spec="", message="Try `batchspec run <b>` and a lone ` mark.")
    plain = overview("plain", 1)
    given = replace(plain, spending=replace(plain.spending, advice=(told,)))
    text = page(given, addressed=lambda sentence: sentence.replace("run", "run --emulate"))
    assert "Try <code>batchspec run --emulate &lt;b&gt;</code> and a lone ` mark." in text


def test_the_largest_savings_come_first() -> None:
    """A few are shown at once; the others wait behind a line that says how many there are."""
    many = tuple(Advice(code="x", spec=f"s{n:02}", message="m", usd=Decimal(n)) for n in range(20))
    plain = overview("plain", 1)
    text = page(replace(plain, spending=replace(plain.spending, advice=many)))
    order = re.findall(r"<strong>s(\d\d)</strong>", text)
    assert order == [f"{n:02}" for n in reversed(range(20))]
    assert "<summary>14 more that save less</summary>" in text


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


def test_failures_of_every_spec_come_first() -> None:
    """What failed in the last spec stands before what went well in the first, room or no room."""
    bad = replace(line("bad"), status="errored")
    for text in ("short", "long" * 2000):
        first = replace(spec("first", 0), lines=(line(text),) * 600)
        last = replace(spec("last", 0), lines=(bad, *(line(text),) * 600))
        shown = page(replace(overview("plain", 1), specs=(first, last)))
        (found,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', shown)
        items = json.loads(found)
        assert (items[0]["spec"], items[0]["status"]) == ("last", "errored")
        (whole, part) = (sum(item["spec"] == name for item in items) for name in ("first", "last"))
        assert abs(whole - part) <= 1, "no spec takes the room of the others"


def test_all_items_are_no_sample() -> None:
    """Where every item is in the table, it is not called a sample."""
    few = replace(spec("few", 3), items=3)
    assert "All 3 items, failures first" in page(replace(overview("plain", 1), specs=(few,)))


def test_what_the_page_tells() -> None:
    """Costs, checks, the confusion table, lengths and batches are on it."""
    text = page(overview("plain", 1))
    for part in ("$1.50", "2 of 3 agree", "(no answer)", "1 were cut short", "5 min", "collected"):
        assert part in text, part
