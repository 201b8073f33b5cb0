"""Which rows an output has, and in what order: the default rows, or a projection."""

# ruff: noqa: S608 - the names in this SQL are ours or quoted, and author SQL was read before.

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from batchspec.inputs.engine import AuthorSqlError, Column, Engine, quote_identifier, quote_literal
from batchspec.outputs.authored import Authored, read_authored
from batchspec.outputs.cells import csv_cell, json_cell, json_text, parquet_cell
from batchspec.outputs.results import ROWS, Results
from batchspec.problems import Problem
from batchspec.records import frozen
from batchspec.spec.document import NodePath
from batchspec.spec.model import Output
from batchspec.spec.project import LoadedSpec

_HASH: Final = "lower(hex(hash))"
_UNANSWERED: Final = "('errored', 'expired', 'canceled')"


@frozen
class Projection:
    """The rows of one output."""

    columns: tuple[Column, ...]
    sql: str
    """A query that gives exactly these columns, and those of ``order``."""
    order: str
    """What ``sql`` is sorted by; empty when it is sorted already."""
    authored: Authored | None = None
    """The author's SQL behind it; None for default rows."""
    line: str | None = None
    """The JSON object of a row, where it is not simply all its columns."""

    def json_rows(self) -> str:
        """Return the query of the rows as JSON objects, in order, as bytes with a line end."""
        line = self.line or json_object(self.columns)
        return self._select(f"encode({line} || chr(10))")

    def csv_rows(self) -> str:
        """Return the query of the rows as CSV records, in order, as bytes with a line end."""
        alone = len(self.columns) == 1
        cells = ", ',', ".join(csv_cell(column, alone=alone) for column in self.columns)
        return self._select(f"encode(concat({cells}, chr(10)))")

    def parquet_rows(self) -> str:
        """Return the query of the rows in types that Parquet has, in order."""
        return self._select(
            ", ".join(
                f"{parquet_cell(column)} AS {quote_identifier(column.name)}"
                for column in self.columns
            )
        )

    def plain_rows(self) -> str:
        """Return the query of the rows in their own types, in order."""
        return self._select(", ".join(quote_identifier(column.name) for column in self.columns))

    def _select(self, what: str) -> str:
        return f"SELECT {what} FROM ({self.sql}){self._order_by()}"

    def _order_by(self) -> str:
        return f" ORDER BY {self.order}" if self.order else ""


def json_object(columns: Sequence[Column], *, strict: bool = True) -> str:
    """Return the SQL of a row as a JSON object of these columns.

    Args:
        columns: The columns.
        strict: NaN inside of a value is an error, rather than no JSON.
    """
    names = (json.dumps(column.name, ensure_ascii=False) for column in columns)
    fields = (
        f"{quote_literal(name + ':')}, {json_cell(column, strict=strict)}"
        for name, column in zip(names, columns, strict=True)
    )
    return "concat('{', " + ", ',', ".join(fields) + ", '}')"


def project(
    engine: Engine, root: Path, loaded: LoadedSpec, path: NodePath, output: Output
) -> tuple[Authored | None, tuple[Problem, ...]]:
    """Read ``outputs.select``; None without problems when there is none."""
    if output.select is None:
        return None, ()
    return read_authored(engine, root, loaded, (*path, "select"), output.select)


def default_json(results: Results) -> Projection:
    """Return the default rows for JSON: ``error`` stands only where there is one."""
    error = (
        f"concat(',\"error\":{{\"type\":', coalesce({json_text('error.type')}, 'null'),"
        f" ',\"message\":', coalesce({json_text('error.message')}, 'null'), '}}')"
    )
    stop = f"concat(',\"stop_reason\":', coalesce({json_text('stop_reason')}, 'null'))"
    either = (
        f"CASE WHEN status IN {_UNANSWERED} THEN {error}"
        f" WHEN status = 'invalid' THEN concat({stop}, {error}) ELSE {stop} END"
    )
    line = (
        "concat('{\"key\":', key_json, ',\"result\":', coalesce(result_json, 'null'),"
        f" ',\"status\":\"', status, '\"', {either}, ',\"request_hash\":\"', {_HASH}, '\"}}')"
    )
    columns = (
        Column(name="key", type=_key_type(results)),
        Column(name="result", type="JSON"),
        Column(name="status", type="VARCHAR"),
        Column(name="stop_reason", type="VARCHAR"),
        Column(name="error", type="STRUCT(type VARCHAR, message VARCHAR)"),
        Column(name="request_hash", type="VARCHAR"),
    )
    return Projection(columns=columns, sql=f"FROM {ROWS}", order=results.order, line=line)


def default_table(results: Results, *, flat: bool) -> Projection:
    """Return the default rows for CSV (``flat``: the error in two columns) or Parquet."""
    errors = {"error": "error"}
    types = {"error": "STRUCT(type VARCHAR, message VARCHAR)"}
    if flat:
        errors = {"error_type": "error.type", "error_message": "error.message"}
        types = dict.fromkeys(errors, "VARCHAR")
    is_json = results.sources.form.is_json
    text = "CASE WHEN result_json IS NOT NULL THEN text END"
    expressions = {
        "key": results.key,
        "result": "result_json::JSON" if is_json else text,
        "status": "status",
        "stop_reason": f"CASE WHEN status NOT IN {_UNANSWERED} THEN stop_reason END",
        **errors,
        "request_hash": _HASH,
    }
    types = {"key": _key_type(results), "result": "JSON" if is_json else "VARCHAR", **types}
    listed = ", ".join(f"{expression} AS {name}" for name, expression in expressions.items())
    return Projection(
        columns=tuple(Column(name=name, type=types.get(name, "VARCHAR")) for name in expressions),
        sql=f"SELECT {listed}, {results.order} FROM {ROWS}",
        order=results.order,
    )


def _key_type(results: Results) -> str:
    table = results.sources.table
    if len(table.key) > 1:
        return "JSON"
    return next(column.type for column in table.columns if column.name == table.key[0])


def projected(engine: Engine, authored: Authored) -> tuple[Projection | None, tuple[Problem, ...]]:
    """Return the rows of an author's SELECT.

    They are sorted by its own ORDER BY, ties by all columns from left to right; without one by all
    columns from left to right: so equal answers give equal bytes.
    """
    try:
        columns = engine.names_of(authored.select)
    except AuthorSqlError as error:
        return None, (authored.problem(error),)
    sql = _sorted(engine, authored.select.sql, len(columns))
    order = ", ".join(quote_identifier(column.name) for column in columns)
    projection = Projection(
        columns=columns,
        sql=f"FROM ({authored.select.sql})" if sql is None else sql,
        order=order if sql is None else "",
        authored=authored,
    )
    return projection, (*_twice(authored, columns), *authored.warnings())


def _sorted(engine: Engine, sql: str, columns: int) -> str | None:
    """Return the query with its ORDER BY made total; None when it has none."""
    tree = _tree(engine, sql)
    orders = _orders(tree)
    if orders is None:
        return None
    if orders[0]["expression"]["class"] == "STAR":  # ORDER BY ALL, which is total
        return sql
    positions = ", ".join(str(n + 1) for n in range(columns))
    ties = _orders(_tree(engine, f"SELECT 1 ORDER BY {positions}"))
    orders += ties or []
    (text,) = engine.one("SELECT json_deserialize_sql(?::JSON)", (json.dumps(tree),))
    return str(text)


def _tree(engine: Engine, sql: str) -> dict[str, Any]:
    (serialized,) = engine.one("SELECT json_serialize_sql(?)", (sql,))
    tree: dict[str, Any] = json.loads(serialized)
    return tree


def _orders(tree: dict[str, Any]) -> list[Any] | None:
    for modifier in tree["statements"][0]["node"]["modifiers"]:
        if modifier["type"] == "ORDER_MODIFIER":
            orders: list[Any] = modifier["orders"]
            return orders
    return None


def _twice(authored: Authored, columns: tuple[Column, ...]) -> tuple[Problem, ...]:
    seen: set[str] = set()
    for column in columns:
        if column.name.lower() in seen:
            return (
                Problem(
                    code="duplicate-column",
                    summary=f'{authored.what} has two columns named "{column.name}"',
                    detail="A row would have one value under two meanings. Rename one with AS.",
                    where=authored.loaded.document.place(authored.path),
                ),
            )
        seen.add(column.name.lower())
    return ()
