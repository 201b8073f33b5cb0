"""The part of JSON Schema that structured outputs take (fact sheet §6.1)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

_TYPES = frozenset(["object", "array", "string", "integer", "number", "boolean", "null"])
_FORMATS = frozenset(
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"]
)
_REFUSED = frozenset(
    [
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "dependentRequired",
        "dependentSchemas",
        "not",
        "if",
        "then",
        "else",
        "prefixItems",
        "unevaluatedProperties",
        "unevaluatedItems",
    ]
)
_MAX_OPTIONAL = 24
_MAX_UNIONS = 16


def schema_fault(schema: Any) -> str | None:
    """Return why structured outputs refuse ``schema``, or ``None`` when they take it."""
    if not isinstance(schema, dict):
        return "Field required" if schema is None else "Input should be a valid dictionary"
    walk = _Walk(schema)
    return walk.fault(schema, ()) or walk.complexity_fault()


class _Walk:
    """One pass over a schema that counts what the limits count."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._optional = 0
        self._unions = 0

    def fault(self, schema: Any, references: tuple[str, ...]) -> str | None:
        if not isinstance(schema, dict):
            return "each schema should be a dictionary"
        for key in schema:
            if key in _REFUSED:
                return f"For this schema, property '{key}' is not supported"
        return (
            self._reference_fault(schema, references)
            or self._type_fault(schema, references)
            or self._combination_fault(schema, references)
        )

    def complexity_fault(self) -> str | None:
        if self._optional > _MAX_OPTIONAL or self._unions > _MAX_UNIONS:
            return "Schema is too complex for compilation"
        return None

    def _reference_fault(self, schema: dict[str, Any], references: tuple[str, ...]) -> str | None:
        reference = schema.get("$ref")
        if reference is None:
            return None
        if not isinstance(reference, str) or not reference.startswith("#"):
            return "external $ref is not supported"
        if reference in references:
            return "recursive schemas are not supported"
        target = resolve(self._root, reference)
        if target is None:
            return f"$ref '{reference}' cannot be resolved"
        return self.fault(target, (*references, reference))

    def _type_fault(self, schema: dict[str, Any], references: tuple[str, ...]) -> str | None:
        kinds = schema.get("type", [])
        if isinstance(kinds, list):
            self._unions += len(kinds) > 1
        else:
            kinds = [kinds]
        for kind in kinds:
            if not isinstance(kind, str) or kind not in _TYPES:
                return f"unknown type {kind!r}"
        if "object" in kinds or "properties" in schema:
            return self._object_fault(schema, references)
        if "array" in kinds or "items" in schema:
            return self._array_fault(schema, references)
        return _scalar_fault(schema)

    def _object_fault(self, schema: dict[str, Any], references: tuple[str, ...]) -> str | None:
        if schema.get("additionalProperties") is not False:
            return "For 'object' type, 'additionalProperties' must be explicitly set to false"
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            return "'properties' takes a dictionary and 'required' a list"
        self._optional += sum(1 for name in properties if name not in required)
        for name, part in properties.items():
            fault = self.fault(part, references)
            if fault is not None:
                return f"properties.{name}: {fault}"
        return None

    def _array_fault(self, schema: dict[str, Any], references: tuple[str, ...]) -> str | None:
        if schema.get("minItems", 0) not in (0, 1):
            return "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
        return self.fault(schema["items"], references) if "items" in schema else None

    def _combination_fault(self, schema: dict[str, Any], references: tuple[str, ...]) -> str | None:
        for key in ("anyOf", "allOf", "oneOf"):
            parts = schema.get(key)
            if parts is None:
                continue
            if not isinstance(parts, list) or not parts:
                return f"'{key}' takes a list of schemas"
            if key == "allOf" and any(isinstance(part, dict) and "$ref" in part for part in parts):
                return "'allOf' cannot be mixed with $ref"
            self._unions += key != "allOf"
            for part in parts:
                fault = self.fault(part, references)
                if fault is not None:
                    return f"{key}: {fault}"
        return None


def _scalar_fault(schema: dict[str, Any]) -> str | None:
    form = schema.get("format")
    if form is not None and not (isinstance(form, str) and form in _FORMATS):
        return f"format {form!r} is not supported"
    if "pattern" in schema and not _is_pattern(schema["pattern"]):
        return f"pattern {schema['pattern']!r} is not a regular expression"
    options = schema.get("enum")
    if options is not None and not _plain_list(options):
        return "enum takes a list of strings, numbers, booleans or null"
    return None


def _is_pattern(text: Any) -> bool:
    try:
        re.compile(text)
    except (re.error, TypeError, RecursionError, OverflowError):
        return False
    return isinstance(text, str)


def _plain_list(options: Any) -> bool:
    plain = (str, int, float, bool, type(None))
    return isinstance(options, list) and all(isinstance(option, plain) for option in options)


def resolve(root: dict[str, Any], reference: str) -> Any:
    """Return what an internal ``$ref`` points to, or ``None``."""
    target: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if not part:
            continue
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(target, list) and name in map(str, range(len(target))):
            target = target[int(name)]
            continue
        if not isinstance(target, dict) or name not in target:
            return None
        target = target[name]
    return target
