"""Made values satisfy their schema: the subset of structured outputs, and what lies around it."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.emulator.draws import Draw
from batchspec.emulator.schema_subset import schema_fault
from batchspec.emulator.schema_values import text_matching, value_for

FORMAT_NAMES = "date-time time date duration email hostname uri ipv4 ipv6 uuid"
LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer"},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {"type": ["string", "null"]},
        {"enum": ["a", 1, None, True]},
        {"const": {"deep": [1]}},
        {"type": "string", "pattern": "^[A-Z]{2}-\\d+$"},
        *({"type": "string", "format": name} for name in FORMAT_NAMES.split()),
    ]
)
NAMES = st.text(alphabet="abcde", min_size=1, max_size=3)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return schemas of objects whose properties are ``inner``."""
    return st.dictionaries(NAMES, inner, max_size=3).flatmap(
        lambda properties: st.sets(st.sampled_from(sorted(properties) or ["z"])).map(
            lambda required: {
                "type": "object",
                "properties": properties,
                "required": [name for name in required if name in properties],
                "additionalProperties": False,
            }
        )
    )


SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        objects(inner)
        | st.builds(
            lambda i, n: {"type": "array", "items": i, "minItems": n}, inner, st.integers(0, 1)
        )
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts})
    ),
    max_leaves=6,
)
FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER


@given(schema=SCHEMAS, seed=st.integers(0, 5))
def test_values_satisfy_their_schema(schema: Any, seed: int) -> None:
    """For any schema of the subset, the made value is valid and the same again."""
    value = value_for(schema, Draw("test", seed))
    jsonschema.Draft202012Validator(schema, format_checker=FORMATS).validate(value)
    assert value == value_for(schema, Draw("test", seed))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 5, "maximum": 7},
        {"type": "integer", "exclusiveMinimum": 5, "multipleOf": 4},
        {"type": "integer", "maximum": -10},
        {"type": "number", "minimum": 0.5, "exclusiveMaximum": 0.6},
        {"type": "number", "multipleOf": 3},
        {"type": "string", "minLength": 60, "maxLength": 70},
        {"type": "string", "maxLength": 3},
        {"type": "array", "items": {"type": "integer"}, "minItems": 6, "maxItems": 6},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
        {
            "type": "object",
            "properties": {"child": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
            "required": ["child"],
        },
        {"allOf": [{"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]},
                   {"properties": {"b": {"type": "integer"}}, "required": ["b"]}]},
        {"properties": {"a": {"const": 1}}, "required": ["a"]},
        {"items": {"type": "null"}, "minItems": 1},
    ],
)  # fmt: skip
def test_schemas_outside_the_subset_are_satisfied_too(schema: Any) -> None:
    """Bounds, references, recursion and combinations, over many seeds."""
    for seed in range(30):
        jsonschema.validate(value_for(schema, Draw(seed)), schema)


@pytest.mark.parametrize(
    "pattern",
    [r"^\d{4}-\d{2}$", r"[a-f0-9]+", r"(ab|cd)?x*", r"(\w)\1", r"[^a-z]{3}", r".{2,4}", r"\S+@\S+",
     r"a\.b", r"(?:foo|bar){2}", r"\d+?[.,]\d", r"[^\s]", r"\D\W\s"],
)  # fmt: skip
def test_texts_match_their_pattern(pattern: str) -> None:
    """The usual parts of a regular expression."""
    for seed in range(20):
        assert re.search(pattern, text_matching(pattern, Draw(seed)))


def obj(**more: Any) -> dict[str, Any]:
    """Return an object schema with additionalProperties false."""
    return {"type": "object", "properties": {}, "additionalProperties": False, **more}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (None, "Field required"),
        ([], "valid dictionary"),
        ({"type": "object"}, "additionalProperties"),
        ({"type": "object", "additionalProperties": True}, "additionalProperties"),
        ({"type": "integer", "minimum": 1}, "'minimum' is not supported"),
        ({"type": "string", "maxLength": 1}, "'maxLength' is not supported"),
        ({"type": "array", "items": {}, "minItems": 2}, "minItems"),
        ({"type": "array", "items": 3}, "should be a dictionary"),
        ({"type": "thing"}, "unknown type"),
        ({"type": {}}, "unknown type"),
        ({"type": "string", "format": "iban"}, "format 'iban'"),
        ({"enum": [{}]}, "enum takes"),
        ({"type": "string", "pattern": "("}, "not a regular expression"),
        ({"type": "string", "pattern": 3}, "not a regular expression"),
        ({"$ref": "https://example.com/x"}, "external"),
        ({"$ref": "#/$defs/x"}, "cannot be resolved"),
        ({"$ref": "#"}, "recursive"),
        ({"anyOf": []}, "'anyOf' takes"),
        ({"anyOf": [{"type": "thing"}]}, "anyOf: unknown type"),
        ({"allOf": [{"$ref": "#/$defs/x"}], "$defs": {"x": {}}}, "'allOf' cannot"),
        (obj(properties={"a": obj(required="a")}), "properties.a: 'properties' takes"),
        (obj(properties={f"p{n}": {} for n in range(25)}), "too complex"),
        (obj(properties={f"p{n}": {"type": ["string", "null"]} for n in range(17)},
             required=[f"p{n}" for n in range(17)]), "too complex"),
    ],
)  # fmt: skip
def test_schemas_outside_the_subset_are_named(schema: Any, message: str) -> None:
    """What structured outputs refuse is refused with its reason."""
    fault = schema_fault(schema)
    assert fault is not None
    assert message in fault


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("(") | st.just("#"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
WORDS = (
    "type properties required additionalProperties items enum const anyOf oneOf allOf $ref $defs"
    " pattern format minItems maxItems minimum maximum exclusiveMinimum multipleOf minLength"
)


@given(
    schema=SCHEMAS, inner=SCHEMAS, key=st.sampled_from(WORDS.split()), junk=JUNK, deep=st.booleans()
)
def test_junk_in_a_schema_never_raises(
    schema: Any, inner: Any, key: str, junk: Any, *, deep: bool
) -> None:
    """It has a fault or none, and gives some value, at the top or below a property."""
    broken = {**schema, key: junk}
    if deep:
        broken = obj(properties={"a": broken, "b": inner}, required=["a"])
    assert schema_fault(broken) is None or schema_fault(broken)
    value_for(broken, Draw("junk"))


@given(schema=SCHEMAS)
def test_the_subset_is_taken(schema: Any) -> None:
    """No schema of the subset is refused, but for the limits on complexity."""
    assert schema_fault(schema) in (None, "Schema is too complex for compilation")
