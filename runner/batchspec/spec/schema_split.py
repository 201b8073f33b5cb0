"""Dividing a JSON Schema into what structured outputs can be made of, and the rest.

What is sent accepts every answer that the whole schema accepts, but for further properties: objects
are closed, since structured outputs have no others. Whatever cannot be divided so is left in, for
`schema_subset` to complain of.
"""

from __future__ import annotations

import json
from typing import Any

from batchspec.records import frozen
from batchspec.spec.document import NodePath
from batchspec.spec.schema_subset import ALLOWED, COMPLEX_PATTERN, FORMATS, MANY

_SCALARS = str | int | float | bool
_HARD = frozenset({"patternProperties", "prefixItems", "unevaluatedProperties"})
"""Keywords without which a schema would ask for something else."""


@frozen
class Divided:
    """A schema in two parts."""

    sent: dict[str, Any]
    kept: tuple[str, ...]
    """JSON pointers to what is not sent, or sent otherwise, and only checked here."""


def divided(schema: dict[str, Any]) -> Divided:
    """Return what of a schema can be sent, and where it differs from the whole.

    Limits that are not sent are told in the description of their part, which the model reads.
    """
    kept: list[NodePath] = []
    sent = _part(schema, (), kept)
    return Divided(sent=sent, kept=tuple(map(_pointer, sorted(kept, key=str))))


def _pointer(path: NodePath) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _part(part: dict[str, Any], path: NodePath, kept: list[NodePath]) -> dict[str, Any]:
    sent: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for name, value in part.items():
        here = (*path, name)
        if name == "oneOf" and "anyOf" not in part:
            sent["anyOf"] = _schemas(value, here, kept)
            kept.append(here)
        elif _stays(name, value):
            sent[name] = _inside(name, value, here, kept)
        else:
            kept.append(here)
            if isinstance(value, _SCALARS):
                told[name] = value
    _count(sent, path, kept, told)
    _close(sent, path, kept)
    if told:
        sent["description"] = _described(part.get("description"), told)
    return sent


def _stays(name: str, value: Any) -> bool:
    """Tell whether a keyword is sent as it is."""
    if name == "format":
        return value in FORMATS if isinstance(value, str) else True
    if name == "pattern":
        return not (isinstance(value, str) and COMPLEX_PATTERN.search(value))
    if name == "enum":
        return not any(isinstance(choice, dict | list) for choice in value or ())
    return name in ALLOWED or name in _HARD


def _inside(name: str, value: Any, path: NodePath, kept: list[NodePath]) -> Any:
    """Divide the schemas inside a keyword's value."""
    if name == "items" and isinstance(value, dict):
        return _part(value, path, kept)
    if name in MANY and isinstance(value, dict):
        return {
            key: _part(inner, (*path, key), kept) if isinstance(inner, dict) else inner
            for key, inner in value.items()
        }
    if name in {"anyOf", "allOf"}:
        return _schemas(value, path, kept)
    return value


def _schemas(value: Any, path: NodePath, kept: list[NodePath]) -> Any:
    if not isinstance(value, list):
        return value
    return [
        _part(inner, (*path, number), kept) if isinstance(inner, dict) else inner
        for number, inner in enumerate(value)
    ]


def _count(
    sent: dict[str, Any], path: NodePath, kept: list[NodePath], told: dict[str, Any]
) -> None:
    """Send at least one of more items: structured outputs know only 0 and 1."""
    least = sent.get("minItems")
    if isinstance(least, int) and least > 1:
        kept.append((*path, "minItems"))
        told["minItems"] = least
        sent["minItems"] = 1


def _close(sent: dict[str, Any], path: NodePath, kept: list[NodePath]) -> None:
    """Close an object that is open because nothing else was said."""
    if sent.get("additionalProperties", True) is True and isinstance(sent.get("properties"), dict):
        kept.append((*path, "additionalProperties"))
        sent["additionalProperties"] = False


def _described(description: Any, told: dict[str, Any]) -> str:
    limits = ", ".join(f"{name}: {json.dumps(told[name])}" for name in sorted(told))
    return f"{description} ({limits})" if isinstance(description, str) else f"({limits})"
