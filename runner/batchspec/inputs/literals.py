"""``inputs.rows``: items written into the spec itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from batchspec.inputs.columns import Column, quote_identifier
from batchspec.inputs.keys import check_columns
from batchspec.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchspec.inputs.engine import Engine
    from batchspec.spec.project import LoadedSpec

_TEXT, _WHOLE, _DECIMAL = "text", "a whole number", "a number with a fraction"
_ARROW = {
    _TEXT: pa.string(),
    _WHOLE: pa.int64(),
    _DECIMAL: pa.float64(),
    "true or false": pa.bool_(),
    "a list": pa.string(),
    "a mapping": pa.string(),
}


def load_rows(engine: Engine, loaded: LoadedSpec, table: str) -> tuple[str, tuple[Problem, ...]]:
    """Make ``table`` from the spec's literal rows.

    A column holds one kind of value; a row that lacks a column has NULL there. Lists and mappings
    become JSON, so that templates see them as they were written.

    Returns:
        The query that yields the rows, and the problems.
    """
    rows = loaded.spec.inputs.rows or ()
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    problems: list[Problem] = []
    arrays, selected = [], []
    problems += check_columns(
        [Column(name=name, type="") for name in names], loaded.document.place(("inputs", "rows"))
    )
    for name in names:
        kind = _kind_of_column(loaded, name, rows, problems)
        arrays.append(_array(name, kind, rows) if not problems else pa.nulls(len(rows)))
        quoted = quote_identifier(name)
        nested = kind in {"a list", "a mapping"}
        selected.append(f"{quoted}::JSON AS {quoted}" if nested else quoted)
    if problems or not names:
        return "", tuple(problems)
    engine.register(table, pa.table(arrays, names=list(names)))
    query = f"SELECT {', '.join(selected)} FROM {quote_identifier(table)}"  # noqa: S608 - names are ours or quoted
    return query, ()


def _kind_of_column(
    loaded: LoadedSpec, name: str, rows: Sequence[dict[str, Any]], problems: list[Problem]
) -> str:
    """Return the kind of a column's values; values of another kind become problems."""
    kind: str | None = None
    first = 0
    for number, row in enumerate(rows):
        value = row.get(name)
        if value is None:
            continue
        found = _kind(value)
        if kind is None:
            kind, first = found, number
        if found != kind:
            problems.append(_mixed(loaded, name, (first, kind), (number, found)))
    return kind or _TEXT


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds: tuple[tuple[type, str], ...] = (
        (str, _TEXT),
        (int, _WHOLE),
        (float, _DECIMAL),
        (list, "a list"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "a mapping")


def _array(name: str, kind: str, rows: Sequence[dict[str, Any]]) -> pa.Array:
    values = [row.get(name) for row in rows]
    if kind in {"a list", "a mapping"}:
        values = [None if value is None else orjson.dumps(value).decode() for value in values]
    return pa.array(values, type=_ARROW[kind])


def _mixed(
    loaded: LoadedSpec, name: str, first: tuple[int, str], other: tuple[int, str]
) -> Problem:
    return Problem(
        code="mixed-types",
        summary=f"the column {name} holds {first[1]} in row {first[0] + 1} and {other[1]} in row"
        f" {other[0] + 1}",
        detail="A column has one type, so that templates and SQL can rely on it. Write all of its"
        " values alike, for instance 1.0 beside 2.5, or quote them all.",
        where=loaded.document.place(("inputs", "rows", other[0], name)),
    )
