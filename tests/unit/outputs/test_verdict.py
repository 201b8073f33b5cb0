"""Severities and thresholds, with dbt's meaning."""

from __future__ import annotations

import pytest

from batchspec.outputs.verdict import holds, verdict_of
from batchspec.spec.model import Check


@pytest.mark.parametrize(
    ("options", "failures", "verdict"),
    [
        ({}, 0, "pass"),
        ({}, 1, "error"),
        ({"severity": "warn"}, 1, "warn"),
        ({"error_if": "> 10"}, 10, "warn"),
        ({"error_if": "> 10"}, 11, "error"),
        ({"error_if": "> 10", "warn_if": "> 5"}, 5, "pass"),
        ({"error_if": "> 10", "warn_if": "> 5"}, 6, "warn"),
        ({"severity": "warn", "error_if": "> 10"}, 100, "warn"),
        ({"severity": "warn", "warn_if": "> 10"}, 10, "pass"),
        ({"error_if": ">= 2.5%"}, 5, "error"),
        ({"error_if": ">= 2.5%", "warn_if": "> 4"}, 4, "pass"),
    ],
)
def test_thresholds_decide(options: dict[str, str], failures: int, verdict: str) -> None:
    """Error is asked before warning, and a warning never becomes an error."""
    check = Check.model_validate({"name": "a check", "sql": "SELECT 1", **options})
    assert verdict_of(check, failures, 200) == verdict


@pytest.mark.parametrize(
    ("threshold", "true_for"),
    [
        ("=2", [2]),
        ("== 2", [2]),
        ("!= 2", [0, 1, 3, 4]),
        ("<>2", [0, 1, 3, 4]),
        ("< 2", [0, 1]),
        ("<=2", [0, 1, 2]),
        (" > 2 ", [3, 4]),
        (">= 2", [2, 3, 4]),
        ("> 50%", [3, 4]),
        (">= 50 %", [2, 3, 4]),
        ("= 25.0%", [1]),
    ],
)
def test_a_comparison_means_what_it_says(threshold: str, true_for: list[int]) -> None:
    """Counts are compared with counts, percentages exactly with parts of the rows."""
    assert [failures for failures in range(5) if holds(threshold, failures, 4)] == true_for


def test_a_percentage_of_no_rows_is_zero() -> None:
    """Nothing was looked at, so nothing can be too much."""
    assert not holds("> 0%", 0, 0)


def test_what_is_no_comparison_is_refused() -> None:
    """The schema keeps such a text out; here it is a bug."""
    with pytest.raises(ValueError, match="no comparison"):
        holds("10", 1, 1)
