"""``inputs.files``: one item per file."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pyarrow as pa

from batchspec.inputs.globs import find_files
from batchspec.inputs.hardened import FileRefused, read_below
from batchspec.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchspec.inputs.engine import Engine
    from batchspec.spec.project import LoadedSpec

CHUNK_BYTES = 8 * 1024 * 1024
"""Text handed to DuckDB at a time."""

_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("name", pa.string()),
        ("stem", pa.string()),
        ("suffix", pa.string()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
        ("text", pa.string()),
    ]
)


def load_files(
    engine: Engine, root: Path, loaded: LoadedSpec, table: str
) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """Make ``table`` with one row per file that the spec's patterns mean, ordered by path.

    A file that holds a NUL or is not UTF-8 has ``text`` NULL; a byte order mark is left out.

    Returns:
        The files' paths and the problems: patterns without a file, files that cannot be read.
    """
    patterns = loaded.spec.inputs.files or ()
    paths, problems = _find(root, loaded, patterns)
    engine.register(table, _SCHEMA.empty_table())
    for chunk in _chunks(root, loaded, paths, problems):
        engine.append(table, chunk)
    return paths, tuple(problems)


def _find(
    root: Path, loaded: LoadedSpec, patterns: Sequence[str]
) -> tuple[tuple[str, ...], list[Problem]]:
    found: set[str] = set()
    problems: list[Problem] = []
    for number, pattern in enumerate(patterns):
        try:
            matches = find_files(root, pattern)
        except FileRefused as refused:
            problems.append(_refused(loaded, pattern, refused.reason, number))
            continue
        if not matches:
            problems.append(_no_match(loaded, pattern, number))
        found.update(matches)
    return tuple(sorted(found)), problems


def _chunks(
    root: Path, loaded: LoadedSpec, paths: Sequence[str], problems: list[Problem]
) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, object]] = []
    size = 0
    for path in paths:
        try:
            row = _row(path, read_below(root, path))
        except FileRefused as refused:
            problems.append(_refused(loaded, path, refused.reason, None))
            continue
        rows.append(row)
        size += len(str(row["text"]))
        if size >= CHUNK_BYTES:
            yield pa.RecordBatch.from_pylist(rows, schema=_SCHEMA)
            rows, size = [], 0
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=_SCHEMA)


def _row(path: str, data: bytes) -> dict[str, object]:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise FileRefused("has a name that is not UTF-8") from None
    pure = PurePosixPath(path)
    return {
        "path": path,
        "name": pure.name,
        "stem": pure.stem,
        "suffix": pure.suffix,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "text": _text(data),
    }


def _text(data: bytes) -> str | None:
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _refused(loaded: LoadedSpec, path: str, reason: str, number: int | None) -> Problem:
    step: tuple[str | int, ...] = () if number is None else (number,)
    shown = path.encode(errors="backslashreplace").decode()
    return Problem(
        code="input-file-refused",
        summary=f"the input {shown} {reason}",
        detail="Files are read below the project folder only, without following links, so that a"
        " spec cannot reach what it does not name. Change inputs.files or the file.",
        where=loaded.document.place(("inputs", "files", *step)),
    )


def _no_match(loaded: LoadedSpec, pattern: str, number: int) -> Problem:
    return Problem(
        code="no-input-files",
        summary=f'no file matches "{pattern}"',
        detail="Patterns start at the project folder; ** means any number of folders, and names"
        " that begin with a dot match only when the pattern says the dot.",
        where=loaded.document.place(("inputs", "files", number)),
    )
