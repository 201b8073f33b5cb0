"""What DuckDB says against a query."""

from __future__ import annotations

from typing import Self


class AuthorSqlError(Exception):
    """DuckDB refuses a query, or batchspec refuses to hand it over.

    Rooms that run author SQL catch it and make a problem of it; where only our own SQL runs,
    nobody catches it and it is a bug.

    Args:
        message: What is wrong, in full sentences.
        line: 1-based line in the author's text, when it is known.
        column: 1-based column in characters, when it is known.
        position: Byte offset in the statement that was run, when DuckDB told one.
        missing: The path, relative to the project root, that means no file; None for all else.
    """

    def __init__(
        self,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        position: int | None = None,
        missing: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.position = position
        self.missing = missing

    @classmethod
    def at(
        cls, message: str, text: str, position: int | None, *, missing: str | None = None
    ) -> Self:
        """Return the error with line and column of a byte ``position`` of ``text``."""
        if position is None:
            return cls(message, missing=missing)
        before = text.encode()[:position].decode(errors="ignore")
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        return cls(message, line=line, column=column, position=position, missing=missing)
