"""The ledger's database on a PostgreSQL server: one schema for each project.

psycopg is imported when a shared state is opened, never before. A connection that is lost between
transactions is made again. One that is lost during COMMIT leaves the outcome open, and then the
server is asked: every transaction leaves a mark, and the row of the lease, which it holds, is free
only when the server is done with it.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import md5
from typing import TYPE_CHECKING, Any

from batchspec.clock import Clock
from batchspec.crashpoints import reached
from batchspec.errors import EnvironmentFailure, StateFailure, StateLocked
from batchspec.state.database import Insert, Row
from batchspec.state.postgres_tables import ADVICE, prepare_schema

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 10
PAUSES = (0.2, 1.0, 3.0, 5.0)
"""Seconds between attempts to make a lost connection again."""


class LedgerUnreachable(EnvironmentFailure):
    """The shared ledger's server cannot be reached, or the connection to it was lost."""


class PostgresDatabase:
    """`state.database.Database` over one connection.

    Args:
        url: ``postgresql://…``; a password comes from it or from libpq's own sources.
        name: The address as messages show it.
        schema: The project's schema.
        clock: Waits between attempts to connect.
        randomness: Source of the marks of transactions.
        idle_seconds: After so long inside a transaction without a word the server ends it.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        schema: str,
        clock: Clock,
        randomness: Callable[[int], bytes],
        idle_seconds: float = 90.0,
    ) -> None:
        self._url = url
        self._name = name
        self.schema = schema
        self._clock = clock
        self._randomness = randomness
        self._idle_seconds = idle_seconds
        self._connection: psycopg.Connection[Row] | None = None
        self._connected()

    @property
    def name(self) -> str:
        """The server, the database and the schema."""
        return self._name

    def _connected(self) -> psycopg.Connection[Row]:
        """Return the connection, made anew when it was lost.

        Raises:
            LedgerUnreachable: the server refuses, or does not answer, for some seconds.
        """
        if self._connection is not None and not self._connection.broken:
            return self._connection
        first = self._connection is None
        for pause in (*PAUSES, None):
            try:
                self._connection = connect(self._url, self.schema, self._idle_seconds)
            except _psycopg().OperationalError as error:
                if first or pause is None:
                    raise self._unreachable(error) from error
                self._clock.sleep(pause)
            else:
                break
        assert self._connection is not None  # noqa: S101 - the loop ends with one, or raises
        return self._connection

    def _unreachable(self, error: Exception) -> LedgerUnreachable:
        return LedgerUnreachable(
            f"The shared ledger {self._name} cannot be reached: {reason(error, self._url)}.",
            hint="Check the server, the network and the credentials (PGPASSWORD, PGPASSFILE, or "
            "BATCHSPEC_STATE_LEDGER); then run the same command again. Whatever was submitted goes "
            "on, and nothing is paid twice.",
        )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        library = _psycopg()
        try:
            yield
        except library.IntegrityError:
            raise
        except library.errors.LockNotAvailable as error:
            raise StateLocked(
                "The shared state is being written by another process just now.",
                hint="Run the same command again in a moment.",
            ) from error
        except (library.OperationalError, library.InterfaceError) as error:
            raise self._unreachable(error) from error
        except library.Error as error:
            raise StateFailure(
                f"The shared ledger {self._name} refused a statement: {reason(error, self._url)}.",
                hint=ADVICE,
            ) from error

    def rows(self, sql: str, *values: object) -> list[Row]:
        """Return the rows of a query; outside of a transaction a lost connection is no failure."""
        connection = self._connected()
        if self.in_transaction:
            with self._errors():
                return _rows(connection, sql, values)
        try:
            return _rows(connection, sql, values)
        except _psycopg().OperationalError:
            with self._errors():
                return _rows(self._connected(), sql, values)

    def stream(self, sql: str, size: int) -> Iterator[list[Row]]:
        """Yield the rows of a query in lists, read through a cursor of the server."""
        self.change(f"DECLARE streamed NO SCROLL CURSOR FOR {sql}")
        while rows := self.rows(f"FETCH FORWARD {size:d} FROM streamed"):
            yield rows
        self.change("CLOSE streamed")

    def change(self, sql: str, *values: object) -> int:
        """Execute a statement; return how many rows it changed."""
        with self._errors():
            return self._connected().execute(_numbered(sql), values).rowcount

    def change_many(self, sql: str, rows: Iterable[Sequence[object]]) -> int:
        """Execute a statement for each row of values; return how many rows it changed."""
        with self._errors(), self._connected().cursor() as cursor:
            cursor.executemany(_numbered(sql), rows)
            return max(cursor.rowcount, 0)

    def insert_many(self, insert: Insert, rows: Sequence[Row]) -> int:
        """Insert rows of different keys; return how many were inserted or changed."""
        return self.change_many(insert.one, rows)

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Append many rows to a table at once."""
        sql = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with self._errors(), self._connected().cursor() as cursor, cursor.copy(sql) as copy:
            for row in rows:
                copy.write_row(row)

    def renumber(self, table: str) -> None:
        """Let a table's numbers go on from the highest one."""
        ((highest,),) = self.rows(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608 - our own names
        sequence = "SELECT setval(pg_get_serial_sequence(?1, 'id'), ?2, FALSE)"
        self.rows(sequence, table, highest + 1)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        found = self._connection
        if found is None or found.closed:
            return False
        return found.info.transaction_status is not _psycopg().pq.TransactionStatus.IDLE

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read in one transaction, unless one is open already."""
        if self.in_transaction:
            yield
            return
        self.change("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            self.rollback()

    def begin(self) -> None:
        """Begin a transaction; `generation` makes it the only one that writes."""
        self._connected()
        try:
            self.change("BEGIN")
        except LedgerUnreachable:  # lost while nothing was under way
            self.change("BEGIN")

    def commit(self) -> None:
        """Make the transaction durable; a lost answer is settled by asking the server.

        Raises:
            LedgerUnreachable: the transaction did not happen, or nothing tells whether it did.
        """
        mark = self._randomness(12).hex()
        connection = self._connected()
        self.change("UPDATE meta SET value = ?1 WHERE key = 'last_write'", mark)
        try:
            with self._errors():
                connection.execute("COMMIT")
        except LedgerUnreachable:
            if not self._happened(mark):
                raise
        reached("postgres:committed")

    def _happened(self, mark: str) -> bool:
        """Tell whether the transaction that left ``mark`` was committed.

        It holds the row of the lease; when the row can be locked, the server is done with it.
        """
        self.change("BEGIN")
        try:
            self.generation()
            return self.rows("SELECT value FROM meta WHERE key = 'last_write'") == [(mark,)]
        finally:
            self.rollback()

    def rollback(self) -> None:
        """Undo the transaction, if there still is one."""
        if self.in_transaction:
            with contextlib.suppress(LedgerUnreachable):
                self.change("ROLLBACK")

    def generation(self) -> int:
        """Return the newest lease's generation; its row stays locked, and counts as a beat."""
        ((found,),) = self.rows(
            "UPDATE lease SET beat_at = clock_timestamp() WHERE one = 1 RETURNING gen"
        )
        return int(found)

    def has_table(self, table: str) -> bool:
        """Tell whether the schema has such a table."""
        return self.rows("SELECT to_regclass(?1) IS NOT NULL", table) == [(True,)]

    def claim_sum(self, digest: bytes, tail: str) -> int:
        """Return the checksum of a claim's row, as the schema's function ``row_sum`` has it."""
        text = f"{digest.hex()}{tail}"
        return int.from_bytes(md5(text.encode(), usedforsecurity=False).digest()[:4])

    def integrity(self) -> list[str]:
        """Return nothing: PostgreSQL checks its own pages."""
        return []

    def create(self) -> None:
        """Make the schema and its tables, unless they are there.

        Raises:
            StateFailure: the role may not, or the schema is of a newer format.
        """
        with self._errors():
            prepare_schema(self._connected(), self.schema, self._randomness)

    def second(self) -> psycopg.Connection[Row]:
        """Return another connection, for what must not wait for this one's transactions."""
        with self._errors():
            return connect(self._url, self.schema, self._idle_seconds)

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()


def _psycopg() -> Any:
    try:
        import psycopg  # noqa: PLC0415 - only who shares a state has it
    except ImportError as error:
        raise EnvironmentFailure(
            "A shared ledger needs the package psycopg, which is not installed.",
            hint="Install it with: pip install 'batchspec[shared]'",
        ) from error
    return psycopg


def connect(url: str, schema: str, idle_seconds: float) -> psycopg.Connection[Row]:
    """Connect such that a server that is gone, or a process that stands still, shows in time."""
    library = _psycopg()
    try:
        connection: psycopg.Connection[Row] = library.connect(
            url,
            autocommit=True,
            cursor_factory=library.RawCursor,
            application_name="batchspec",
            connect_timeout=CONNECT_SECONDS,
            keepalives_idle=20,
            keepalives_interval=5,
            keepalives_count=4,
            tcp_user_timeout=40_000,
        )
    except library.ProgrammingError as error:  # its text may quote the address
        raise StateFailure(
            "The address of the shared ledger cannot be read.",
            hint="It is postgresql://user@host:port/database; special characters are %XX.",
        ) from error
    numbers = library.types.numeric
    connection.adapters.register_dumper(int, numbers.Int8Dumper)
    settings: Any = (
        f'SET search_path TO "{schema}"; '
        f"SET idle_in_transaction_session_timeout TO {int(idle_seconds * 1000)}; "
        # Whatever the server's default: an armed submission that a crash forgets is paid twice.
        "SET synchronous_commit TO on"
    )
    connection.execute(settings)
    return connection


def _rows(connection: psycopg.Connection[Row], sql: str, values: tuple[object, ...]) -> list[Row]:
    return connection.execute(_numbered(sql), values).fetchall()


@functools.lru_cache(maxsize=256)
def _numbered(sql: str) -> Any:
    """Return a statement with the parameters as PostgreSQL numbers them."""
    return re.sub(r"\?(\d+)", r"$\1", sql)


def reason(error: Exception, url: str) -> str:
    """Return the first line of an error, without the password that the address may hold."""
    text = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
    password = re.search(r"://[^/@]*:([^/@]+)@", url)
    return text if password is None else text.replace(password[1], "***")
