"""The locked-down DuckDB: the only place that opens it.

Every query gets a cursor of its own, so that a streamed result survives the next statement; hence
all tables are ordinary tables of the in-memory catalogue, never TEMP ones.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from batchspec.errors import OutOfMemory
from batchspec.inputs.author_sql import EXACT_SUM, AuthorSelect, read_author_sql
from batchspec.inputs.columns import Column, quote_identifier, quote_literal
from batchspec.inputs.csv_errors import csv_words
from batchspec.inputs.engine_settings import (
    STREAMED,
    UNSOUND,
    make_scratch,
    memory_limit,
    settings,
)
from batchspec.inputs.sql_errors import AuthorSqlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    import duckdb
    import pyarrow as pa

__all__ = ["AuthorSqlError", "Column", "Engine", "quote_identifier", "quote_literal"]

TIMEOUT_SECONDS = 600.0
"""How long one statement, or one fetch of a streamed one, may take."""
FRUGAL: Final = 0.75
"""The share of the memory that writing outputs begins with."""
FETCH_ROWS = 1024
"""Four times as many take 10 MB more in a plan, and no less time."""
_CTRL_C = "Query interrupted"
"""What DuckDB makes of a signal that arrives while it works."""
_ARRIVING = "batchspec_arriving"
_DESCRIBE = "DESCRIBE "
_ROUGH = re.compile(rf"{EXACT_SUM}\((DOUBLE|FLOAT)\)")
"""DuckDB says so of floating-point numbers."""
_MACHINE_CODE = re.compile(r"\s*LINE \d+:.*", re.DOTALL)


Done = TypeVar("Done")


class Engine:
    """An in-memory DuckDB that reads below the project only and takes no new settings.

    Use it as a context manager; `close` removes its temporary folder.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        root: Path,
        scratch: Path,
        memory_mb: int,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self.root = root
        """The project root, symlinks resolved."""
        self.scratch = scratch
        """A folder for temporary files that SQL may write; it is removed on close."""
        self._connection = connection
        self._memory_mb = memory_mb
        self._timeout = timeout

    @classmethod
    def open(
        cls,
        *,
        root: Path,
        extra: tuple[Path, ...] = (),
        temp: Path,
        memory_mb: int = 512,
        threads: int = 2,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Self:
        """Open a locked-down engine.

        Args:
            root: Project root; SQL reads files below it, and relative paths start from it.
            extra: Further folders that internal statements may read and write.
            temp: Folder for spilled data; a fresh folder below it is made, and removed on close.
            memory_mb: Ceiling of DuckDB's memory, in MB.
            threads: Threads of DuckDB.
            timeout: Seconds after which a statement is interrupted.

        Raises:
            EnvironmentFailure: when the temporary folder cannot be made.
        """
        import duckdb  # noqa: PLC0415 - a sixth of a second, and many commands open no engine

        scratch = make_scratch(temp)
        connection = duckdb.connect(":memory:")
        root = root.resolve()
        folders = [root, scratch, *(folder.resolve() for folder in extra)]
        for setting in settings(folders, scratch, memory_mb, threads):
            connection.execute(setting)
        return cls(connection, root=root, scratch=scratch, memory_mb=memory_mb, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and remove its temporary files."""
        self._connection.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Run a statement to its end.

        Raises:
            AuthorSqlError: when DuckDB refuses it or it runs into the time limit.
            EnvironmentFailure: when memory or disk run out.
        """
        cursor = self._run(sql, params)
        cursor.close()

    def rows(self, sql: str, params: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query as tuples, streamed. Raises as `execute` does."""
        for block in self.blocks(sql, params):
            yield from block

    def blocks(self, sql: str, params: Sequence[Any] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the same as lists of at most `FETCH_ROWS` rows. Raises as `execute` does."""
        cursor = self._run(sql, params, streamed=True)
        try:
            while True:
                with self._guard(cursor):
                    chunk = cursor.fetchmany(FETCH_ROWS)
                if not chunk:
                    return
                yield chunk
        finally:
            cursor.close()

    def one(self, sql: str, params: Sequence[Any] = ()) -> tuple[Any, ...]:
        """Return the only row of a query. Raises as `execute` does."""
        cursor = self._run(sql, params)
        try:
            with self._guard(cursor):
                row = cursor.fetchone()
        finally:
            cursor.close()
        if row is None:
            raise LookupError(f"The query has no row: {sql}")
        return row

    def names(self, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query without running it. Raises as `execute` does."""
        return tuple(Column(name=row[0], type=row[1]) for row in self.rows(_DESCRIBE + sql))

    def matches(self, pattern: str) -> tuple[str, ...]:
        """Return the files below the root that an absolute path or glob means, sorted."""
        query = f"SELECT file FROM glob({quote_literal(pattern)})"  # noqa: S608 - names are ours or quoted
        found = self.rows(query)
        return tuple(sorted(row[0] for row in found))

    def register(self, name: str, table: pa.Table | pa.RecordBatch) -> None:
        """Make, or replace, the table ``name`` with a copy of an Arrow table."""
        self._load(f"CREATE OR REPLACE TABLE {quote_identifier(name)} AS FROM {_ARRIVING}", table)

    def append(self, name: str, table: pa.Table | pa.RecordBatch) -> None:
        """Append the rows of an Arrow table to the table ``name``, by column name."""
        self._load(f"INSERT INTO {quote_identifier(name)} BY NAME FROM {_ARRIVING}", table)

    def check_select(self, sql: str) -> str | None:
        """Return what is wrong when author SQL is not one plain SELECT, else None."""
        try:
            self.select(sql)
        except AuthorSqlError as error:
            return error.message
        return None

    def select(self, sql: str) -> AuthorSelect:
        """Read author SQL: exactly one SELECT that reads files below the root only.

        Raises:
            AuthorSqlError: with line and column, when it is anything else.
        """
        statement = _without_end(sql)
        serialized = self.one(
            "SELECT json_serialize_sql(?, skip_null := true, skip_empty := true)", (statement,)
        )[0]
        select = read_author_sql(statement, json.loads(serialized), self)
        rough = dict.fromkeys(name for name, sql in select.sums if not self._is_exact(sql))
        more = (f"{name}(…) of floating-point numbers without ORDER BY inside it" for name in rough)
        return replace(select, unstable=(*select.unstable, *more))

    def _is_exact(self, sql: str) -> bool:
        """Tell whether `EXACT_SUM` takes its numbers; what else is wrong is told elsewhere."""
        try:
            self.names(sql)
        except AuthorSqlError as error:
            return _ROUGH.search(error.message) is None
        return True

    def names_of(self, select: AuthorSelect) -> tuple[Column, ...]:
        """Return the columns of author SQL without running it.

        Raises:
            AuthorSqlError: with line and column in the author's own text.
        """
        try:
            return self.names(select.sql)
        except AuthorSqlError as error:
            raise select.translate(error, len(_DESCRIBE)) from None

    def create_view(self, name: str, select: AuthorSelect) -> None:
        """Make the view ``name`` over author SQL.

        Raises:
            AuthorSqlError: with line and column in the author's own text.
        """
        prefix = f"CREATE OR REPLACE VIEW {quote_identifier(name)} AS "
        try:
            self.execute(prefix + select.sql)
        except AuthorSqlError as error:
            raise select.translate(error, len(prefix.encode())) from None

    @contextmanager
    def without_optimizers(self, *names: str) -> Iterator[None]:
        """Run what is inside the block without some of DuckDB's optimizers."""
        self.execute(f"SET GLOBAL disabled_optimizers = '{','.join([UNSOUND, *names])}'")
        try:
            yield
        finally:
            self.execute(f"SET GLOBAL disabled_optimizers = '{UNSOUND}'")

    def frugally(self, do: Callable[[], Done]) -> Done:
        """Do what sorts and streams in less memory, and again in all of it should that not suffice.

        A sort takes whatever it may before it spills, and is as fast with a quarter less.
        """
        try:
            with self._less_memory():
                return do()
        except OutOfMemory:
            return do()

    @contextmanager
    def _less_memory(self) -> Iterator[None]:
        self.execute(memory_limit(self._memory_mb * FRUGAL))
        try:
            yield
        finally:
            self.execute(memory_limit(self._memory_mb))

    def _load(self, statement: str, table: pa.Table | pa.RecordBatch) -> None:
        cursor = self._connection.cursor()
        try:
            cursor.register(_ARRIVING, table)
            with self._guard(cursor):
                cursor.execute(statement)
        finally:
            cursor.close()

    def _run(
        self, sql: str, params: Sequence[Any], *, streamed: bool = False
    ) -> duckdb.DuckDBPyConnection:
        cursor = self._connection.cursor()
        try:
            with self._guard(cursor):
                if streamed:
                    cursor.execute(STREAMED)
                cursor.execute(sql, list(params) or None)
        except BaseException:
            cursor.close()
            raise
        return cursor

    @contextmanager
    def _guard(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Bound the time of what DuckDB does inside the block, and translate its errors."""
        import duckdb  # noqa: PLC0415 - as in `open`

        timer = threading.Timer(self._timeout, cursor.interrupt)
        timer.daemon = True
        timer.start()
        try:
            with _signals_stop(cursor):
                yield
        except duckdb.InterruptException:
            raise AuthorSqlError(
                f"The query took longer than {self._timeout:g} seconds and was stopped."
            ) from None
        except (duckdb.InternalException, duckdb.FatalException):
            raise
        except (duckdb.OutOfMemoryException, MemoryError) as error:
            raise OutOfMemory(
                f"DuckDB ran out of memory or of space for temporary files: {_words(error)[0]}",
                hint="Raise memory_mb in batchspec.yaml, or free disk space.",
            ) from None
        except duckdb.Error as error:
            message, position = _words(error)
            raise AuthorSqlError(message, position=position) from None
        except RuntimeError as error:
            if str(error) == _CTRL_C:
                raise KeyboardInterrupt from None
            raise
        finally:
            timer.cancel()


@contextmanager
def _signals_stop(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let a signal that asks the program to stop end the cursor's query first.

    DuckDB looks for signals, but then waits for its other threads, which work on to the query's
    end unless they are told.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        cursor.interrupt()
        handler = former[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    ours = {number: handler for number, handler in former.items() if callable(handler)}
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


def _without_end(sql: str) -> str:
    """Return SQL without a final semicolon and what comments follow it; offsets stay the same."""
    import duckdb  # noqa: PLC0415 - as in `open`

    data = sql.encode()
    try:
        tokens = duckdb.tokenize(sql)
    except duckdb.Error:
        return sql
    ends = [at for at, kind in tokens if kind != duckdb.token_type.comment]
    if ends and data[ends[-1] : ends[-1] + 1] == b";":
        return data[: ends[-1]].decode()
    return sql


def _words(error: Exception) -> tuple[str, int | None]:
    """Return DuckDB's message without its decoration, and the byte position it names."""
    text = str(error)
    start = text.find("{")
    fields: dict[str, Any] = {}
    with suppress(ValueError):
        fields = json.loads(text[start:]) if start >= 0 else {}
    message = str(fields.get("exception_message", text)).strip()
    position = fields.get("position")
    return _MACHINE_CODE.sub("", csv_words(message)), int(
        position
    ) if position is not None else None
