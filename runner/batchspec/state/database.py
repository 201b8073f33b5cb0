"""What a ledger needs of a database: a few statements, one transaction at a time.

The ledger's rules (`state.reader`, `state.writer`) are written once, in SQL that SQLite and
PostgreSQL both take: parameters are ``?1``, ``?2``, …, rows come back as tuples. `state.sqlite` and
`state.postgres` are what differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from batchspec.records import frozen

Row = tuple[Any, ...]


@frozen
class Insert:
    """An INSERT that can take many rows."""

    table: str
    row: str
    """The values of a row, parameters among them in the order of their numbers."""
    conflict: str
    """What is done with a row whose key is there already."""

    @property
    def one(self) -> str:
        """The statement for one row."""
        return f"INSERT INTO {self.table} VALUES ({self.row}) {self.conflict}"  # noqa: S608 - our own words

    def many(self, count: int) -> str:
        """Return the statement for so many rows, with parameters that have no numbers."""
        row = re.sub(r"\?\d", "?", self.row)
        rows = ", ".join([f"({row})"] * count)
        return f"INSERT INTO {self.table} VALUES {rows} {self.conflict}"  # noqa: S608 - our own words


class Database(Protocol):
    """One connection. Each method raises `StateFailure` when the database cannot do it."""

    @property
    def name(self) -> str:
        """How messages call it: the file's path, or the server's address without secrets."""
        ...

    def rows(self, sql: str, *values: object) -> list[Row]:
        """Return the rows of a query."""
        ...

    def stream(self, sql: str, size: int) -> Iterator[list[Row]]:
        """Yield the rows of a large query in lists of at most ``size``, inside a `snapshot`."""
        ...

    def change(self, sql: str, *values: object) -> int:
        """Execute a statement; return how many rows it changed."""
        ...

    def change_many(self, sql: str, rows: Iterable[Sequence[object]]) -> int:
        """Execute a statement once for each row of values; return how many rows it changed."""
        ...

    def insert_many(self, insert: Insert, rows: Sequence[Row]) -> int:
        """Insert rows of different keys; return how many were inserted or changed."""
        ...

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Append many rows to a table."""
        ...

    def renumber(self, table: str) -> None:
        """Let the numbers that a table gives to new rows begin after those it was filled with."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all queries of the block see the database as it was at one moment."""
        ...

    def begin(self) -> None:
        """Begin a transaction that writes; no other writer comes between."""
        ...

    def commit(self) -> None:
        """Make the transaction durable; when this returns, it is."""
        ...

    def rollback(self) -> None:
        """Undo the transaction, if there still is one."""
        ...

    def generation(self) -> int:
        """Return the newest lease's generation (0: none); the transaction keeps it as it is."""
        ...

    def has_table(self, table: str) -> bool:
        """Tell whether there is such a table: a state of an older version may lack one."""
        ...

    def claim_sum(self, digest: bytes, tail: str) -> int:
        """Return the checksum of a claim's row; ``tail`` is `state.tables.sum_tail` of the rest."""
        ...

    def integrity(self) -> list[str]:
        """Return what the database itself finds wrong with its pages."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
