"""Checks in the summary of a run: what failed, which rows, and how well labels agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchspec.report.figures import count, number, table
from batchspec.report.hygiene import clean_line, quoted
from batchspec.report.style import PLAIN, Style

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchspec.events import CheckDone, Evaluation

_SAMPLES = 3
_LABELS = 20
_MATRIX = 10
"""Up to so many labels the confusion table fits a terminal."""
_NONE = "(none)"


def headline(check: CheckDone) -> str:
    """Return the check's name with what was found: rows, or the figure against its limit."""
    found = check.detail
    if not found and check.failures:
        found = count(check.failures, "row")
        if check.verdict == "pass":
            found += ", fewer than would matter"
    return f"{check.name} ({found})" if found else check.name


def check_lines(check: CheckDone, *, style: Style = PLAIN) -> Iterator[str]:
    """Yield a check's lines in the summary."""
    words = {
        "pass": style.good("check passed"),
        "warn": style.warn("check warns"),
        "error": style.bad("check failed"),
    }[check.verdict]
    yield f"  {words}: {clean_line(headline(check))}"
    if check.verdict != "pass":
        shown = check.samples[:_SAMPLES]
        yield from (quoted(clean_line(sample, 200), "  ") for sample in shown)
        more = check.failures - len(shown)
        if shown and more:
            yield f"    … and {number(more)} more{_kept(check)}"
    if check.evaluation is not None:
        yield from (f"    {line}" for line in evaluation_lines(check.evaluation))


def _kept(check: CheckDone) -> str:
    return "" if check.quarantine is None else f" in {clean_line(check.quarantine)}"


def evaluation_lines(evaluation: Evaluation) -> Iterator[str]:
    """Yield precision and recall by label and, for a few labels, the confusion table."""
    labels = evaluation.labels[:_LABELS]
    if not labels:
        return
    rows = [("label", "expected", "given", "precision", "recall")]
    rows += [
        (
            _label(score.label),
            number(score.expected),
            number(score.given),
            _ratio(score.precision),
            _ratio(score.recall),
        )
        for score in labels
    ]
    yield from table(rows, right=(1, 2, 3, 4))
    if len(labels) < len(evaluation.labels):
        yield f"… and {number(len(evaluation.labels) - len(labels))} labels more"
    if evaluation.agreed < evaluation.compared and len(evaluation.labels) <= _MATRIX:
        yield from _matrix(evaluation)


def _matrix(evaluation: Evaluation) -> list[str]:
    cells = {(expected, got): rows for expected, got, rows in evaluation.confusion}
    down = sorted({expected for expected, _ in cells})
    across: list[str | None] = [*sorted({got for _, got in cells if got is not None})]
    if any(got is None for _, got in cells):
        across.append(None)
    head = ("expected \\ given", *(_label(got) for got in across))
    rows: list[tuple[str, ...]] = [head]
    rows += [
        (_label(expected), *(number(cells.get((expected, got), 0)) for got in across))
        for expected in down
    ]
    return table(rows, right=range(1, len(head)))


def _label(label: str | None) -> str:
    return _NONE if label is None else clean_line(label, 30)


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def check_json(check: CheckDone) -> dict[str, Any]:
    """Return a check as `run --format json` prints it."""
    document: dict[str, Any] = {
        "name": check.name,
        "kind": check.kind,
        "severity": check.severity,
        "verdict": check.verdict,
        "failures": check.failures,
        "detail": check.detail,
        "samples": list(check.samples),
        "quarantine": check.quarantine,
    }
    if check.evaluation is not None:
        document["evaluation"] = _evaluation_json(check.evaluation)
    return document


def _evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    compared = evaluation.compared
    return {
        "compared": compared,
        "agreed": evaluation.agreed,
        "accuracy": round(evaluation.agreed / compared, 6) if compared else None,
        "labels": [
            {
                "label": score.label,
                "expected": score.expected,
                "given": score.given,
                "correct": score.correct,
                "precision": _rounded(score.precision),
                "recall": _rounded(score.recall),
            }
            for score in evaluation.labels
        ],
        "confusion": [
            {"expected": expected, "given": given, "rows": rows}
            for expected, given, rows in evaluation.confusion
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def checks_json(checks: Sequence[CheckDone]) -> list[dict[str, Any]]:
    """Return checks as `run --format json` prints them."""
    return [check_json(check) for check in checks]
