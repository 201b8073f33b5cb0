"""Mistakes of a spec's author, as values with a place.

A problem never travels as an exception: loaders and rules return `(value | None, problems)` so that
one run reports all of them. `report` renders them; `docs/reference/problems.md` lists the codes.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from batchspec.records import frozen


class Severity(StrEnum):
    """How much a problem matters: errors stop the command, warnings do not."""

    ERROR = "error"
    WARNING = "warning"


@frozen
class Place:
    """Where in a file something stands."""

    file: str
    """Path relative to the project root, with forward slashes."""
    line: int | None = None
    """1-based; None when the whole file is meant."""
    column: int | None = None
    """1-based, in characters."""
    source: str | None = None
    """The text of that line, for the caret display."""


@frozen
class Problem:
    """One mistake of a spec's author."""

    code: str
    """Stable kebab-case identifier, e.g. ``unknown-key``."""
    summary: str
    """What is wrong, one sentence without a final full stop."""
    detail: str = ""
    """Why it matters and what to do, in full sentences."""
    severity: Severity = Severity.ERROR
    where: Place | None = None
    rule: Place | None = None
    """Where the policy's rule stands that a spec breaks; None: no policy is at issue."""

    def message(self) -> str:
        """Return ``file:line:column code: summary. detail`` on one line."""
        place = ""
        if self.where is not None:
            numbers = [n for n in (self.where.line, self.where.column) if n is not None]
            place = ":".join([self.where.file, *map(str, numbers)]) + " "
        text = f"{place}{self.code}: {self.summary}."
        return f"{text} {self.detail}" if self.detail else text


def has_errors(problems: Iterable[Problem]) -> bool:
    """Tell whether any problem is an error rather than a warning."""
    return any(problem.severity is Severity.ERROR for problem in problems)
