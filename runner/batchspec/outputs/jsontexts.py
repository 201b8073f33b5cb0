"""Fields of the answer that a projection takes as JSON, where text was most likely meant.

``result`` is JSON, and so is ``result.label``: in a CSV, Parquet or database column a text keeps
its quotes then, and a missing value is the word null. JSON outputs write both the same way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from batchspec.inputs.engine import Engine
from batchspec.outputs.authored import Authored
from batchspec.outputs.projection import Projection
from batchspec.problems import Problem, Severity
from batchspec.spec.words import listing

_ANSWER = "result"


def json_texts(
    engine: Engine, projection: Projection, authored: Authored, schema: dict[str, Any] | None
) -> Iterator[Problem]:
    """Warn of columns that are dotted fields of ``result`` and no lists or objects by the schema.

    Args:
        engine: The engine that has bound the projection.
        projection: The rows, with the types of their columns.
        authored: The SQL behind them.
        schema: The schema of the answers, if there is one.
    """
    types = {column.name: column.type for column in projection.columns}
    properties = (schema or {}).get("properties", {})
    found = {}
    for name, field in _fields(engine, authored.select.sql):
        part = properties.get(field, {})
        nested = isinstance(part, dict) and part.get("type") in ("array", "object")
        if types.get(name) == "JSON" and not nested:
            found[name] = field
    if found:
        yield _warning(authored, found)


def _fields(engine: Engine, sql: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each such column, and of the answer's field."""
    (serialized,) = engine.one("SELECT json_serialize_sql(?)", (sql,))
    node = json.loads(serialized)["statements"][0]["node"]
    for expression in node.get("select_list", ()):
        names: list[str] = expression.get("column_names") or []
        if _ANSWER in names[:-1] and names[-1] != _ANSWER:
            yield expression["alias"] or names[-1], names[-1]


def _warning(authored: Authored, found: dict[str, str]) -> Problem:
    """Return the warning of columns, each with the answer's field that it takes."""
    many, field = len(found) > 1, next(iter(found.values()))
    columns = f"{'columns' if many else 'column'} {listing(found, 'and')}"
    typed = f", or answer.{field} for the type of the schema" if field.isidentifier() else ""
    return Problem(
        code="json-text",
        summary=f"the {columns} of {authored.what} {'are' if many else 'is'} JSON: a text keeps its"
        " quotes in it, and a missing value is the word null",
        detail="Readers of the output would have to take both off again. Write"
        f" {_ANSWER}->>'{field}' for text{typed}.",
        severity=Severity.WARNING,
        where=authored.loaded.document.place(authored.path),
    )
