"""``inputs.table``: CSV, TSV, JSONL, JSON and Parquet files as one query.

* CSV is read strictly: what separates the header line, ``"`` as the quote, a header, equal numbers
  of fields; a dialect that is guessed from a sample can drop lines in silence. Only dates in ISO
  form become dates. Types come from a sample at first, and from all lines when a later one does not
  fit (`TableQuery.exact`), which gives what all lines would have given at once.
* JSON keeps its strings as strings; columns come from all records, since a reader that knows only a
  sample ignores later fields in silence.
* Several files are joined by column name.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from typing import TYPE_CHECKING, BinaryIO

import zstandard

from batchspec.inputs.columns import Column, quote_identifier, quote_literal
from batchspec.inputs.hardened import open_below
from batchspec.records import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "newline_delimited",
    ".ndjson": "newline_delimited",
    ".json": "auto",
    ".parquet": "parquet",
}
_PACKED = (".gz", ".zst")
KNOWN = ", ".join(_FORMATS)
"""The file names' endings that are understood, for messages."""

_HEAD_BYTES = 1 << 20
_SEPARATORS = ",;\t|"
_SAMPLE_LINES = 20_480
_CSV_BUFFER = 2 << 20
"""Bytes of a file that DuckDB holds at once, the longest line it takes; its own 32 MB per thread
made up a quarter of a plan's memory and saved no time."""
_STRINGS = re.compile(
    r"""("(?:[^"]|"")*")|\b(TIMESTAMP WITH TIME ZONE|TIMESTAMP|DATE|TIME|UUID)(?=[,)\[]|$)"""
)
_CSV_TYPES = ["BOOLEAN", "BIGINT", "HUGEINT", "DOUBLE", "DATE", "TIMESTAMP", "VARCHAR"]
"""What a CSV column can become; times and zoned timestamps stay the text they are."""
_TYPES = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
"""What a spec calls a column's type, and what DuckDB calls it."""
_NEVER = "'-'"
"""A date format that no text has: with it the JSON reader leaves strings alone."""


@frozen
class TableQuery:
    """How to read the files of one table."""

    sql: str
    exact: str | None = None
    """The query to use when ``sql`` meets a value that does not fit its sampled type."""


class TableRefused(Exception):  # noqa: N818 - it names what happened
    """A table's files cannot be read as they are; the message is a summary and a detail."""

    def __init__(self, code: str, summary: str, detail: str) -> None:
        super().__init__(summary)
        self.code, self.summary, self.detail = code, summary, detail


def format_of(path: str) -> str | None:
    """Return ``csv``, ``newline_delimited``, ``auto`` (JSON) or ``parquet``, or None."""
    name = path.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return next((found for ending, found in _FORMATS.items() if name.endswith(ending)), None)


def table_query(
    root: Path,
    paths: Sequence[str],
    describe: Callable[[str], tuple[Column, ...]],
    types: str | Mapping[str, str] | None = None,
) -> TableQuery:
    """Return the query that reads files of one format.

    Args:
        root: The project root.
        paths: The files, at least one, relative to the root, in order.
        describe: Gives the columns of a query; used for JSON, whose columns need all records.
        types: ``inputs.types`` of the spec.

    Raises:
        TableRefused: when the files do not belong together or have no usable header.
        FileRefused: when one of them is a link or cannot be read.
        AuthorSqlError: when DuckDB cannot read them.
    """
    formats = {format_of(path) for path in paths}
    if len(formats) != 1 or None in formats:
        raise TableRefused(
            "table-format",
            f"the files are of different or unknown formats: {', '.join(paths[:5])}",
            f"One table has one format, told by the name's ending: {KNOWN}, alone or with .gz or"
            " .zst behind.",
        )
    for path in paths:
        with open_below(root, path):  # refuses links with their names, which DuckDB would not
            pass
    kind = formats.pop()
    if types is not None and kind != "csv":
        raise TableRefused(
            "table-format",
            f"inputs.types is set, and {paths[0]} is no CSV file",
            "The other formats say themselves what their values are. Remove inputs.types.",
        )
    files = "[" + ", ".join(quote_literal(f"{root}/{path}") for path in paths) + "]"
    together = "true" if len(paths) > 1 else "false"
    if kind == "parquet":
        options = f"union_by_name = {together}, hive_partitioning = false"
        return TableQuery(sql=f"FROM read_parquet({files}, {options})")
    if kind == "csv":
        return _csv(root, paths, files, together, types)
    return _json(files, f"format = '{kind}', union_by_name = {together}", describe)


def _csv(
    root: Path,
    paths: Sequence[str],
    files: str,
    together: str,
    types: str | Mapping[str, str] | None,
) -> TableQuery:
    heads = {path: _head(root, path) for path in paths}
    separator = _separator(paths[0], heads[paths[0]])
    for path, head in heads.items():
        _check_header(path, head, separator)
    options = (
        f"header = true, skip = 0, delim = {quote_literal(separator)}, quote = '\"',"
        " escape = '\"', comment = '', strict_mode = true, null_padding = false,"
        " allow_quoted_nulls = false, hive_partitioning = false, dateformat = '%Y-%m-%d',"
        f" timestampformat = '%Y-%m-%d %H:%M:%S', union_by_name = {together},"
        f" buffer_size = {_CSV_BUFFER},"
        f" auto_type_candidates = {_CSV_TYPES}{_given(types)}"
    )

    def query(sample: int, *, parallel: bool) -> str:
        how = f"sample_size = {sample}, parallel = {str(parallel).lower()}"
        return f"FROM read_csv({files}, {options}, {how})"

    # Threads that begin inside a text of many lines may take it for rows, and refuse the file.
    exact = query(-1, parallel=False)
    return TableQuery(sql=query(_SAMPLE_LINES, parallel=True), exact=exact)


def _given(types: str | Mapping[str, str] | None) -> str:
    """Return the options for the types that an author gave."""
    if types is None:
        return ""
    if isinstance(types, str):
        return ", all_varchar = true"
    listed = ", ".join(f"{quote_literal(n)}: {quote_literal(_TYPES[t])}" for n, t in types.items())
    return f", types = {{{listed}}}"


def _json(files: str, options: str, describe: Callable[[str], tuple[Column, ...]]) -> TableQuery:
    options += f", hive_partitioning = false, dateformat = {_NEVER}, timestampformat = {_NEVER}"
    columns = describe(f"FROM read_json({files}, {options}, sample_size = -1)")
    if [column.name for column in columns] == ["json"] and columns[0].type == "JSON":
        raise TableRefused(
            "empty-table",
            "the file has no records with fields",
            "Its columns are unknown, so nothing can be checked. Write one JSON object per item.",
        )
    given = ", ".join(
        f"{quote_literal(column.name)}: {quote_literal(_string_types(column.type))}"
        for column in columns
    )
    return TableQuery(sql=f"FROM read_json({files}, {options}, columns = {{{given}}})")


def _string_types(duckdb_type: str) -> str:
    """Return a type in which what JSON wrote as a string is text, and only-null columns too."""
    if duckdb_type == '"NULL"':
        return "VARCHAR"
    return _STRINGS.sub(lambda match: match[1] or "VARCHAR", duckdb_type)


def _head(root: Path, path: str) -> str:
    """Return the beginning of a file's text, unpacked."""
    with open_below(root, path) as packed:
        stream: BinaryIO | gzip.GzipFile | zstandard.ZstdDecompressionReader = packed
        if path.lower().endswith(".gz"):
            stream = gzip.GzipFile(fileobj=packed)
        elif path.lower().endswith(".zst"):
            stream = zstandard.ZstdDecompressor().stream_reader(packed)
        try:
            head = stream.read(_HEAD_BYTES)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise TableRefused(
                "inputs-unreadable",
                f"{path} cannot be unpacked",
                f"Its name says that it is compressed, but: {error}.",
            ) from None
    return head.decode("utf-8-sig", errors="replace")


def _separator(path: str, head: str) -> str:
    """Return the separator: a tab for .tsv, else the commonest candidate of the header line."""
    if ".tsv" in path.lower():
        return "\t"
    line = re.sub(r'"(?:[^"]|"")*"', "", head.split("\n", 1)[0])
    return max(_SEPARATORS, key=line.count)


def _check_header(path: str, head: str, separator: str) -> None:
    names = next(csv.reader(io.StringIO(head), delimiter=separator), [])
    if not any(name.strip() for name in names):
        raise TableRefused(
            "empty-table",
            f"{path} has no header line",
            "The first line names the columns. Add one.",
        )
    seen: set[str] = set()
    for name in names:
        # DuckDB would rename the second one to name_1 without a word.
        if name.lower() in seen:
            raise TableRefused(
                "duplicate-column",
                f"{path} has the column {quote_identifier(name)} twice",
                "Names are compared without upper and lower case. Rename one of them.",
            )
        seen.add(name.lower())
