"""The ledger in one SQLite file: WAL, synchronous=FULL, readers never blocked by the writer."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from batchspec.errors import Failure, StateFailure
from batchspec.state.database import Insert, Row
from batchspec.state.files import TABLE
from batchspec.state.history import TABLES
from batchspec.state.reader import SqlReader
from batchspec.state.seal import break_seal, seal_complaint, set_seal
from batchspec.state.tables import FORMAT_VERSION, SCHEMA, claim_sum, row_sum
from batchspec.state.writer import SqlLedger

BALLAST_BYTES = 1 << 20
"""Freed when the disk is full, so that a paid batch's id can still be recorded."""
TOGETHER = 100
"""So many rows are inserted by one statement, in six tenths of the time that they take alone."""


@contextlib.contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a `StateFailure` that says what to do."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # SQLite quotes a damaged schema in its message, which then is no UTF-8.
        raise StateFailure(
            f"The state {path} could not be read or written: {error}.",
            hint="If the disk is full or read-only, fix that and run the same command again. If "
            "the file is damaged, restore it from a backup, or move the state folder away and run "
            "`batchspec recover`, which rebuilds it from the API.",
        ) from error


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open the ledger file with the settings that survived the power-cut tests."""
    mode = "rwc" if write else "ro"
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=30
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    if write:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open for reading; a state in a folder that cannot be written is read as a frozen file."""
    connection = connect(path, write=False)
    try:
        connection.execute("SELECT 1 FROM meta").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    return connection


class SqliteDatabase:
    """`state.database.Database` over one file."""

    claim_sum = staticmethod(claim_sum)

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        connection.create_function("row_sum", -1, row_sum, deterministic=True)
        self.connection = connection
        self._path = path

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def rows(self, sql: str, *values: object) -> list[Row]:
        """Return the rows of a query."""
        with sqlite_errors(self._path):
            return self.connection.execute(sql, values).fetchall()

    def stream(self, sql: str, size: int) -> Iterator[list[Row]]:
        """Yield the rows of a query in lists."""
        with sqlite_errors(self._path):
            cursor = self.connection.execute(sql)
            while rows := cursor.fetchmany(size):
                yield rows

    def change(self, sql: str, *values: object) -> int:
        """Execute a statement; return how many rows it changed."""
        with sqlite_errors(self._path):
            before = self.connection.total_changes
            self.connection.execute(sql, values)
            return self.connection.total_changes - before

    def change_many(self, sql: str, rows: Iterable[Sequence[object]]) -> int:
        """Execute a statement for each row of values; return how many rows it changed."""
        with sqlite_errors(self._path):
            before = self.connection.total_changes
            self.connection.executemany(sql, rows)
            return self.connection.total_changes - before

    def insert_many(self, insert: Insert, rows: Sequence[Row]) -> int:
        """Insert rows of different keys; return how many were inserted or changed."""
        whole = len(rows) - len(rows) % TOGETHER
        blocks = (rows[at : at + TOGETHER] for at in range(0, whole, TOGETHER))
        together = (tuple(itertools.chain.from_iterable(block)) for block in blocks)
        changed = self.change_many(insert.many(TOGETHER), together)
        return changed + self.change_many(insert.one, rows[whole:])

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Append many rows to a table."""
        marks = ", ".join("?" for _ in columns)
        self.change_many(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608 - our own names

    def renumber(self, table: str) -> None:
        """Do nothing: SQLite counts on from the highest number."""

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read in one transaction, unless one is open already."""
        if self.connection.in_transaction:
            yield
            return
        self.change("BEGIN")
        try:
            yield
        finally:
            self.rollback()

    def begin(self) -> None:
        """Begin a transaction as the only writer."""
        self.change("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make the transaction durable."""
        self.change("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction, if there still is one."""
        if self.connection.in_transaction:
            self.change("ROLLBACK")

    def generation(self) -> int:
        """Return the newest lease's generation; the file has one writer at a time anyway."""
        rows = self.rows("SELECT gen FROM lease")
        return int(rows[0][0]) if rows else 0

    def has_table(self, table: str) -> bool:
        """Tell whether the file has such a table."""
        sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1"
        return bool(self.rows(sql, table))

    def integrity(self) -> list[str]:
        """Return what is wrong with the file, as its seal and SQLite say."""
        seal = seal_complaint(self._path)
        lines = (line for (line,) in self.rows("PRAGMA integrity_check"))
        found = [f"SQLite: {line}" for line in lines if line != "ok"]
        return found if seal is None else [seal, *found]

    def close(self) -> None:
        """Release the file."""
        self.connection.close()


class SqliteReader(SqlReader):
    """`state.ledger.LedgerReader` over one file."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing ledger for reading.

        Raises:
            StateFailure: when it is damaged or newer than this program.
        """
        with sqlite_errors(path):
            return cls(SqliteDatabase(connect_reader(path), path))


class SqliteLedger(SqlLedger):
    """`state.ledger.Ledger` over one file.

    Args:
        path: The ledger file; created when it does not exist.
        randomness: Source of random bytes, for the lineage.
    """

    def __init__(self, path: Path, randomness: Callable[[int], bytes]) -> None:
        with sqlite_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            break_seal(path)
            connection = connect(path, write=True)
            _create(connection, randomness)
        super().__init__(SqliteDatabase(connection, path))
        self._connection = connection
        self._path = path
        self._ballast = path.with_name("ballast")

    def bind(self, tag: str, batch_id: str, created_at: dt.datetime) -> None:
        """Whatever had no batch, or lost it, → BOUND; the ballast makes room for it."""
        try:
            super().bind(tag, batch_id, created_at)
        except Exception:
            if not self._ballast.exists():
                raise
            self._ballast.unlink()
            super().bind(tag, batch_id, created_at)

    def keep_ballast(self) -> None:
        """Set room aside for the next `bind`; a full disk shows here, before anything is paid."""
        if not self._ballast.exists():
            self._ballast.write_bytes(b"\0" * BALLAST_BYTES)

    def take_lease(self, holder: str, now: dt.datetime) -> None:
        """Become the writer: raise the generation, which fences every earlier holder."""
        break_seal(self._path)  # an earlier holder may have set it since this ledger was opened
        self._db.begin()
        try:
            self.gen = self._db.generation() + 1
            self._db.change(
                "INSERT INTO lease VALUES (1, ?1, ?2, ?3) ON CONFLICT (one) DO UPDATE SET "
                "gen = excluded.gen, holder = excluded.holder, beat_at = excluded.beat_at",
                self.gen,
                holder,
                now.isoformat(),
            )
            self._db.commit()
        except BaseException:
            self._db.rollback()
            raise

    def seal(self) -> None:
        """Seal the file; a writer that was fenced, or has readers beside it, leaves it unsealed."""
        with contextlib.suppress(sqlite3.Error, Failure):
            if self._connection.in_transaction or self._db.generation() != self.gen:
                return
            self._connection.execute("PRAGMA busy_timeout = 200")
            busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                set_seal(self._path)


def _create(connection: sqlite3.Connection, randomness: Callable[[int], bytes]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    if found is None:
        for statement in SCHEMA.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("format_version", FORMAT_VERSION),
                ("lineage", randomness(8).hex()),
                ("serial", 0),
            ],
        )
    for table in (TABLE, *TABLES):
        connection.execute(table)
    connection.execute("COMMIT")
