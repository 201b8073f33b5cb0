"""Values as templates see them: plain Python, the same on every machine.

DuckDB hands out most types naturally (date, Decimal, list, dict, None). The rest is arranged in
the query: TIMESTAMPTZ would need pytz and becomes a UTC timestamp, UUID, INTERVAL and nanosecond
timestamps become text. JSON columns are parsed.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import orjson

from batchspec.inputs.columns import Column, quote_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TYPE_WORD = re.compile(
    r"""("(?:[^"]|"")*"|'(?:[^']|'')*')"""
    r"|\b(TIMESTAMP WITH TIME ZONE|TIMESTAMP_NS|INTERVAL|UUID|TIME_NS)(?=[,)\[]|$)"
)
_PLAIN = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMP"}


def plain_type(duckdb_type: str) -> str:
    """Return the type to cast to before values are fetched; mostly the type itself."""
    return _TYPE_WORD.sub(
        lambda match: match[1] or _PLAIN.get(match[2], "VARCHAR"),
        duckdb_type,
    )


def projection(columns: Sequence[Column]) -> str:
    """Return the select list that fetches ``columns`` as plain values."""
    parts = []
    for column in columns:
        name, plain = quote_identifier(column.name), plain_type(column.type)
        parts.append(name if plain == column.type else f"{name}::{plain} AS {name}")
    return ", ".join(parts)


def decoders(columns: Sequence[Column]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Return, by column name, what is still to be done to values that are not None."""
    found: list[tuple[str, Callable[[Any], Any]]] = []
    for column in columns:
        if column.type == "JSON":
            found.append((column.name, orjson.loads))
        elif column.type == "TIMESTAMP WITH TIME ZONE":
            found.append((column.name, _utc))
    return tuple(found)


def _utc(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=dt.UTC)
