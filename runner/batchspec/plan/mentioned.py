"""Files that outputs and checks may read: what a spec's SQL and settings mention."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from batchspec.inputs.hardened import FileRefused, read_below
from batchspec.spec.model import Spec

_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_DATA_PATTERN = re.compile(r"[*?\[{].*\.(csv|tsv|json|jsonl|ndjson|parquet)\b|/\*")
"""A pattern in SQL that may mean files; regular expressions and LIKE look otherwise."""


def mentioned_files(root: Path, spec: Spec) -> tuple[str, ...] | None:
    """Return the files of the project that outputs and checks mention, sorted; more than they read.

    None: what they read is not known for certain, because of a pattern or an unreadable file.
    """
    found: set[str] = set()
    for value in _settings(spec):
        text = value
        if isinstance(value, dict):
            found.add(value["file"])
            try:
                text = read_below(root, value["file"]).decode("utf-8-sig")
            except (FileRefused, UnicodeDecodeError):
                return None
        for name in _names(text):
            if _DATA_PATTERN.search(name):
                return None
            if _is_file(root, name):
                found.add(name)
    return tuple(sorted(found))


def _settings(spec: Spec) -> Iterator[Any]:
    """Yield every text of the outputs and the checks; a mapping stands for a file with SQL."""
    data = spec.model_dump(mode="python", include={"outputs", "checks"})
    waiting: list[Any] = [data["checks"], [output["select"] for output in data["outputs"]]]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) or (isinstance(value, dict) and value.keys() == {"file"}):
            yield value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value


def _names(text: str) -> Iterator[str]:
    yield text
    for match in _QUOTED.finditer(text):
        yield match[1] or match[2] or ""


def _is_file(root: Path, name: str) -> bool:
    path = PurePosixPath(name)
    if not name.strip() or path.is_absolute() or ".." in path.parts:
        return False
    try:
        return (root / path).is_file()
    except (OSError, ValueError):
        return False
