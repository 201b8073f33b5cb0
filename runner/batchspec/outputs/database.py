"""An output as a table of a DuckDB database file.

The bytes of such a file are not the same twice: DuckDB writes an identifier of its own into each.
So what is compared, and what the manifest's digest is of, is the content: the tables with their
columns, and their rows in a fixed order.
"""

# ruff: noqa: S608 - the names in this SQL are ours or quoted.

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final

from batchspec.errors import DiskFailure, Refused
from batchspec.inputs.engine import (
    AuthorSqlError,
    Column,
    Engine,
    quote_identifier,
    quote_literal,
)
from batchspec.outputs.projection import Projection, json_object
from batchspec.records import frozen

ENDING: Final = ".duckdb"
_ROWS_AT_ONCE: Final = 1000
_ALIAS: Final = "batchspec_database"


def table_name(spec: str) -> str:
    """Return the table that a spec writes: its name, with ``_`` for ``-``."""
    return spec.replace("-", "_")


def write_database(engine: Engine, projection: Projection, path: Path, table: str) -> None:
    """Write the rows, in order, to a new database file as its only table.

    Raises:
        AuthorSqlError: A row of a projection cannot be computed.
    """
    for leftover in (path, path.with_name(f"{path.name}.wal")):
        leftover.unlink(missing_ok=True)
    with attached(engine, path) as database:
        engine.execute(
            f"CREATE TABLE {database}.main.{quote_identifier(table)} AS {projection.plain_rows()}"
        )
        engine.execute(f"CHECKPOINT {database}")


@contextmanager
def attached(
    engine: Engine, path: Path, *, alias: str = _ALIAS, read: bool = False
) -> Iterator[str]:
    """Open a database file inside the block, under the name that is returned.

    Raises:
        AuthorSqlError: It is no database, or cannot be opened.
    """
    options = " (READ_ONLY)" if read else ""
    engine.execute(f"ATTACH {quote_literal(str(path))} AS {alias}{options}")
    try:
        yield alias
    finally:
        engine.execute(f"DETACH {alias}")


def reading_database(engine: Engine, path: Path, table: str) -> str:
    """Return the SQL that reads a database's table; the file stays open until the engine closes."""
    alias = f"{_ALIAS}_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    engine.execute(f"DETACH DATABASE IF EXISTS {alias}")
    engine.execute(f"ATTACH {quote_literal(str(path))} AS {alias} (READ_ONLY)")
    return f"FROM {alias}.main.{quote_identifier(table)}"


@frozen
class Content:
    """What is compared of a database."""

    sha256: str
    rows: int
    """Rows of all its tables."""
    bytes: int
    """Bytes of the lines that the digest is of."""


def content_digest(engine: Engine, path: Path) -> Content | None:
    """Return the digest of a database's content; None when it cannot be read.

    The content is a line of JSON per table, with its name and columns, and below it a line of JSON
    per row, sorted.
    """
    if not path.is_file() or path.is_symlink():
        return None
    digest, rows, size = hashlib.sha256(), 0, 0
    try:
        with attached(engine, path, read=True) as database:
            for table in tables_of(engine, database):
                name = f"{database}.main.{quote_identifier(table)}"
                columns = engine.names(f"FROM {name}")
                digest.update(head := _head(table, columns))
                size += len(head)
                for lines in _lines(engine, name, columns):
                    digest.update(text := "".join(lines).encode())
                    rows += len(lines)
                    size += len(text)
    except AuthorSqlError:
        return None
    return Content(sha256=digest.hexdigest(), rows=rows, bytes=size)


def _lines(engine: Engine, name: str, columns: tuple[Column, ...]) -> Iterator[list[str]]:
    rows = engine.rows(
        f"SELECT {json_object(columns, strict=False)} || chr(10) AS line FROM {name} ORDER BY line"
    )
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        yield [row[0] for row in chunk]


def _head(table: str, columns: tuple[Column, ...]) -> bytes:
    listed = [[column.name, column.type] for column in columns]
    return json.dumps({"table": table, "columns": listed}, ensure_ascii=False).encode() + b"\n"


def tables_of(engine: Engine, database: str) -> list[str]:
    """Return the names of an open database's tables, sorted."""
    rows = engine.rows(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY table_name",
        (database,),
    )
    return [name for (name,) in rows]


def refuse_other_tables(engine: Engine, path: Path, shown: str, table: str) -> None:
    """Refuse to replace a database that holds more than the table we wrote.

    Raises:
        Refused: There are other tables, which would be lost.
    """
    with suppress(AuthorSqlError), attached(engine, path, read=True) as database:
        others = [name for name in tables_of(engine, database) if name != table]
        if others:
            raise Refused(
                f"{shown} holds tables that batchspec did not write ({', '.join(others[:5])}), so "
                "it is not replaced.",
                hint="Move them to another database file, or give outputs.path another name.",
            )


def disk_failure(path: Path, error: AuthorSqlError) -> DiskFailure:
    """Return the failure that DuckDB could not write a database file."""
    return DiskFailure(f"Could not write {path.name}: {error.message}")
