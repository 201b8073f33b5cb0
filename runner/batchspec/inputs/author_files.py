"""The files that author SQL reads: found, checked and made absolute.

Paths in a spec are relative to the project root whatever the process's current folder is. DuckDB
checks a relative path against the current folder before its search path is consulted, so the paths
are rewritten in the text, at the places DuckDB's parser gives. Columns that hold a file's name are
wrapped so that they stay relative: an absolute path would make the same data look different on
every machine.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Protocol

from batchspec.inputs.columns import Column, escape_glob, quote_identifier, quote_literal
from batchspec.inputs.hardened import denied_part
from batchspec.inputs.sql_errors import AuthorSqlError
from batchspec.inputs.sql_tree import Node, arguments_of, column_of, end_of, start_of, text_of, walk
from batchspec.records import frozen

if TYPE_CHECKING:
    from pathlib import Path

_NAME_COLUMN = {"glob": "file", "read_text": "filename", "read_blob": "filename"}
_READERS = {
    "parquet_scan",
    "read_csv",
    "read_csv_auto",
    "read_json",
    "read_json_auto",
    "read_json_objects",
    "read_json_objects_auto",
    "read_ndjson",
    "read_ndjson_auto",
    "read_ndjson_objects",
    "read_parquet",
} | set(_NAME_COLUMN)
_GENERATORS = {"generate_series", "json_each", "json_tree", "range", "repeat", "unnest"}
_DATA_FILE = re.compile(
    r"[/*?\[]|\.(csv|tsv|txt|json|jsonl|ndjson|parquet)(\.(gz|zst))?$", re.IGNORECASE
)
_GLOB = re.compile(r"[*?\[]")
_PIECE = re.compile(
    rb"""[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/"""
    rb"""|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|[()]""",
    re.DOTALL,
)
"""What can hold a bracket that is none, and brackets."""
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ONLY_BELOW = "A spec reads files below the project folder only, by paths relative to it."


class FileFinder(Protocol):
    """What is needed of an engine."""

    @property
    def root(self) -> Path:
        """The project root, symlinks resolved."""
        ...

    def matches(self, pattern: str) -> tuple[str, ...]:
        """Return the files below the root that an absolute pattern means, absolute, sorted."""
        ...

    def names(self, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query."""
        ...


@frozen
class Edit:
    """One replacement in the author's text."""

    start: int
    """Byte offset of the first byte replaced."""
    end: int
    text: str


@frozen
class PlacedFiles:
    """The outcome of `place_files`."""

    edits: tuple[Edit, ...]
    """In order of their start, not overlapping."""
    files: tuple[str, ...]
    """Relative to the root, sorted."""


def place_files(text: str, tree: Node, finder: FileFinder) -> PlacedFiles:
    """Return the edits that make every path in a query absolute, and the files they mean.

    Raises:
        AuthorSqlError: for a path outside the project, a path that is not written out, a pattern
            without a file, a table function other than the readers and generators.
    """
    placer = _Placer(text, finder)
    for node in walk(tree):
        if node.get("type") == "BASE_TABLE":
            placer.table(node)
        elif node.get("type") == "TABLE_FUNCTION":
            placer.function(node)
    placer.check_file_names(tree)
    edits = tuple(sorted(placer.edits, key=lambda edit: (edit.start, edit.end)))
    return PlacedFiles(edits=edits, files=tuple(sorted(placer.files)))


def apply_edits(text: str, edits: tuple[Edit, ...]) -> str:
    """Return ``text`` with ``edits`` made."""
    data, pieces, at = text.encode(), [], 0
    for edit in edits:
        pieces += [data[at : edit.start], edit.text.encode()]
        at = edit.end
    return b"".join([*pieces, data[at:]]).decode()


class _Placer:
    def __init__(self, text: str, finder: FileFinder) -> None:
        self.text = text
        self.finder = finder
        self.edits: list[Edit] = []
        self.files: set[str] = set()
        self._prefix = f"{finder.root}/"
        self._plain: list[str] = []
        """Readers, as SQL, that were not asked for a column with the file's name."""
        self._named = False
        self._calls: list[tuple[int, int]] = []
        """Where calls of readers begin and end; inside them, names are options."""

    def table(self, node: Node) -> None:
        name = str(node.get("table_name", ""))
        if len(node.get("qualified_name", {}).get("path", [])) != 1 or not _DATA_FILE.search(name):
            return
        start = start_of(node)
        if start is None:
            message = f'The file "{name}" stands where its path cannot be followed.'
            raise AuthorSqlError(f"{message} Read it in a FROM clause of its own.")
        absolute = self._absolute(name, node)
        self._plain.append(quote_literal(absolute))
        end = _end_of_quoted(self.text.encode(), start)
        # DuckDB names such a table after the file, but not after every path that a root can have.
        named = node.get("alias") or _GLOB.search(name)
        alias = "" if named else f" AS {quote_identifier(posixpath.basename(name).split('.')[0])}"
        self.edits.append(Edit(start=start, end=end, text=quote_literal(absolute) + alias))

    def function(self, node: Node) -> None:
        function = node["function"]
        name = str(function["function_name"]).lower()
        if name in _GENERATORS:
            return
        if name not in _READERS:
            known = ", ".join(sorted(_READERS | _GENERATORS))
            message = f"The table function {name}() is not available in a spec. These are: {known}."
            raise AuthorSqlError.at(message, self.text, start_of(node))
        positional, named = arguments_of(function)
        paths = [self._literal(name, constant) for constant in self._constants(positional, node)]
        self._calls.append(self._extent(node))
        column = _name_column(name, named)
        if column is not None:
            self._named = True
            self._wrap(node, name, column)
        else:
            self._plain.append(f"{name}([{', '.join(paths)}])")

    def check_file_names(self, tree: Node) -> None:
        """Refuse DuckDB's hidden column ``filename``, which holds absolute paths."""
        if self._named or not self._plain:
            return
        node = next(filter(self._reads_file_name, walk(tree)), None)
        if node is None or any(self._has_filename(source) for source in self._plain):
            return
        raise AuthorSqlError.at(
            "The hidden column filename holds an absolute path, which differs between machines."
            " Write read_csv('…', filename = true), or the reader of your format, to get the path"
            " relative to the project.",
            self.text,
            start_of(node),
        )

    def _reads_file_name(self, node: Node) -> bool:
        at = start_of(node)
        if at is None or column_of(node) != "filename":
            return False
        return not any(start <= at < end for start, end in self._calls)

    def _has_filename(self, source: str) -> bool:
        columns = self.finder.names(f"FROM {source}")
        return any(column.name.lower() == "filename" for column in columns)

    def _constants(self, positional: list[Node], node: Node) -> list[Node]:
        first = positional[0] if positional else None
        inner = first
        if first is not None and first.get("function_name") == "list_value":
            inner = None
            constants = [item["expression"] for item in first.get("arguments", ())]
        else:
            constants = [inner] if inner is not None else []
        if not constants or any(text_of(constant) is None for constant in constants):
            message = (
                "The path must be written out as text, so that batchspec knows which files the"
                " items come from; it cannot be computed."
            )
            raise AuthorSqlError.at(message, self.text, start_of(node))
        return constants

    def _literal(self, reader: str, constant: Node) -> str:
        absolute = self._absolute(str(text_of(constant)), constant, reader=reader)
        start, end = start_of(constant), end_of(constant)
        if start is None or end is None:
            raise AuthorSqlError(f"The path {text_of(constant)} cannot be found in the query.")
        literal = quote_literal(absolute)
        self.edits.append(Edit(start=start, end=end, text=literal))
        return literal

    def _wrap(self, node: Node, name: str, column: str) -> None:
        start, end = self._extent(node)
        quoted = quote_identifier(column)
        # last_modified differs between checkouts of the same files.
        without = "EXCLUDE (last_modified) " if name in {"read_text", "read_blob"} else ""
        relative = f"substr({quoted}, {len(self._prefix) + 1})"
        opening = f"(SELECT * {without}REPLACE ({relative} AS {quoted}) FROM "  # noqa: S608 - names are ours or quoted
        alias = "" if node.get("alias") else f" AS {quote_identifier(name)}"
        self.edits.append(Edit(start=start, end=start, text=opening))
        self.edits.append(Edit(start=end, end=end, text=f"){alias}"))

    def _extent(self, node: Node) -> tuple[int, int]:
        """Return where a call of a table function begins and where its last bracket ends."""
        start = start_of(node)
        if start is None:
            raise AuthorSqlError("A table function stands where it cannot be followed.")
        return start, _end_of_call(self.text.encode(), start)

    def _absolute(self, path: str, node: Node, *, reader: str = "") -> str:
        complaint = _refused(path)
        if complaint is not None:
            raise AuthorSqlError.at(f"{complaint} {_ONLY_BELOW}", self.text, start_of(node))
        absolute = _escape_folder(self._prefix, path) + posixpath.normpath(path)
        found = self._found(absolute, path, node, must_exist=reader != "glob")
        self.files.update(found)
        return absolute

    def _found(self, absolute: str, path: str, node: Node, *, must_exist: bool) -> list[str]:
        try:
            matches = self.finder.matches(absolute)
        except AuthorSqlError:
            message = f'"{path}" means a file behind a symbolic link, which is not followed.'
            raise AuthorSqlError.at(message, self.text, start_of(node)) from None
        if not matches and must_exist:
            message = f'No file matches "{path}". Paths start at the project folder.'
            missing = posixpath.normpath(path)
            raise AuthorSqlError.at(message, self.text, start_of(node), missing=missing)
        relative = [match.removeprefix(self._prefix) for match in matches]
        for match in relative:
            part = denied_part(match)
            if part is not None:
                message = f'"{path}" also means {match}, and {part} is never read. Be more exact.'
                raise AuthorSqlError.at(message, self.text, start_of(node))
        return relative


def _refused(path: str) -> str | None:
    if _SCHEME.match(path):
        return f'"{path}" is not a file of the project.'
    if path.startswith(("/", "~", "\\")) or re.match(r"^[A-Za-z]:", path):
        return f'"{path}" is an absolute path.'
    if posixpath.normpath(path).split("/")[0] == "..":
        return f'"{path}" leads out of the project folder.'
    part = denied_part(path)
    return None if part is None else f'"{path}" leads into {part}, which is never read.'


def _name_column(reader: str, named: dict[str, Node]) -> str | None:
    """Return the column in which a reader gives the file's name, or None."""
    asked = named.get("filename")
    if asked is None:
        return _NAME_COLUMN.get(reader)
    own = text_of(asked)
    if own is not None:
        return own
    return "filename" if str(asked.get("literal", {}).get("text")).lower() == "true" else None


def _escape_folder(folder: str, pattern: str) -> str:
    """Return ``folder`` so that its own brackets and stars mean themselves beside a pattern."""
    return escape_glob(folder) if _GLOB.search(pattern) else folder


def _end_of_call(data: bytes, start: int) -> int:
    """Return where the bracket closes that opens first behind ``start``."""
    depth = 0
    for piece in _PIECE.finditer(data, start):
        depth += {b"(": 1, b")": -1}.get(piece[0], 0)
        if piece[0] == b")" and depth == 0:
            return piece.end()
    raise AuthorSqlError("A table function stands where it cannot be followed.")


def _end_of_quoted(data: bytes, start: int) -> int:
    """Return where the quoted text beginning at ``start`` ends; a doubled quote means one."""
    quote, at = data[start : start + 1], start + 1
    while True:
        at = data.index(quote, at) + 1
        if data[at : at + 1] != quote:
            return at
        at += 1
