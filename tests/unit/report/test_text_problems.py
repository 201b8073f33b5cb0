"""Problems as lines, with carets, and as JSON."""

from __future__ import annotations

from batchspec.problems import Place, Problem, Severity
from batchspec.report.problems import problems_json, problems_text, problems_total

MISSPELLED = Problem(
    code="unknown-key",
    summary="`modell` is not a key of a spec",
    detail="Did you mean `model`?",
    where=Place(file="specs/a.yaml", line=12, column=3, source="  modell: x"),
)
RETIRING = Problem(
    code="retiring-model",
    summary="Model claude-old retires on 2026-12-01",
    severity=Severity.WARNING,
    where=Place(file="specs/a.yaml", line=2, column=8, source="model:\tclaude-old"),
)
WHOLE_FILE = Problem(code="empty", summary="Nothing is in it", where=Place(file="specs/b.yaml"))


def test_one_line_each() -> None:
    """A log gets one line per problem with its place."""
    assert problems_text([MISSPELLED, RETIRING, WHOLE_FILE]) == (
        "specs/a.yaml:12:3 unknown-key: `modell` is not a key of a spec. Did you mean `model`?\n"
        "specs/a.yaml:2:8 retiring-model: warning: Model claude-old retires on 2026-12-01.\n"
        "specs/b.yaml empty: Nothing is in it."
    )


def test_carets() -> None:
    """A terminal shows the line and a caret below the column; tabs count one column."""
    assert problems_text([MISSPELLED, RETIRING, WHOLE_FILE], carets=True) == (
        "specs/a.yaml:12:3 unknown-key: `modell` is not a key of a spec. Did you mean `model`?\n"
        "  12 |   modell: x\n"
        "     |   ^\n"
        "specs/a.yaml:2:8 retiring-model: warning: Model claude-old retires on 2026-12-01.\n"
        "  2 | model: claude-old\n"
        "    |        ^\n"
        "specs/b.yaml empty: Nothing is in it."
    )


def test_caret_below_wide_characters() -> None:
    """East Asian characters are two columns wide, and the caret stands below the right one."""
    where = Place(file="a.yaml", line=1, column=8, source="name: 日本語")
    text = problems_text([Problem(code="x", summary="y", where=where)], carets=True)
    assert text.splitlines()[2] == "    |         ^"


def test_hostile_source_line() -> None:
    """A source line cannot carry escape sequences to the terminal."""
    where = Place(file="a.yaml", line=1, column=1, source="\x1b[2J::error::x\x9b")
    text = problems_text([Problem(code="x", summary="y", where=where)], carets=True)
    assert text.splitlines()[1] == "  1 | [2J::error::x"


def test_totals() -> None:
    """Problems and warnings are counted apart, and zero is left out."""
    assert problems_total([MISSPELLED, WHOLE_FILE, RETIRING]) == "2 problems, 1 warning"
    assert problems_total([RETIRING]) == "1 warning"
    assert problems_total([MISSPELLED]) == "1 problem"


def test_json() -> None:
    """JSON names code, severity, sentences and place; no place is null."""
    placeless = Problem(code="x", summary="y", detail="z")
    assert problems_json([MISSPELLED, placeless]) == {
        "problems": [
            {
                "code": "unknown-key",
                "severity": "error",
                "summary": "`modell` is not a key of a spec",
                "detail": "Did you mean `model`?",
                "where": {"file": "specs/a.yaml", "line": 12, "column": 3},
            },
            {"code": "x", "severity": "error", "summary": "y", "detail": "z", "where": None},
        ]
    }
