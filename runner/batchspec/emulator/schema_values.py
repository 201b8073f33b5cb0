"""Makes a value that satisfies a JSON schema: varied, and the same for the same question."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from batchspec.emulator.schema_subset import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchspec.emulator.draws import Draw

_WORDS = [
    "amber",
    "basin",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "harbor",
    "island",
    "juniper",
    "kelp",
    "lagoon",
    "meadow",
    "north",
    "orchard",
    "prairie",
    "quartz",
    "river",
    "summit",
    "tundra",
    "upland",
    "valley",
    "willow",
    "yarrow",
    "zephyr",
]
_FORMATS: dict[str, Callable[[Draw], str]] = {
    "date": lambda draw: f"20{draw.between(10, 29)}-{_two(draw, 1, 12)}-{_two(draw, 1, 28)}",
    "time": lambda draw: f"{_two(draw, 0, 23)}:{_two(draw, 0, 59)}:{_two(draw, 0, 59)}Z",
    "date-time": lambda draw: f"{_FORMATS['date'](draw)}T{_FORMATS['time'](draw)}",
    "duration": lambda draw: f"PT{draw.between(1, 59)}M",
    "email": lambda draw: f"{draw.choice(_WORDS)}@example.com",
    "hostname": lambda draw: f"{draw.choice(_WORDS)}.example.com",
    "uri": lambda draw: f"https://example.com/{draw.choice(_WORDS)}",
    "ipv4": lambda draw: f"192.0.2.{draw.between(1, 254)}",
    "ipv6": lambda draw: f"2001:db8::{draw.between(1, 9999):x}",
    "uuid": lambda draw: (
        f"{draw.below(1 << 32):08x}-{draw.below(1 << 16):04x}-4{draw.below(1 << 12):03x}"
        f"-a{draw.below(1 << 12):03x}-{draw.below(1 << 48):012x}"
    ),
}
_MAX_DEPTH = 24
_NOT_A_SCHEMA = (
    TypeError, ValueError, KeyError, AttributeError, ArithmeticError, RecursionError, re.error,
)  # fmt: skip


def _two(draw: Draw, low: int, high: int) -> str:
    return f"{draw.between(low, high):02d}"


def value_for(schema: Any, draw: Draw) -> Any:
    """Return a value that satisfies ``schema``.

    Covers the structured-output subset (fact sheet §6.1), and beyond it the usual bounds on
    numbers, strings and arrays. What is no JSON Schema, as the input schema of a tool may be,
    gives an empty object.
    """
    try:
        return _Maker(schema, draw).make(schema, 0)
    except _NOT_A_SCHEMA:
        return {}


class _Maker:
    """Makes one value; remembers the root so that references resolve."""

    def __init__(self, root: Any, draw: Draw) -> None:
        self._root = root
        self._draw = draw

    def make(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, dict):
            return None
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._draw.choice(schema["enum"])
        merged = self._expand(schema, depth)
        if merged is not schema:
            return self.make(merged, depth + 1)
        kind = self._kind(schema, depth)
        return self._makers()[kind](schema, depth)

    def _expand(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """Return the schema with one reference or combination resolved into it."""
        if "$ref" in schema:
            target = resolve(self._root, schema["$ref"])
            return _merge(_without(schema, "$ref"), target)
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                options = schema[key]
                chosen = options[-1] if depth > _MAX_DEPTH else self._draw.choice(options)
                return _merge(_without(schema, key), chosen)
        if schema.get("allOf"):
            merged = _without(schema, "allOf")
            for part in schema["allOf"]:
                merged = _merge(merged, part)
            return merged
        return schema

    def _kind(self, schema: dict[str, Any], depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            if depth > _MAX_DEPTH and "null" in kind:
                return "null"
            return str(self._draw.choice(kind))
        if isinstance(kind, str):
            return kind
        if "properties" in schema:
            return "object"
        return "array" if "items" in schema else "string"

    def _makers(self) -> dict[str, Callable[[dict[str, Any], int], Any]]:
        return {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": lambda schema, _: self._integer(schema),
            "number": lambda schema, _: self._number(schema),
            "boolean": lambda _schema, _: self._draw.flip(),
            "null": lambda _schema, _: None,
        }

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        # Required properties come first, as the service emits them (fact sheet §6.1).
        names = [name for name in properties if name in required]
        if depth <= _MAX_DEPTH:
            names += [name for name in properties if name not in required and self._draw.flip()]
        return {name: self.make(properties[name], depth + 1) for name in names}

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        low = schema.get("minItems", 0)
        high = schema.get("maxItems", max(low, 3))
        count = low if depth > _MAX_DEPTH else self._draw.between(low, max(low, min(high, low + 3)))
        return [self.make(schema.get("items", {"type": "string"}), depth + 1) for _ in range(count)]

    def _string(self, schema: dict[str, Any], _depth: int) -> str:
        form = schema.get("format")
        if form in _FORMATS:
            return _FORMATS[form](self._draw)
        if "pattern" in schema:
            return text_matching(schema["pattern"], self._draw)
        text = " ".join(self._draw.choice(_WORDS) for _ in range(self._draw.between(1, 4)))
        while len(text) < schema.get("minLength", 0):
            text += f" {self._draw.choice(_WORDS)}"
        return text[: schema.get("maxLength", len(text))]

    def _integer(self, schema: dict[str, Any]) -> int:
        low, high = _bounds(schema, 1)
        step = schema.get("multipleOf", 1)
        first = -(-low // step)
        return int(step * self._draw.between(int(first), max(int(first), int(high // step))))

    def _number(self, schema: dict[str, Any]) -> float:
        low, high = _bounds(schema, 0)
        if "multipleOf" in schema:
            return self._integer(schema)
        return round(float(low + (high - low) * self._draw.below(1000) / 1000), 3)


def _bounds(schema: dict[str, Any], beyond: int) -> tuple[Any, Any]:
    """Return the inclusive bounds of a number; exclusive ones move in by ``beyond``."""
    low = schema.get("minimum")
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + (beyond or 0.001)
    high = schema.get("maximum")
    if "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - (beyond or 0.001)
    if low is None:
        low = 0 if high is None or high >= 0 else high - 100
    return low, low + 100 if high is None else high


def _without(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}


def _merge(base: dict[str, Any], other: Any) -> dict[str, Any]:
    if not isinstance(other, dict):
        return base
    merged = {**base, **other}
    for key in ("properties", "$defs"):
        if isinstance(base.get(key), dict) and isinstance(other.get(key), dict):
            merged[key] = {**base[key], **other[key]}
    if isinstance(base.get("required"), list) and isinstance(other.get("required"), list):
        merged["required"] = [*base["required"], *other["required"]]
    return merged


_REPEAT_MOST = 3
_CATEGORIES = {
    "CATEGORY_DIGIT": "0123456789",
    "CATEGORY_WORD": "abcdefghijklmnopqrstuvwxyz_0123456789",
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_DIGIT": "abcdefghijklmnopqrstuvwxyz",
    "CATEGORY_NOT_WORD": "-.,:",
    "CATEGORY_NOT_SPACE": "abcdefghijklmnopqrstuvwxyz0123456789",
}
_ANY = "abcdefghijklmnopqrstuvwxyz0123456789"


def text_matching(pattern: str, draw: Draw) -> str:
    """Return a text that a simple regular expression matches; look-arounds are ignored."""
    # The standard library's own parser: nothing else reads patterns as `re` does.
    parser = import_module("re._parser")
    return _write(parser.parse(pattern), draw, {})


def _write(tree: Any, draw: Draw, groups: dict[int, str]) -> str:
    return "".join(_write_part(str(name), value, draw, groups) for name, value in tree)


def _write_part(name: str, value: Any, draw: Draw, groups: dict[int, str]) -> str:
    if name == "LITERAL":
        return chr(value)
    if name in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        low, high, body = value
        times = draw.between(low, min(int(high), low + _REPEAT_MOST))
        return "".join(_write(body, draw, groups) for _ in range(times))
    if name == "SUBPATTERN":
        text = _write(value[3], draw, groups)
        groups[value[0]] = text
        return text
    if name == "BRANCH":
        return _write(draw.choice(value[1]), draw, groups)
    if name in {"IN", "NOT_LITERAL", "ANY"}:
        return draw.choice(_members(name, value))
    return groups.get(value, "") if name == "GROUPREF" else ""


def _members(name: str, value: Any) -> str:
    if name == "ANY":
        return _ANY
    if name == "NOT_LITERAL":
        return _ANY.replace(chr(value), "")
    listed = "".join(_listed(str(kind), part) for kind, part in value)
    if str(value[0][0]) == "NEGATE":
        return "".join(char for char in f"{_ANY}-_ ." if char not in listed) or "~"
    return listed


def _listed(kind: str, part: Any) -> str:
    if kind == "LITERAL":
        return chr(part)
    if kind == "RANGE":
        low, high = part
        return "".join(chr(code) for code in range(low, min(high, low + 255) + 1))
    return _CATEGORIES.get(str(part), "") if kind == "CATEGORY" else ""
