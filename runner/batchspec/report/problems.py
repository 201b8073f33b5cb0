"""Problems as text and as JSON."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from batchspec.problems import Place, Problem, Severity
from batchspec.report.figures import count
from batchspec.report.hygiene import clean_line
from batchspec.report.style import PLAIN, Style

if TYPE_CHECKING:
    from collections.abc import Sequence


def problems_text(
    problems: Sequence[Problem], *, style: Style = PLAIN, carets: bool = False
) -> str:
    """Return every problem, one line each, or with its source line and a caret.

    Args:
        problems: What to show, in the order given.
        style: Colours.
        carets: Show the offending line with a caret below its place (for terminals).
    """
    return "\n".join(_problem(problem, style, carets=carets) for problem in problems)


def problems_total(problems: Sequence[Problem]) -> str:
    """Return ``2 problems, 1 warning`` with the zero part left out."""
    warnings = sum(problem.severity is Severity.WARNING for problem in problems)
    errors = len(problems) - warnings
    parts = [count(errors, "problem")] if errors or not warnings else []
    return ", ".join([*parts, *([count(warnings, "warning")] if warnings else [])])


def problems_json(problems: Sequence[Problem]) -> dict[str, Any]:
    """Return ``{"problems": […]}`` as JSON mode prints it."""
    return {"problems": [_as_json(problem) for problem in problems]}


def _as_json(problem: Problem) -> dict[str, Any]:
    document = {
        "code": problem.code,
        "severity": problem.severity.value,
        "summary": problem.summary,
        "detail": problem.detail,
        "where": _place(problem.where),
    }
    return document if problem.rule is None else document | {"rule": _place(problem.rule)}


def _place(where: Place | None) -> dict[str, Any] | None:
    return (
        None if where is None else {"file": where.file, "line": where.line, "column": where.column}
    )


def _problem(problem: Problem, style: Style, *, carets: bool) -> str:
    line = _marked(clean_line(problem.message()), problem, style)
    if carets and problem.where is not None:
        return line + _caret(problem.where, style)
    return line


def _marked(line: str, problem: Problem, style: Style) -> str:
    """Say ``warning`` after the code, and colour the code."""
    paint = style.warn if problem.severity is Severity.WARNING else style.bad
    before, code, after = line.partition(f"{problem.code}: ")
    if not code:
        return line
    word = "warning: " if problem.severity is Severity.WARNING else ""
    return f"{before}{paint(f'{problem.code}:')} {word}{after}"


def _caret(where: Place, style: Style) -> str:
    """Return the source line and a caret below its column, or nothing where there is no line."""
    if where.source is None or where.line is None:
        return ""
    gutter = f"{where.line} | "
    shown = f"\n  {style.dim(gutter)}{_flat(where.source)}"
    if where.column is None:
        return shown
    blank = " " * (len(gutter) - 2)
    before = _flat(where.source[: where.column - 1])
    return f"{shown}\n  {blank}{style.dim('| ')}{' ' * _width(before)}{style.bad('^')}"


def _width(text: str) -> int:
    """Return how many terminal columns a text takes; East Asian characters take two."""
    return sum(2 if unicodedata.east_asian_width(mark) in "WF" else 1 for mark in text)


def _flat(source: str) -> str:
    """Return a source line in which every character is one column wide and harmless."""
    return clean_line(f".{source.replace(chr(9), ' ')}.")[1:-1]
