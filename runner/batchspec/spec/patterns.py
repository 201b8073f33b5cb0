"""Regular expressions of specs: RE2, as in DuckDB, whose time is linear in the text."""

from __future__ import annotations

import functools
from typing import Protocol


class Match(Protocol):
    """Where a pattern was found."""

    def group(self, number: int = 0) -> str | None:
        """Return the text of a group, None when it took no part; 0 is the whole match."""

    def groupdict(self) -> dict[str, str | None]:
        """Return the named groups."""


class Pattern(Protocol):
    """A compiled regular expression."""

    @property
    def groups(self) -> int:
        """How many groups it has."""

    def search(self, text: str) -> Match | None:
        """Return the first place where it is found."""


class PatternRefusedError(ValueError):
    """Not a regular expression of RE2; the message says why."""


@functools.lru_cache(maxsize=64)
def compiled(pattern: str) -> Pattern:
    """Return a compiled regular expression.

    Raises:
        PatternRefusedError: RE2 does not take it.
    """
    import re2  # noqa: PLC0415 - only specs with `parse: regex` pay for it

    options = re2.Options()
    options.log_errors = False  # it would write to stderr itself
    try:
        found: Pattern = re2.compile(pattern, options)
    except re2.error as error:
        text = error.args[0] if error.args else b""
        raise PatternRefusedError(
            text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        ) from None
    return found
