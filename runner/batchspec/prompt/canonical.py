"""Canonical JSON (RFC 8785): one byte sequence for one value, whatever the order of its keys."""

from __future__ import annotations

from typing import Any

import orjson
import rfc8785

_SAFE_INTEGER = 2**53 - 1
"""Beyond it JSON numbers, being doubles, would lose digits."""


def canonical_json(value: Any) -> bytes:
    """Return the canonical JSON of plain data.

    orjson writes the same bytes for everything but floats and for keys beyond ASCII (its order is
    that of code points, the standard's that of UTF-16), and is ten times as fast; the rest goes to
    the rfc8785 library.

    Raises:
        ValueError: for NaN, infinities, lone surrogates, integers beyond 2^53 and anything that is
            not plain data.
    """
    try:
        if _is_simple(value):
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        return rfc8785.dumps(value)
    except ValueError as error:
        raise ValueError(f"The value has no canonical JSON: {error}") from None
    except TypeError as error:  # orjson's own error class is a TypeError
        raise ValueError(f"The value has no canonical JSON: {error}") from None


def canonical_text(text: str) -> bytes:
    """Return the canonical JSON of one text; the fast way used per item.

    Raises:
        ValueError: for lone surrogates.
    """
    try:
        return orjson.dumps(text)
    except TypeError:
        raise ValueError("The text holds half of a surrogate pair, which is no character") from None


def ordered_schema(schema: dict[str, Any]) -> bytes:
    """Return a JSON Schema as canonical JSON, but for its properties, which keep their order.

    Structured outputs answer properties in the order of the schema; everything else about a schema
    means the same in any order.

    Raises:
        ValueError: as `canonical_json`.
    """
    return _ordered(schema, named=False)


def _ordered(value: Any, *, named: bool) -> bytes:
    """Encode a schema or, ``named``, the mapping of names to schemas under ``properties``."""
    if isinstance(value, dict):
        names = list(value) if named else sorted(value, key=lambda name: name.encode("utf-16-be"))
        members = (
            canonical_text(name)
            + b":"
            + _ordered(value[name], named=not named and name == "properties")
            for name in names
        )
        return b"{" + b",".join(members) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(_ordered(part, named=False) for part in value) + b"]"
    return canonical_json(value)


def unsorted_properties(schema: Any) -> list[str]:
    """Return the properties of the first object of a schema that are not in canonical order."""
    if isinstance(schema, list):
        return next(filter(None, map(unsorted_properties, schema)), [])
    if not isinstance(schema, dict):
        return []
    properties = schema.get("properties")
    if isinstance(properties, dict) and list(properties) != sorted(
        properties, key=lambda name: name.encode("utf-16-be")
    ):
        return list(properties)
    return next(filter(None, map(unsorted_properties, schema.values())), [])


def _is_simple(value: Any) -> bool:
    if isinstance(value, str | bool) or value is None:
        return True
    if isinstance(value, int):
        return -_SAFE_INTEGER <= value <= _SAFE_INTEGER
    if isinstance(value, dict):
        return all(type(key) is str and key.isascii() for key in value) and all(
            map(_is_simple, value.values())
        )
    return isinstance(value, list | tuple) and all(map(_is_simple, value))
