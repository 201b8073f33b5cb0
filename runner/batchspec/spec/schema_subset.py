"""The part of JSON Schema that structured outputs can be made of (fact sheet §6.1).

A schema outside of it is refused by the API only when the whole batch has ended, for every row.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

from batchspec.records import frozen
from batchspec.spec.document import NodePath, shown
from batchspec.spec.words import listing

MAX_OPTIONAL = 24
"""Optional properties of one request."""
MAX_UNIONS = 16
"""Properties with several types of one request."""

_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "$schema", "$id", "$comment", "deprecated"}
)
ALLOWED = _ANNOTATIONS | {
    "type", "properties", "required", "additionalProperties", "enum", "const", "anyOf", "allOf",
    "$ref", "$defs", "definitions", "format", "minItems", "items", "pattern",
}  # fmt: skip
"""Keywords that may be sent."""
FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
MANY = ("properties", "$defs", "definitions")
"""Keywords whose value has a schema for each of its names."""
_LISTS = ("anyOf", "allOf")
TOO_COMPLEX = (
    "The API answers 'Schema is too complex for compilation' for every request. Require more"
    " properties, or ask for less at once."
)
COMPLEX_PATTERN = re.compile(r"\(\?[=!<]|\\[1-9]")

_INSTEAD = {
    "oneOf": "Use anyOf.",
    "minimum": "Say it in the description, and check it in checks.",
    "maximum": "Say it in the description, and check it in checks.",
    "minLength": "Say it in the description, and check it in checks.",
    "maxLength": "Say it in the description, and check it in checks.",
    "maxItems": "Say it in the description, and check it in checks.",
    "patternProperties": "Name the properties one by one.",
    "prefixItems": "Use an object with a property for each position.",
    "nullable": 'Write "type": ["string", "null"].',
}


@frozen
class Finding:
    """One thing about a schema that the API would refuse."""

    code: str
    path: NodePath
    """From the top of the schema to what is wrong."""
    summary: str
    """Follows the words "the response schema"."""
    detail: str


def subset_findings(schema: dict[str, Any]) -> Iterator[Finding]:
    """Yield everything that keeps a schema from being compiled for structured outputs."""
    for path, part in _parts(schema, ()):
        yield from _keywords(part, path)
        yield from _object(part, path)
        yield from _values(part, path)
        yield from _reference(schema, part, path)
    yield from _limits(schema)


def _dict(part: dict[str, Any], name: str) -> dict[str, Any]:
    value = part.get(name)
    return value if isinstance(value, dict) else {}


def _list(part: dict[str, Any], name: str) -> list[Any]:
    value = part.get(name)
    return value if isinstance(value, list) else []


def _parts(schema: Any, path: NodePath) -> Iterator[tuple[NodePath, dict[str, Any]]]:
    """Yield a schema and every schema inside it."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    yield from _parts(schema.get("items"), (*path, "items"))
    for name in MANY:
        for key, part in _dict(schema, name).items():
            yield from _parts(part, (*path, name, key))
    for name in _LISTS:
        for number, part in enumerate(_list(schema, name)):
            yield from _parts(part, (*path, name, number))


def _keyword(path: NodePath, summary: str, detail: str) -> Finding:
    return Finding(code="schema-keyword", path=path, summary=summary, detail=detail)


def _keywords(part: dict[str, Any], path: NodePath) -> Iterator[Finding]:
    for name in part:
        if name not in ALLOWED:
            instead = _INSTEAD.get(name, "Remove it, and check it in checks if it matters.")
            yield _keyword(
                (*path, name),
                f"uses {shown(name)}",
                "Structured outputs do not have this keyword, and every request would come back as"
                f" errored. {instead}",
            )
    if any("$ref" in sub for sub in _list(part, "allOf") if isinstance(sub, dict)):
        yield _keyword(
            (*path, "allOf"),
            "mixes allOf with $ref",
            "Structured outputs cannot combine them. Write out what the reference stands for.",
        )


def _types(part: dict[str, Any]) -> list[str]:
    kind = part.get("type")
    return [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else []


def _object(part: dict[str, Any], path: NodePath) -> Iterator[Finding]:
    if "object" not in _types(part) and not isinstance(part.get("properties"), dict):
        return
    if part.get("additionalProperties") is not False:
        yield Finding(
            code="schema-open-object",
            path=(*path, "additionalProperties") if "additionalProperties" in part else path,
            summary="has an object that allows further properties",
            detail="Structured outputs need closed objects, or every request comes back as errored."
            ' Add "additionalProperties": false to each object.',
        )
    for number, name in enumerate(_list(part, "required")):
        if isinstance(name, str) and name not in _dict(part, "properties"):
            yield Finding(
                code="schema-required",
                path=(*path, "required", number),
                summary=f"requires {shown(name)}, which is none of its properties",
                detail="No answer could satisfy it. Add the property, or correct the name.",
            )


def _values(part: dict[str, Any], path: NodePath) -> Iterator[Finding]:
    if any(isinstance(choice, dict | list) for choice in _list(part, "enum")):
        yield _keyword(
            (*path, "enum"),
            "has an enum of lists or objects",
            "Structured outputs choose among texts, numbers, true, false and null. Use anyOf"
            " with one schema per choice.",
        )
    if part.get("minItems", 0) not in (0, 1):  # a set would need a hash
        yield _keyword(
            (*path, "minItems"),
            f"has minItems of {shown(part['minItems'])}",
            "Structured outputs know only 0 and 1. Say the rest in the description, and check it"
            " in checks.",
        )
    kind = part.get("format")
    if isinstance(kind, str) and kind not in FORMATS:
        yield _keyword(
            (*path, "format"),
            f"has the format {shown(kind)}",
            f"Structured outputs know {listing(sorted(FORMATS), 'and')}. Remove it, or use"
            " pattern.",
        )
    yield from _pattern(part.get("pattern"), (*path, "pattern"))


def _pattern(pattern: Any, path: NodePath) -> Iterator[Finding]:
    if not isinstance(pattern, str):
        return
    try:
        re.compile(pattern)
    except re.error as error:
        what, hint = "a pattern that is no regular expression", f"It fails with: {error}."
    else:
        if COMPLEX_PATTERN.search(pattern) is None:
            return
        what, hint = "a pattern that looks around or back", "Only simple patterns can be compiled."
    yield _keyword(path, f"has {what}", f"{hint} Every request would come back as errored.")


def _reference(schema: dict[str, Any], part: dict[str, Any], path: NodePath) -> Iterator[Finding]:
    target = part.get("$ref")
    if not isinstance(target, str):
        return
    if not target.startswith("#"):
        why = "leads out of the schema"
    elif _follow(schema, target) is None:
        why = "leads nowhere"
    elif _returns(schema, target):
        why = "leads back to itself"
    else:
        return
    yield Finding(
        code="schema-reference",
        path=(*path, "$ref"),
        summary=f"has a reference that {why}: {shown(target)}",
        detail="Structured outputs follow only references to $defs of the same schema, without"
        " circles. Write out what is meant.",
    )


def _follow(schema: dict[str, Any], target: str) -> dict[str, Any] | None:
    part: Any = schema
    for step in urllib.parse.unquote(target[1:]).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(part, list) and name.isdecimal() and int(name) < len(part):
            part = part[int(name)]
        else:
            part = part.get(name) if isinstance(part, dict) else None
    return part if isinstance(part, dict) else None


def _returns(schema: dict[str, Any], target: str) -> bool:
    """Tell whether following references from ``target`` comes back to it."""
    seen: set[str] = set()
    waiting = [target]
    while waiting:
        for _, part in _parts(_follow(schema, waiting.pop()), ()):
            following = part.get("$ref")
            if following == target:
                return True
            if isinstance(following, str) and following not in seen:
                seen.add(following)
                waiting.append(following)
    return False


def complexity(schema: dict[str, Any]) -> tuple[int, int]:
    """Return how many optional properties a schema has, and how many with several types."""
    optional = unions = 0
    for _, part in _parts(schema, ()):
        properties, required = _dict(part, "properties"), _list(part, "required")
        optional += sum(name not in required for name in properties)
        unions += sum(_is_union(inner) for inner in properties.values())
    return optional, unions


def over_limits(optional: int, unions: int) -> Iterator[str]:
    """Yield what one request has too much of, in words that follow "has" or "have"."""
    for count, most, what in (
        (optional, MAX_OPTIONAL, "optional properties"),
        (unions, MAX_UNIONS, "properties with several types"),
    ):
        if count > most:
            yield f"{count} {what}, and {most} are the most"


def _limits(schema: dict[str, Any]) -> Iterator[Finding]:
    for what in over_limits(*complexity(schema)):
        yield Finding(code="schema-too-complex", path=(), summary=f"has {what}", detail=TOO_COMPLEX)


def _is_union(part: Any) -> bool:
    return isinstance(part, dict) and ("anyOf" in part or len(_types(part)) > 1)
