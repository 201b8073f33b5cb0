"""The bytes of an output file, by its ending; and how SQL reads them back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final, Self

from batchspec.durable import disk_errors
from batchspec.errors import DiskFailure
from batchspec.inputs.engine import AuthorSqlError, Engine, quote_identifier, quote_literal
from batchspec.outputs.cells import guarded_cell, quoted_cell, text_type
from batchspec.outputs.database import ENDING as DATABASE
from batchspec.outputs.database import content_digest, disk_failure, write_database
from batchspec.outputs.manifest import file_digest
from batchspec.outputs.projection import Projection
from batchspec.records import frozen

ENDINGS: Final = (".jsonl", ".json", ".csv", ".parquet", DATABASE)
OUTPUT_TABLE: Final = "output"
_ROWS_AT_ONCE: Final = 1000
_LONGEST: Final = 16 * 1024 * 1024
"""Bytes of one row that DuckDB's readers allow when nothing else is said."""
_PARQUET: Final = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, ROW_GROUP_SIZE 20480"
"""Pinned, so that equal rows are equal bytes; small row groups keep memory flat."""

_DISK: Final = re.compile("No space left|Could not write|Cannot open file|Permission denied")


@frozen
class Part:
    """A file that is complete, but not yet in its place."""

    path: Path
    rows: int
    bytes: int
    sha256: str
    longest: int = 0
    """Bytes of the longest row of a text format."""
    content: int | None = None
    """Of a database: the bytes of its content, which unlike its size are the same each time."""

    @property
    def said(self) -> int:
        """The size that the manifest tells."""
        return self.bytes if self.content is None else self.content


def write_part(
    engine: Engine, projection: Projection, ending: str, path: Path, table: str = OUTPUT_TABLE
) -> Part:
    """Write the rows in the format of ``ending`` to ``path``.

    Args:
        engine: Where the rows are.
        projection: The rows.
        ending: The format.
        path: The file.
        table: The name of the table in a database file.

    Raises:
        AuthorSqlError: A row of a projection cannot be computed.
        DiskFailure: The disk refuses.
    """
    if ending == ".parquet":
        return _parquet(engine, projection, path)
    if ending == DATABASE:
        return _database(engine, projection, path, table)
    if ending == ".csv":
        rows = _lines(engine, projection.csv_rows())
        return _text(path, rows, head=_header(engine, projection))
    rows = _lines(engine, projection.json_rows())
    if ending == ".json":
        return _array(path, rows)
    return _text(path, rows)


def _lines(engine: Engine, sql: str) -> Iterator[list[bytes]]:
    rows = engine.rows(sql)
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        yield [row[0] for row in chunk]


class _File:
    """A file under construction: counts and digests what goes in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._bytes = 0
        self.rows = 0
        self.longest = 0

    def __enter__(self) -> Self:
        with disk_errors(f"write {self._path.name}"):
            self._file = self._path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        with disk_errors(f"write {self._path.name}"):
            self._file.close()

    def write(self, data: bytes) -> None:
        with disk_errors(f"write {self._path.name}"):
            self._file.write(data)
        self._digest.update(data)
        self._bytes += len(data)

    def count(self, lines: list[bytes]) -> None:
        self.rows += len(lines)
        self.longest = max(self.longest, *map(len, lines))

    def part(self) -> Part:
        return Part(
            path=self._path,
            rows=self.rows,
            bytes=self._bytes,
            sha256=self._digest.hexdigest(),
            longest=self.longest,
        )


def _text(path: Path, chunks: Iterator[list[bytes]], head: bytes = b"") -> Part:
    with _File(path) as file:
        file.write(head)
        for lines in chunks:
            file.write(b"".join(lines))
            file.count(lines)
    return file.part()


def _array(path: Path, chunks: Iterator[list[bytes]]) -> Part:
    """Write one JSON array with a row on each line."""
    with _File(path) as file:
        before = b"[\n"
        for lines in chunks:
            file.write(before + b",\n".join(line[:-1] for line in lines))
            file.count(lines)
            before = b",\n"
        file.write(b"\n]\n" if file.rows else b"[]\n")
    return file.part()


def _header(engine: Engine, projection: Projection) -> bytes:
    """Return the names of the columns as the first record, guarded and quoted like any cell."""
    names = (quote_literal(column.name) for column in projection.columns)
    cells = ", ',', ".join(quoted_cell(guarded_cell(name)) for name in names)
    (line,) = engine.one(f"SELECT encode(concat({cells}, chr(10)))")
    return bytes(line)


def _parquet(engine: Engine, projection: Projection, path: Path) -> Part:
    copy = f"COPY ({projection.parquet_rows()}) TO {quote_literal(str(path))} ({_PARQUET})"
    # From statistics DuckDB would declare columns without NULLs as required, and what it has
    # statistics of depends on where the rows come from: equal rows would not be equal bytes.
    try:
        with engine.without_optimizers("statistics_propagation"):
            (count,) = engine.one(copy)
    except AuthorSqlError as error:
        # DuckDB writes the file itself, so a full disk arrives here and is nobody's SQL.
        if projection.authored is not None and not _DISK.search(error.message):
            raise
        raise DiskFailure(f"Could not write {path.name}: {error.message}") from error
    with disk_errors(f"read {path.name} back"):
        size = path.stat().st_size
    return Part(path=path, rows=int(count), bytes=size, sha256=file_digest(path) or "")


def _database(engine: Engine, projection: Projection, path: Path, table: str) -> Part:
    try:
        write_database(engine, projection, path, table)
    except AuthorSqlError as error:
        if projection.authored is not None and not _DISK.search(error.message):
            raise
        raise disk_failure(path, error) from error
    content = content_digest(engine, path)
    if content is None:
        raise DiskFailure(f"Could not read {path.name} back.")
    with disk_errors(f"read {path.name} back"):
        size = path.stat().st_size
    return Part(
        path=path,
        rows=content.rows,
        bytes=size,
        sha256=content.sha256,
        content=content.bytes,
    )


def digest_of(engine: Engine, ending: str, path: Path) -> str | None:
    """Return the digest of a file by which its format is compared; None when it cannot be read."""
    if ending != DATABASE:
        return file_digest(path)
    content = content_digest(engine, path)
    return None if content is None else content.sha256


def reading(projection: Projection, ending: str, path: Path, longest: int) -> str:
    """Return the SQL that reads an output back, with the types its rows were written with.

    Args:
        projection: What was written.
        ending: The format.
        path: The file.
        longest: Bytes of its longest row.
    """
    file = quote_literal(str(path))
    if ending == ".parquet":
        return f"FROM read_parquet({file})"
    types = _text_types(projection)
    listed = ", ".join(f"{quote_literal(name)}: {quote_literal(t)}" for name, t in types.items())
    room = max(_LONGEST, longest + 1)
    if ending == ".csv":
        return (
            f"FROM read_csv({file}, auto_detect = false, header = true, delim = ',', quote = '\"',"
            f" escape = '\"', nullstr = '', allow_quoted_nulls = false, new_line = '\\n',"
            # One thread: another might take the lines of an answer for rows, and refuse the file.
            f" max_line_size = {room}, parallel = false, columns = {{{listed}}})"
        )
    layout = "array" if ending == ".json" else "newline_delimited"
    return (
        f"FROM read_json({file}, format = '{layout}', records = true,"
        f" maximum_object_size = {room}, columns = {{{listed}}})"
    )


def blank(engine: Engine, projection: Projection, ending: str) -> str:
    """Return the SQL of no rows, with the columns that `reading` would give.

    Raises:
        AuthorSqlError: The rows cannot be put into the format.
    """
    if ending == DATABASE:
        return no_rows({column.name: column.type for column in projection.columns})
    if ending != ".parquet":
        return no_rows(_text_types(projection))
    path = quote_literal(str(engine.scratch / "blank.parquet"))
    engine.execute(f"COPY (FROM ({projection.parquet_rows()}) LIMIT 0) TO {path} (FORMAT parquet)")
    columns = engine.names(f"FROM read_parquet({path})")
    return no_rows({column.name: column.type for column in columns})


def no_rows(types: Mapping[str, str]) -> str:
    """Return the SQL of no rows with columns of these names and types."""
    listed = ", ".join(f"NULL::{kind} AS {quote_identifier(name)}" for name, kind in types.items())
    return f"SELECT {listed} WHERE false"


def _text_types(projection: Projection) -> dict[str, str]:
    return {
        column.name: column.type if projection.line else text_type(column)
        for column in projection.columns
    }
