"""Differences of answers on the screen, in Markdown and in JSON."""

from __future__ import annotations

import dataclasses

from batchspec.outputs.compare import Comparison, FieldChange, RowChange
from batchspec.report.diff import diff_json, diff_markdown, diff_text

FOUND = Comparison(
    path="out/a.jsonl",
    before="main",
    after="the working tree",
    same=2,
    changed=1,
    new=1,
    gone=3,
    fields=(("result.label", 1),),
    changes=(
        RowChange(
            key='"T-1\\u001b[31m"',
            change="changed",
            fields=(
                FieldChange(field="result.label", before='"low"', after='"```\\n@all <b>"'),
                FieldChange(field="result.why", before=None, after="1"),
            ),
        ),
        RowChange(key='["a",2]', change="new"),
    ),
)
SCREEN = """\
out/a.jsonl: main → the working tree
  same     2
  changed  1
  new      1
  gone     3
  66.66 % of 3 rows agree
  result.label  differs in 1
  ~ "T-1\\u001b[31m"
      result.label: "low" → "```\\n@all <b>"
      result.why: (nothing) → 1
  + ["a",2]
  … and 3 changes more
"""


def test_the_screen_has_figures_fields_and_changes() -> None:
    """Every figure, the fields that differ, and the first changes."""
    assert diff_text([FOUND]) == SCREEN


def test_markdown_keeps_foreign_text_in_fences() -> None:
    """A fence is longer than any in the text, so nothing in it becomes markup or a mention."""
    text = diff_markdown([FOUND])
    assert text.startswith("### batchspec diff: 66.66 % of 3 rows agree\n")
    assert "| 2 | 1 | 1 | 3 |" in text
    body = text.partition("<details>")[2]
    assert "\n````text\n" in body
    assert body.count("````") == 2
    assert "@all" in body.partition("````text")[2].partition("\n````\n")[0]


def test_equal_versions_have_nothing_to_fold() -> None:
    """All rows agree; nothing is listed."""
    same = dataclasses.replace(FOUND, changed=0, new=0, gone=0, fields=(), changes=())
    assert "<details>" not in diff_markdown([same])
    assert diff_text([same]).splitlines()[-1] == "  100 % of 2 rows agree"
    none = dataclasses.replace(same, same=0)
    assert diff_text([none]).splitlines()[-1] == "  no rows in common"
    assert diff_json([none])["outputs"][0]["agreement"] is None


def test_json_has_values_and_not_their_text() -> None:
    """Keys and values are JSON themselves."""
    (found,) = diff_json([FOUND])["outputs"]
    assert found["agreement"] == 0.666667
    assert found["changes"][1]["key"] == ["a", 2]
    assert found["changes"][0]["fields"]["result.why"] == {"before": None, "after": 1}
