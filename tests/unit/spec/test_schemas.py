"""The published schemas and the models say the same, and the schemas explain themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from batchspec.spec import model, policy
from batchspec.spec.schema import SchemaName, published_schema, published_validator, resolve

OURS: tuple[SchemaName, ...] = ("spec", "project", "policy")

PAIRS: tuple[tuple[SchemaName, str, type[BaseModel]], ...] = (
    ("spec", "", model.Spec),
    ("spec", "/properties/inputs", model.Inputs),
    ("spec", "/properties/inputs/properties/sample", model.Sample),
    ("spec", "/properties/prompt", model.Prompt),
    ("spec", "/$defs/message", model.Message),
    ("spec", "/properties/response", model.Response),
    ("spec", "/properties/checks/items", model.Check),
    ("spec", "/properties/checks/items/properties/accepted_values", model.AcceptedValues),
    ("spec", "/properties/checks/items/properties/matches", model.Matches),
    ("spec", "/properties/checks/items/properties/range", model.Range),
    ("spec", "/properties/checks/items/properties/relationships", model.Relationships),
    ("spec", "/properties/checks/items/properties/row_count", model.RowCount),
    ("spec", "/properties/checks/items/properties/agreement", model.Agreement),
    ("spec", "/properties/checks/items/properties/drift", model.Drift),
    ("spec", "/properties/retry", model.Retry),
    ("spec", "/properties/batch", model.BatchLimits),
    ("spec", "/properties/assume", model.Assume),
    ("spec", "/$defs/budget", model.Budget),
    ("spec", "/$defs/output", model.Output),
    ("spec", "/$defs/file", model.FileRef),
    ("project", "", model.ProjectFile),
    ("project", "/properties/api", model.Api),
    ("project", "/properties/emulator", model.Emulator),
    ("project", "/$defs/prices", model.Prices),
    ("project", "/$defs/env", model.EnvRef),
    ("project", "/$defs/environment", model.EnvironmentOverlay),
    ("project", "/$defs/state", model.State),
    ("policy", "", policy.PolicyFile),
    ("policy", "/$defs/rule", policy.PolicyRule),
    ("policy", "/$defs/waiver", policy.Waiver),
)


def fields(record: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return a model's fields by the names that YAML uses."""
    return {info.alias or name: info for name, info in record.model_fields.items()}


def part(name: SchemaName, pointer: str) -> dict[str, Any]:
    """Return a part of a published schema."""
    schema = published_schema(name)
    return resolve(schema, f"#{pointer}")[1] if pointer else schema


@pytest.mark.parametrize(("name", "pointer", "record"), PAIRS)
def test_schema_and_model_have_the_same_keys(
    name: SchemaName, pointer: str, record: type[BaseModel]
) -> None:
    """A key that one of them forgets would be refused, or accepted and ignored."""
    schema = part(name, pointer)
    assert set(schema["properties"]) == set(fields(record))
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(("name", "pointer", "record"), PAIRS)
def test_schema_and_model_have_the_same_defaults(
    name: SchemaName, pointer: str, record: type[BaseModel]
) -> None:
    """What an editor shows as the default is what holds."""
    for key, schema in part(name, pointer)["properties"].items():
        info = fields(record)[key]
        default = None if info.is_required() else info.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            assert default == type(default).model_validate(schema["default"])
        elif default is not None:
            assert json.loads(json.dumps(default)) == schema["default"], key
        else:
            assert "default" not in schema, key


def test_every_model_is_compared() -> None:
    """A new record cannot be forgotten above."""
    records = {
        value
        for value in (*vars(model).values(), *vars(policy).values())
        if isinstance(value, type) and issubclass(value, model.Record)
    }
    assert records - {model.Record} == {record for _, _, record in PAIRS}


def properties(name: SchemaName) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property of a schema with the pointer to it."""

    def walk(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(node, list):
            for number, inner in enumerate(node):
                yield from walk(inner, f"{path}/{number}")
        if isinstance(node, dict):
            for key, inner in node.get("properties", {}).items():
                yield f"{path}/properties/{key}", inner
            for key, inner in node.items():
                if key not in {"examples", "default"}:
                    yield from walk(inner, f"{path}/{key}")

    return walk(published_schema(name), "")


@pytest.mark.parametrize("name", OURS)
def test_every_property_explains_itself(name: SchemaName) -> None:
    """Editors show title and description; messages quote description and example."""
    for pointer, schema in properties(name):
        if not schema.get("$ref", "").startswith("spec.schema.json#/properties"):
            assert {"title", "description", "examples"} <= schema.keys(), pointer
            assert schema["description"].endswith("."), pointer


@pytest.mark.parametrize("name", OURS)
def test_examples_and_defaults_satisfy_their_schema(name: SchemaName) -> None:
    """An example that is refused would be worse than none."""
    validator = published_validator(name)
    for pointer, schema in properties(name):
        if "$ref" in schema and "examples" not in schema:
            continue
        here = validator.evolve(schema={**published_schema(name), **_only(schema)})
        for value in [*schema["examples"], *([schema["default"]] if "default" in schema else [])]:
            assert list(here.iter_errors(value)) == [], (pointer, value)


def _only(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a property's schema such that references still find the document's $defs."""
    open_keys = {"type": True, "required": [], "additionalProperties": True, "properties": {}}
    return {**{key: value for key, value in open_keys.items() if key != "type"}, **schema} | (
        {} if "type" in schema else {"type": ["string", "number", "array", "object", "boolean"]}
    )


@pytest.mark.parametrize("name", OURS)
def test_the_schemas_are_valid(name: SchemaName) -> None:
    """They are draft 2020-12, as they say."""
    schema = published_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_references_between_schemas_resolve() -> None:
    """The project's defaults are described by the spec's schema."""
    errors = list(published_validator("project").iter_errors({"defaults": {"max_tokens": "many"}}))
    assert [error.validator for error in errors] == ["type"]


def test_one_entry_may_stand_for_a_list() -> None:
    """Authors may leave the list out around a single key, glob or output."""
    inputs = model.Inputs.model_validate({"files": "*.md", "key": "path"})
    assert (inputs.files, inputs.key) == (("*.md",), ("path",))
    assert model.Inputs.model_validate({"files": ["a", "b"]}).files == ("a", "b")


def test_money_is_decimal() -> None:
    """A budget of 0.1 is a tenth, and not a little more."""
    assert model.Budget.model_validate({"max_usd": 0.1}).max_usd == Decimal("0.1")


def test_a_schema_may_be_a_file_or_stand_inline() -> None:
    """Only a mapping with nothing but file is a reference."""
    inline = {"type": "object", "properties": {"file": {"type": "string"}}}
    assert model.Response.model_validate({"schema": inline}).schema_ == inline
    by_file = model.Response.model_validate({"schema": {"file": "a.json"}}).schema_
    assert by_file == model.FileRef(file="a.json")
