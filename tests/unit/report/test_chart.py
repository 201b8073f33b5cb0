"""Charts are SVG that says its figures as text too."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from batchspec.report.chart import Bar, bars

HOSTILE = "</svg><script>alert(1)</script>\"'&"


def test_bars_keep_their_proportions_and_escape() -> None:
    """The tallest bar fills the height, others their share, and labels are text."""
    values = [
        Bar(label=HOSTILE, value=4, words="4", short=HOSTILE),
        Bar(label="b", value=1, words="1", short="1"),
    ]
    tree = ET.fromstring(bars(HOSTILE, values, mark=0))  # noqa: S314 - our own text
    assert tree.get("aria-label") == HOSTILE
    heights = [float(rect.get("height", 0)) for rect in tree.iter("rect")]
    assert heights[0] == 4 * heights[1] > 0
    titles = [title.text for title in tree.iter("title")]
    assert titles == [f"{HOSTILE}: 4", "b: 1"]
    assert len(list(tree.iter("line"))) == 1


def test_no_bars_no_chart() -> None:
    """Nothing to show is nothing on the page, and one bar alone compares nothing."""
    assert bars("empty", []) == ""
    assert bars("one", [Bar(label="a", value=1, words="1")]) == ""
