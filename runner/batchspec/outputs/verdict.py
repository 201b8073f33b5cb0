"""What a number of failing rows means: the rules of `severity`, `warn_if` and `error_if`.

They are dbt's: a check of severity ``error`` first asks `error_if`, then `warn_if`; a check of
severity ``warn`` asks `warn_if` alone.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, Literal

from batchspec.events import Evaluation
from batchspec.inputs.engine import Column
from batchspec.records import frozen
from batchspec.spec.model import Check

Verdict = Literal["pass", "warn", "error"]


@frozen
class CheckResult:
    """What one check found."""

    name: str
    kind: str
    """One of `spec.checks.KINDS`."""
    severity: str
    """As the spec has it."""
    verdict: Verdict
    failures: int
    """Rows that fail."""
    samples: tuple[str, ...]
    """The first ten of them as JSON objects, sorted by that text."""
    detail: str = ""
    """The figure that was compared with a limit, in one sentence; empty for rows that fail."""
    evaluation: Evaluation | None = None
    failing: str | None = None
    """The query of the rows that fail; None: the check is not about rows."""
    columns: tuple[Column, ...] = ()
    """Those of ``failing``."""


ANY: Final = "!= 0"
_FORM: Final = re.compile(r"\s*(==?|!=|<>|<=?|>=?)\s*([0-9.]+)\s*(%?)\s*")
_OPERATORS: Final[dict[str, Callable[[Decimal, Decimal], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def verdict_of(check: Check, failures: int, checked: int) -> Verdict:
    """Return what becomes of a check.

    Args:
        check: Its severity and thresholds.
        failures: How many rows fail.
        checked: How many rows were looked at; what a percentage refers to.
    """
    if check.severity == "error" and holds(check.error_if or ANY, failures, checked):
        return "error"
    return "warn" if holds(check.warn_if or ANY, failures, checked) else "pass"


def holds(threshold: str, failures: int, checked: int) -> bool:
    """Tell whether a comparison such as ``> 10`` or ``>= 2.5%`` is true.

    Raises:
        ValueError: It is no comparison; the spec's schema refuses such a one.
    """
    form = _FORM.fullmatch(threshold)
    if form is None:
        raise ValueError(f"{threshold!r} is no comparison.")
    limit = Decimal(form[2])
    # Cross-multiplied: a percentage is never rounded, and of no rows it is 0.
    found = Decimal(failures * 100) if form[3] else Decimal(failures)
    return _OPERATORS[form[1]](found, limit * max(checked, 1) if form[3] else limit)
