"""One version of an output as rows of JSON, wherever its bytes come from."""

# ruff: noqa: S608 - the names in this SQL are ours, and paths are quoted.

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa

from batchspec.inputs.engine import AuthorSqlError, Engine, quote_identifier, quote_literal
from batchspec.outputs.database import ENDING as DATABASE
from batchspec.outputs.database import reading_database
from batchspec.records import frozen

_ROOM: Final = 16 * 1024 * 1024
"""Bytes of one row for which DuckDB makes room when nothing longer is there."""
_FILES: Final = pa.schema([("path", pa.string()), ("content", pa.string())])
_FILES_AT_ONCE: Final = 1000


@frozen
class Version:
    """The bytes of one version of an output."""

    label: str
    """What a reader calls it: ``HEAD``, ``the working tree``."""
    ending: str
    """``.jsonl`` and so on; for one file per item the ending of its files."""
    file: Path | None
    """The output, where an engine can read it; None for one file per item."""
    table: str = ""
    """Of a database file: the table."""
    items: tuple[tuple[str, Path], ...] = ()
    """For one file per item: the path that names it, and where its bytes are."""


class UnreadableVersionError(Exception):
    """A version cannot be read as the format that its name promises."""


def load_version(engine: Engine, version: Version, table: str) -> None:
    """Make ``table`` of the rows of a version, as the column ``doc``: a JSON object each.

    Raises:
        UnreadableVersionError: It is not what its ending says.
    """
    if version.file is None:
        _load_items(engine, version, table)
        return
    try:
        engine.execute(
            f"CREATE OR REPLACE TABLE {quote_identifier(table)} AS {_reading(engine, version)}"
        )
    except AuthorSqlError as error:
        raise UnreadableVersionError(error.message) from None


def _reading(engine: Engine, version: Version) -> str:
    file = quote_literal(str(version.file))
    room = _room(version)
    if version.ending in {".jsonl", ".json"}:
        layout = "array" if version.ending == ".json" else "newline_delimited"
        return (
            f"SELECT json AS doc FROM read_json_objects({file}, format = '{layout}',"
            f" maximum_object_size = {room})"
        )
    if version.ending == ".csv":
        source = (
            f"read_csv({file}, auto_detect = false, header = true, delim = ',', quote = '\"',"
            " escape = '\"', nullstr = '', allow_quoted_nulls = false, new_line = '\\n',"
            f" max_line_size = {room}, parallel = false,"
            f" columns = {_csv_columns(engine, file, room)})"
        )
    elif version.ending == DATABASE and version.file is not None:
        source = f"({reading_database(engine, version.file, version.table)})"
    else:
        source = f"read_parquet({file})"
    return f"SELECT to_json(r) AS doc FROM (FROM {source}) r"


def _room(version: Version) -> int:
    """Return bytes enough for the longest line of a text format."""
    if version.file is None or version.ending in {".parquet", DATABASE}:
        return _ROOM
    with version.file.open("rb") as lines:
        return max(_ROOM, 1 + max(map(len, lines), default=0))


def _csv_columns(engine: Engine, file: str, room: int) -> str:
    """Return the columns that the first record names, all of them text."""
    names = engine.names(
        f"FROM read_csv({file}, header = true, all_varchar = true, delim = ',', quote = '\"',"
        f" escape = '\"', new_line = '\\n', max_line_size = {room}, normalize_names = false)"
    )
    listed = ", ".join(f"{quote_literal(column.name)}: 'VARCHAR'" for column in names)
    return f"{{{listed}}}"


def _load_items(engine: Engine, version: Version, table: str) -> None:
    engine.register("batchspec_files", _FILES.empty_table())
    for chunk in _chunks(version.items):
        engine.append("batchspec_files", chunk)
    content = "to_json(content)"
    if version.ending == ".json":
        content = "CASE WHEN json_valid(content) THEN content::JSON ELSE to_json(content) END"
    engine.execute(
        f"CREATE OR REPLACE TABLE {quote_identifier(table)} AS"
        f" SELECT json_object('key', path, 'result', {content}) AS doc FROM batchspec_files"
    )
    engine.execute("DROP TABLE batchspec_files")


def _chunks(items: Iterable[tuple[str, Path]]) -> Iterator[pa.Table]:
    rest = iter(items)
    while chunk := list(islice(rest, _FILES_AT_ONCE)):
        texts = [path.read_bytes().decode("utf-8", "replace") for _, path in chunk]
        yield pa.table([[name for name, _ in chunk], texts], schema=_FILES)
