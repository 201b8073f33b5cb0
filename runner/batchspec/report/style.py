"""Colours for people, or none."""

from __future__ import annotations

from batchspec.records import frozen

_RESET = "\x1b[0m"


@frozen
class Style:
    """Emphasis in text reports. Layout never depends on it, so both forms read the same."""

    color: bool = False
    """Whether ANSI escape sequences may be written."""

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}{_RESET}" if self.color and text else text

    def bold(self, text: str) -> str:
        """Mark a heading."""
        return self._wrap("1", text)

    def dim(self, text: str) -> str:
        """Mark what may be skipped."""
        return self._wrap("2", text)

    def good(self, text: str) -> str:
        """Mark what is as it should be."""
        return self._wrap("32", text)

    def warn(self, text: str) -> str:
        """Mark what deserves a look."""
        return self._wrap("33", text)

    def bad(self, text: str) -> str:
        """Mark what is wrong."""
        return self._wrap("31", text)


PLAIN = Style()
"""No colours at all."""
