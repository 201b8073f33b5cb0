"""The column ``answer`` of ``results``: a parsed answer in the types of its schema."""

from __future__ import annotations

import json
from typing import Any, Final

from batchspec.inputs.engine import quote_literal
from batchspec.prompt.answer_form import AnswerForm

_TYPES: Final = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
}
_JSON: Final = "JSON"
_DEEPEST: Final = 8
"""Beyond it a value stays JSON."""


def typed_answer(form: AnswerForm, expression: str) -> str:
    """Return the SQL of a parsed answer, typed; empty when there is no schema to type it by.

    What does not fit its type is NULL, and where several types are possible it stays JSON.

    Args:
        form: The form of the answers.
        expression: SQL of the parsed answer as JSON text.
    """
    if form.schema is None:
        return ""
    structure = _structure(form.schema, form.schema, 0)
    return f"from_json({expression}::JSON, {quote_literal(json.dumps(structure))})"


def _structure(part: Any, whole: dict[str, Any], depth: int) -> Any:
    """Return the structure that DuckDB's `from_json` makes of a schema."""
    if not isinstance(part, dict) or depth > _DEEPEST:
        return _JSON
    if isinstance(part.get("$ref"), str):
        return _structure(_target(part["$ref"], whole), whole, depth + 1)
    kinds = _kinds(part)
    if len(kinds) != 1:
        return _JSON
    (kind,) = kinds
    if kind == "object":
        return _record(part.get("properties"), whole, depth)
    if kind == "array":
        return [_structure(part.get("items"), whole, depth + 1)]
    return _TYPES.get(kind, _JSON)


def _record(properties: Any, whole: dict[str, Any], depth: int) -> Any:
    named = properties if isinstance(properties, dict) else {}
    # DuckDB does not tell names apart by upper and lower case.
    if not named or len({name.lower() for name in named}) != len(named):
        return _JSON
    return {name: _structure(inner, whole, depth + 1) for name, inner in named.items()}


def _kinds(part: dict[str, Any]) -> set[str]:
    """Return the types that a value may have besides null."""
    given = part.get("type")
    found = set(given if isinstance(given, list) else [given] if isinstance(given, str) else [])
    choices = part.get("enum", [part["const"]] if "const" in part else [])
    if not found and isinstance(choices, list):
        found = {_kind(choice) for choice in choices}
    return found - {"null"}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", type(None): "null"}
    return names.get(type(value), "other")


def _target(reference: str, whole: dict[str, Any]) -> Any:
    part: Any = whole
    for step in reference.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        part = part.get(name) if isinstance(part, dict) else None
    return part
