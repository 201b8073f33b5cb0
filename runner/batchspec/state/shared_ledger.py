"""The ledger that a team shares, and its lease: one writer at a time, on whichever machine.

The lease is a row of the ledger. Its holder keeps a second connection, which beats and holds an
advisory lock: when the holder dies, its connection ends, the lock is free, and anybody may take the
lease at once. A holder that stands still, or whose machine has vanished, is taken for dead when it
has not beaten for the lease's seconds. The times are the server's. Whoever was taken for dead and
is not, finds the generation changed at its next write, and stops.
"""

from __future__ import annotations

import contextlib
import os
import platform
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self

from batchspec.clock import Clock
from batchspec.errors import EnvironmentFailure, StateLocked
from batchspec.records import frozen
from batchspec.state.database import Row
from batchspec.state.postgres import PostgresDatabase
from batchspec.state.reader import SqlReader
from batchspec.state.tenure import Tenure
from batchspec.state.writer import SqlLedger

if TYPE_CHECKING:
    import psycopg

LOCK_SECONDS = 5
"""So long another transaction is waited for before the state counts as in use."""
BEATS = 4
"""So many beats in the time after which the holder counts as dead."""
_TENURE = (
    "SELECT gen, operation, host, pid, since, beat_at, seconds, held, "
    "CAST(EXTRACT(EPOCH FROM clock_timestamp() - beat_at) AS DOUBLE PRECISION) "
    "FROM lease WHERE one = 1"
)
_TAKE = """
UPDATE lease SET gen = ?1, holder = ?2, operation = ?3, host = ?4, pid = ?5, seconds = ?6,
  held = TRUE, since = clock_timestamp(), beat_at = clock_timestamp()
WHERE one = 1
"""


@frozen
class Address:
    """Where a shared ledger is."""

    url: str
    shown: str
    """The address as messages may show it."""
    schema: str


class SharedReader(SqlReader):
    """`state.ledger.LedgerReader` over a schema of a PostgreSQL server."""

    @classmethod
    def open(
        cls, address: Address, clock: Clock, randomness: Callable[[int], bytes]
    ) -> Self | None:
        """Open a ledger for reading; None when nobody has made it yet.

        Raises:
            LedgerUnreachable: the server cannot be reached.
        """
        database = _database(address, clock, randomness)
        if not database.has_table("meta"):
            database.close()
            return None
        return cls(database)

    def tenure(self) -> Tenure:
        """Return who holds the lease, or held it last."""
        return _tenure(self._db.rows(_TENURE)[0])


class SharedLedger(SqlLedger):
    """`state.ledger.Ledger` over a schema of a PostgreSQL server; made when it is not there."""

    def __init__(
        self, address: Address, clock: Clock, randomness: Callable[[int], bytes], seconds: float
    ) -> None:
        database = _database(address, clock, randomness, seconds)
        database.create()
        super().__init__(database)
        self._server = database
        self._seconds = seconds
        self._beating: _Heart | None = None

    def tenure(self) -> Tenure:
        """Return who holds the lease, or held it last."""
        return _tenure(self._server.rows(_TENURE)[0])

    @contextlib.contextmanager
    def held(self, operation: str, *, force: bool = False) -> Iterator[None]:
        """Hold the lease while the block runs.

        Args:
            operation: What for, such as ``run``.
            force: Take it from a holder that is alive.

        Raises:
            StateLocked: somebody else holds it, and lives as far as can be told.
        """
        heart = _Heart(self._server, self._seconds)
        try:
            self._take(operation, heart, force=force)
            heart.start(self.gen)
            yield
        finally:
            self._give_back()
            heart.stop()

    def _take(self, operation: str, heart: _Heart, *, force: bool) -> None:
        server = self._server
        server.begin()
        try:
            server.change(f"SET LOCAL lock_timeout TO '{LOCK_SECONDS}s'")
            # A writer holds this row for as long as its transaction lasts.
            found = _tenure(server.rows(f"{_TENURE} FOR UPDATE")[0])
            if found.held and not (force or found.expired or heart.is_free(found.gen)):
                _refuse(found)
            host, pid = platform.node(), os.getpid()
            self.gen = found.gen + 1
            heart.lock(self.gen)
            holder = f"`batchspec {operation}`, process {pid} on {host}"
            server.change(_TAKE, self.gen, holder, operation, host, pid, self._seconds)
            server.commit()
        except BaseException:
            server.rollback()
            raise

    def _give_back(self) -> None:
        with contextlib.suppress(EnvironmentFailure):
            self._server.change("UPDATE lease SET held = FALSE WHERE gen = ?1", self.gen)


class _Heart:
    """The second connection of a holder: an advisory lock for as long as it lives, and beats."""

    def __init__(self, server: PostgresDatabase, seconds: float) -> None:
        self._server = server
        self._interval = seconds / BEATS
        self._connection: psycopg.Connection[Row] = server.second()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._space = f"batchspec lease {server.schema}"

    def is_free(self, gen: int) -> bool:
        """Tell whether the holder of this generation is gone: the server ended its connection."""
        got = self._ask("SELECT pg_try_advisory_lock(hashtext($1), $2::int)", self._space, gen)
        if got:
            self._ask("SELECT pg_advisory_unlock(hashtext($1), $2::int)", self._space, gen)
        return got

    def lock(self, gen: int) -> None:
        """Show that this process lives."""
        self._ask("SELECT pg_try_advisory_lock(hashtext($1), $2::int)", self._space, gen)

    def start(self, gen: int) -> None:
        """Begin to beat."""
        self._thread = threading.Thread(target=self._beat, args=(gen,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Beat no more, and let the lock go."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._connection.close()

    def _beat(self, gen: int) -> None:
        while not self._ended.wait(self._interval):
            try:
                if self._connection.broken:
                    self._connection = self._server.second()
                    self.lock(gen)
                self._connection.execute(
                    "UPDATE lease SET beat_at = clock_timestamp() WHERE gen = $1", (gen,)
                )
            except Exception:  # noqa: BLE001, S112 - the next beat tries again; writes are fenced
                continue

    def _ask(self, sql: str, *values: object) -> bool:
        row = self._connection.execute(sql, values).fetchone()
        return row is not None and bool(row[0])


def _database(
    address: Address, clock: Clock, randomness: Callable[[int], bytes], seconds: float = 90.0
) -> PostgresDatabase:
    return PostgresDatabase(
        address.url,
        name=address.shown,
        schema=address.schema,
        clock=clock,
        randomness=randomness,
        idle_seconds=seconds,
    )


def _tenure(row: Row) -> Tenure:
    gen, operation, host, pid, since, beat_at, seconds, held, age = row
    return Tenure(
        gen=gen,
        operation=operation,
        host=host,
        pid=pid,
        since=since,
        beat_at=beat_at,
        silent_seconds=age,
        seconds=seconds,
        held=held,
    )


def _refuse(found: Tenure) -> None:
    raise StateLocked(
        f"The shared state is in use by {found.words()}; two writers could pay twice.",
        hint="Wait until it has finished, or stop it. `batchspec status` and `batchspec plan` work "
        "meanwhile. If it can never finish, `batchspec state unlock --reason TEXT` takes the lease "
        f"away; by itself it ends {found.seconds:.0f} s after the last sign of life.",
    )
