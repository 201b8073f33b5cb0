"""The subset of JSON Schema that structured outputs take (fact sheet §6.1)."""

from __future__ import annotations

from typing import Any

import pytest

from batchspec.spec.schema_subset import MAX_OPTIONAL, MAX_UNIONS, subset_findings


def closed(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a closed object with all of its properties required."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


FINE: tuple[dict[str, Any], ...] = (
    closed({"a": {"type": "string"}}),
    closed({"a": {"type": ["string", "null"], "description": "x", "default": None}}),
    closed({"a": {"enum": ["x", 1, None, True]}, "b": {"const": 3}}),
    closed({"a": {"type": "array", "items": closed({"b": {"type": "integer"}}), "minItems": 1}}),
    closed({"a": {"type": "string", "format": "date-time", "pattern": "^[a-z]{2,3}$"}}),
    closed({"a": {"$ref": "#/$defs/x"}}, **{"$defs": {"x": {"type": "string"}}}),
    closed({"a": {"$ref": "#/$defs/x"}, "b": {"$ref": "#/$defs/x"}}, **{"$defs": {"x": {}}}),
    closed(
        {"a": {"anyOf": [{"type": "null"}, {"const": 1}]}, "b": {"$ref": "#/properties/a/anyOf/1"}}
    ),
    closed({"a": {"$ref": "#/$defs/x%20y"}}, **{"$defs": {"x y": {"type": "string"}}}),
    closed({"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}),
    closed({"a": {"allOf": [{"type": "string"}, {"description": "x"}]}}),
    closed({"minimum": {"type": "integer"}, "oneOf": {"type": "string"}}),
    {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A", **closed({})},
    {"type": "array", "items": {"type": "string"}},
)

BAD: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("schema-open-object", {"type": "object"}, ""),
    ("schema-open-object", {"properties": {}}, ""),
    ("schema-open-object", closed({"a": {"type": ["object", "null"]}}), "/properties/a"),
    ("schema-open-object", closed({}, additionalProperties=True), "/additionalProperties"),
    ("schema-open-object", closed({}, **{"$defs": {"x": {"type": "object"}}}), "/$defs/x"),
    ("schema-keyword", closed({"a": {"maximum": 3}}), "/properties/a/maximum"),
    ("schema-keyword", closed({"a": {"uniqueItems": True}}), "/properties/a/uniqueItems"),
    ("schema-keyword", closed({"a": {"type": "array", "minItems": 2}}), "/properties/a/minItems"),
    ("schema-keyword", closed({"a": {"format": "regex"}}), "/properties/a/format"),
    ("schema-keyword", closed({"a": {"pattern": r"(a)\1"}}), "/properties/a/pattern"),
    ("schema-keyword", closed({"a": {"pattern": "(?<=a)b"}}), "/properties/a/pattern"),
    ("schema-keyword", closed({"a": {"enum": [{"b": 1}]}}), "/properties/a/enum"),
    ("schema-keyword", closed({}, patternProperties={}), "/patternProperties"),
    ("schema-keyword", {"not": {}}, "/not"),
    ("schema-keyword", {"anyOf": [{"type": "string", "maxLength": 3}]}, "/anyOf/0/maxLength"),
    ("schema-required", closed({}, required=["a"]), "/required/0"),
    ("schema-reference", closed({"a": {"$ref": "other.json"}}), "/properties/a/$ref"),
    ("schema-reference", closed({"a": {"$ref": "#"}}), "/properties/a/$ref"),
    ("schema-reference", closed({"a": {"$ref": "#/$defs/no"}}), "/properties/a/$ref"),
    ("schema-reference", closed({"a": {"$ref": "#/required/7"}}), "/properties/a/$ref"),
    ("schema-too-complex",
     {**closed({str(n): {} for n in range(MAX_OPTIONAL + 1)}), "required": []}, ""),
    ("schema-too-complex",
     closed({str(n): {"anyOf": [{}]} for n in range(MAX_UNIONS + 1)}), ""),
)  # fmt: skip


@pytest.mark.parametrize("schema", FINE)
def test_the_subset_is_accepted(schema: dict[str, Any]) -> None:
    """Nothing that the API takes is refused here."""
    assert list(subset_findings(schema)) == []


@pytest.mark.parametrize(("code", "schema", "pointer"), BAD)
def test_what_lies_outside_is_found_at_its_place(
    code: str, schema: dict[str, Any], pointer: str
) -> None:
    """One finding each, with the way to the keyword."""
    found = [(f.code, "".join(f"/{step}" for step in f.path)) for f in subset_findings(schema)]
    assert found == [(code, pointer)]


def test_the_limits_themselves_are_allowed() -> None:
    """24 optional properties and 16 unions can still be compiled."""
    optional = closed({str(n): {"type": "string"} for n in range(MAX_OPTIONAL)}) | {"required": []}
    unions = closed({str(n): {"type": ["string", "null"]} for n in range(MAX_UNIONS)})
    assert list(subset_findings(optional)) == []
    assert list(subset_findings(unions)) == []


def test_references_may_go_round_through_others_without_end() -> None:
    """A circle of two is found, and the search for it ends."""
    schema = closed(
        {"a": {"$ref": "#/$defs/x"}},
        **{
            "$defs": {
                "x": {"anyOf": [{"$ref": "#/$defs/y"}]},
                "y": {"items": {"$ref": "#/$defs/x"}},
            }
        },
    )
    assert {f.code for f in subset_findings(schema)} == {"schema-reference"}
