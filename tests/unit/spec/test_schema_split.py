"""Dividing a schema: what is sent can be compiled, and takes every answer the whole takes."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from batchspec.spec.schema_split import divided
from batchspec.spec.schema_subset import subset_findings


def closed(**properties: Any) -> dict[str, Any]:
    """Return a closed object."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "sent", "kept"),
    [
        (closed(a={"type": "string"}), closed(a={"type": "string"}), ()),
        (
            closed(n={"type": "integer", "minimum": 1, "maximum": 5, "description": "A score."}),
            closed(n={"type": "integer", "description": "A score. (maximum: 5, minimum: 1)"}),
            ("/properties/n/maximum", "/properties/n/minimum"),
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}},
            closed(a={"type": "string"}),
            ("/additionalProperties",),
        ),
        (
            closed(t={"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 2}),
            closed(
                t={
                    "type": "array",
                    "items": {"type": "string", "description": "(maxLength: 9)"},
                    "minItems": 1,
                    "description": "(minItems: 2)",
                }
            ),
            ("/properties/t/items/maxLength", "/properties/t/minItems"),
        ),
        (
            closed(v={"oneOf": [{"type": "string"}, {"type": "null"}]}),
            closed(v={"anyOf": [{"type": "string"}, {"type": "null"}]}),
            ("/properties/v/oneOf",),
        ),
        (
            closed(s={"type": "string", "pattern": "^(?!x)", "format": "iri"}),
            closed(s={"type": "string", "description": '(format: "iri", pattern: "^(?!x)")'}),
            ("/properties/s/format", "/properties/s/pattern"),
        ),
        (
            closed(e={"enum": [{"a": 1}, {"a": 2}]}, x={"not": {"const": 1}}),
            closed(e={}, x={}),
            ("/properties/e/enum", "/properties/x/not"),
        ),
        (
            {
                **closed(a={"$ref": "#/$defs/d"}),
                "$defs": {"d": {"type": "number", "multipleOf": 2}},
            },
            {
                **closed(a={"$ref": "#/$defs/d"}),
                "$defs": {"d": {"type": "number", "description": "(multipleOf: 2)"}},
            },
            ("/$defs/d/multipleOf",),
        ),
    ],
)
def test_what_is_sent_and_what_is_kept(
    schema: dict[str, Any], sent: dict[str, Any], kept: tuple[str, ...]
) -> None:
    """Limits that cannot be sent are told in words."""
    found = divided(schema)
    assert (found.sent, found.kept) == (sent, kept)
    assert list(subset_findings(found.sent)) == []
    Draft202012Validator.check_schema(found.sent)


@pytest.mark.parametrize(
    "schema",
    [
        closed(a={"$ref": "other.json"}),
        closed(a={"type": "object", "additionalProperties": {"type": "number"}}),
        closed(a={"type": "array", "prefixItems": [{"type": "string"}]}),
        {**closed(a={"type": "object", "patternProperties": {"^x": {}}}), "required": ["a"]},
        {**closed(a={}), "required": ["b"]},
    ],
)
def test_what_cannot_be_divided_is_still_a_finding(schema: dict[str, Any]) -> None:
    """Nothing is dropped without which another thing would be asked for."""
    assert list(subset_findings(divided(schema).sent))


def test_the_schema_itself_is_left_alone() -> None:
    """Answers are validated against it."""
    schema = closed(n={"type": "integer", "minimum": 1})
    divided(schema)
    assert schema == closed(n={"type": "integer", "minimum": 1})
