"""Dividing a schema: what is sent can be compiled, and takes every answer the whole takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from batchspec.spec.schema_split import divided
from batchspec.spec.schema_subset import ALLOWED, subset_findings


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


CASES = Path(__file__).parents[2] / "cases/invalid"
WHOLE = {
    "schema-keyword-all-of-ref",
    "schema-keyword-pattern-broken",
    "schema-keyword-pattern-properties",
    "schema-keyword-prefix-items",
    "schema-keyword-unevaluated-properties",
    "schema-open-object-map",
    "schema-open-object-true",
    "schema-reference-circle",
    "schema-reference-external",
    "schema-reference-nowhere",
}
"""Cases whose schema cannot be divided: something else would be asked for."""
LIMITS = ("schema-keyword-*.yaml", "schema-open-object-*.yaml", "schema-reference-*.yaml")


@pytest.mark.parametrize(
    "case", [path for glob in LIMITS for path in sorted(CASES.glob(glob))], ids=lambda p: p.stem
)
def test_each_refused_keyword_is_divided_or_stays_refused(case: Path) -> None:
    """Either the keyword is kept back by its pointer, or the division is refused like the whole."""
    schema = YAML(typ="safe", pure=True).load(case.read_text())["response"]["schema"]
    told = case.with_suffix(".expected").read_text()
    pointer = re.search(r"The place in the schema is (/\S+)\.", told)
    assert pointer is not None
    found = divided(schema)
    refused = list(subset_findings(found.sent))
    assert bool(refused) == (case.stem in WHOLE)
    assert ("response.send: subset" in told) == (case.stem not in WHOLE)
    if not refused:
        (kept,) = found.kept
        assert kept.removesuffix("/additionalProperties") == pointer[1]


def test_every_keyword_of_json_schema_is_sent_or_has_a_case() -> None:
    """What JSON Schema can say and structured outputs cannot is refused by a case of its name."""
    words = set(Draft202012Validator.VALIDATORS)
    seen = "".join(path.read_text() for path in CASES.glob("schema-*.expected"))
    told = set(re.findall(r"the response schema uses (\S+)$", seen, re.MULTILINE))
    assert len(words) > 30
    assert words - ALLOWED - told == set()
