"""Columns, and text made safe to stand in SQL."""

from __future__ import annotations

import re

from batchspec.records import frozen


@frozen
class Column:
    """One column of a relation."""

    name: str
    type: str
    """DuckDB's spelling, e.g. ``VARCHAR`` or ``STRUCT(a INTEGER)``."""


def quote_identifier(name: str) -> str:
    """Return ``name`` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def escape_glob(path: str) -> str:
    """Return ``path`` as a glob pattern that means exactly itself."""
    return re.sub(r"[*?\[]", lambda match: f"[{match[0]}]", path)


def quote_literal(text: str) -> str:
    """Return ``text`` as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
