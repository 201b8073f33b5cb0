"""Harmless text, and how figures are written."""

from __future__ import annotations

import datetime as dt
import json
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.report import figures
from batchspec.report.hygiene import (
    clean_block,
    clean_line,
    harmless_json,
    quoted,
    starts_safely,
)

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def harmful(text: str) -> list[str]:
    """Return the control, surrogate and direction characters of a text."""
    return [
        mark
        for mark in text
        if unicodedata.category(mark) in {"Cc", "Cs", "Zl", "Zp"} or mark in BIDI
    ]


@given(st.text(st.characters(exclude_categories=())))
def test_lines_are_harmless(text: str) -> None:
    """Whatever comes in, one line without control characters comes out, and again the same."""
    line = clean_line(text)
    assert not harmful(line)
    assert "##[" not in line
    assert clean_line(line) == line


@given(st.text(st.characters(exclude_categories=())))
def test_blocks_keep_only_breaks_and_tabs(text: str) -> None:
    """Blocks keep line breaks and tabs, which a quote mark makes safe."""
    assert set(harmful(clean_block(text))) <= {"\n", "\t"}
    assert all(line.startswith("  |") for line in quoted(text).split("\n"))


@given(st.dictionaries(st.text(), st.text()))
def test_json_keeps_its_value(value: dict[str, str]) -> None:
    """Escaping what a terminal could take wrong changes no value."""
    text = harmless_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert not harmful(text)


@pytest.mark.parametrize(
    "payload",
    ["\x1b[2J", "\x1b]52;c;AAAA\x07", "\x9b31m", "a\rb", "\x08\x08", "\u202e", "\u2028x", "\x00"],
)
def test_terminal_payloads(payload: str) -> None:
    """Known attacks on terminals lose what makes them attacks."""
    assert not harmful(clean_line(payload))


def test_lines_are_cut() -> None:
    """A long line ends with an ellipsis at its limit."""
    assert clean_line("x" * 50, 10) == "x" * 7 + "..."
    assert clean_line("x" * 10, 10) == "x" * 10


def test_ci_commands_do_not_start_a_line() -> None:
    """A line that a CI system would obey is quoted; an ordinary one is left alone."""
    assert starts_safely(" ::error::x") == "  |  ::error::x"
    assert starts_safely("a: submitted") == "a: submitted"


@pytest.mark.parametrize(
    ("usd", "ceiling", "text"),
    [
        (None, False, "price unknown"),
        (Decimal(0), False, "$0"),
        (Decimal("0.00001"), False, "less than $0.0001"),
        (Decimal("0.00001"), True, "$0.0001"),
        (Decimal("0.00285"), False, "$0.0028"),
        (Decimal("0.00281"), True, "$0.0029"),
        (Decimal("1234.5"), False, "$1,234.50"),
        (Decimal("5.001"), True, "$5.01"),
    ],
)
def test_money(usd: Decimal | None, ceiling: bool, text: str) -> None:  # noqa: FBT001
    """Money is readable, and "at most" never understates."""
    assert figures.money(usd, ceiling=ceiling) == text


def test_other_figures() -> None:
    """Sizes, times, counts and tables."""
    assert [figures.size(n) for n in (0, 999, 1000, 23811, 256_000_000, 3_000_000_000)] == [
        "0 B",
        "999 B",
        "1.0 KB",
        "23.8 KB",
        "256.0 MB",
        "3.0 GB",
    ]
    assert [figures.seconds(n) for n in (0.25, 5, 119, 300, 7200)] == [
        "0.2 s",
        "5 s",
        "119 s",
        "5 min",
        "2 h",
    ]
    summer = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert figures.moment(summer) == "2026-07-01 10:00Z"
    assert figures.moment(None) == "-"
    assert figures.count(2, "batch", "batches") == "2 batches"
    assert figures.table([("a", "1"), ("bbb", "22")], right=(1,)) == ["a     1", "bbb  22"]
