"""Plain data read from YAML, together with where each piece of it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from batchspec.problems import Place
from batchspec.records import frozen

NodePath = tuple[str | int, ...]
"""Keys and list positions from the top of a document to one value."""

SECRET = re.compile(r"sk-ant-[A-Za-z0-9_-]{6,}")
"""The shape of an Anthropic API key (fact sheet §10 shows the prefixes)."""

_SHOWN = 60


def masked(text: str) -> str:
    """Return a text of the same length without the API keys in it."""
    return SECRET.sub(lambda key: "sk-ant-".ljust(len(key[0]), "*"), text)


@frozen
class Source:
    """The text of one file, for places and carets."""

    file: str
    """Path relative to the project root, with forward slashes."""
    lines: tuple[str, ...]
    """Its lines without endings, API keys already masked."""
    secrets: tuple[tuple[int, int], ...] = ()
    """Where API keys stood: lines and columns, counted from 0."""

    @classmethod
    def of(cls, file: str, text: str) -> Source:
        """Return the source of a file's text."""
        lines = text.split("\n")
        secrets = [(n, m.start()) for n, line in enumerate(lines) for m in SECRET.finditer(line)]
        return cls(file=file, lines=tuple(map(masked, lines)), secrets=tuple(secrets))

    def at(self, line: int, column: int) -> Place:
        """Return the place of a 0-based line and column."""
        text = self.lines[line] if line < len(self.lines) else ""
        return Place(file=self.file, line=line + 1, column=column + 1, source=text)


class Spot(NamedTuple):
    """Where one value, and the key that names it, begin. Lines and columns count from 0."""

    source: Source
    line: int
    column: int
    style: str
    """``|`` literal, ``>`` folded, ``'`` or ``"`` quoted, empty for plain and for collections."""
    key: tuple[int, int] | None


@frozen
class Document:
    """One YAML document: data without tags, anchors or comments, and the places of its parts.

    After a merge with a project's defaults the parts may stand in two files.
    """

    source: Source
    data: Any
    """dict, list, str, int, float, bool or None."""
    spots: Mapping[NodePath, Spot]

    def get(self, *path: str | int) -> Any:
        """Return the value at ``path``, or None when there is none."""
        value = self.data
        for step in path:
            known = range(len(value)) if isinstance(value, list) else value
            if not isinstance(known, dict | range) or step not in known:
                return None
            value = value[step]
        return value

    def place(self, path: NodePath, *, key: bool = False) -> Place:
        """Return where the value at ``path`` begins, or with ``key`` where its key does.

        A path that does not exist gives the key of its nearest ancestor that does.
        """
        spot = self.spots.get(path)
        while spot is None and path:
            path, key = path[:-1], True
            spot = self.spots.get(path)
        if spot is None:
            return Place(file=self.source.file)
        line, column = spot.key if key and spot.key is not None else (spot.line, spot.column)
        return spot.source.at(line, column)

    def inside(self, path: NodePath, line: int, column: int | None = None) -> Place:
        """Return the place of a 1-based line and column *of the text* at ``path``.

        Exact for literal blocks (``|``) and for text on one line without escapes; else the
        beginning of the value.
        """
        text, spot = self.get(*path), self.spots.get(path)
        if spot is None or not isinstance(text, str):
            return self.place(path)
        wanted = text.split("\n")
        if not 1 <= line <= len(wanted):
            return self.place(path)
        if spot.style == "|":
            row, start = spot.line + line, _ending(spot, spot.line + line, wanted[line - 1])
        else:
            row, start = spot.line, _beginning(spot, text)
        if start is None:
            return self.place(path)
        return spot.source.at(row, start + (column or 1) - 1)


def _ending(spot: Spot, row: int, text: str) -> int | None:
    """Return the column at which ``text`` ends the source line, as block content does."""
    lines = spot.source.lines
    if row < len(lines) and lines[row].endswith(text):
        return len(lines[row]) - len(text)
    return None


def _beginning(spot: Spot, text: str) -> int | None:
    """Return the column at which a one-line scalar's text stands verbatim, if it does."""
    start = spot.column + (1 if spot.style in {"'", '"'} else 0)
    return start if spot.source.lines[spot.line].startswith(text, start) else None


def shown(value: object) -> str:
    """Return ``value`` short, on one line, without control characters or keys, for a message."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    text = masked(text)
    text = "".join(c if c.isprintable() else "·" for c in text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def dotted(path: NodePath) -> str:
    """Return a path as people write it: ``checks[2].name``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{shown(step)}"
    return text.removeprefix(".")
