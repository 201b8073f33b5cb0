"""Every construct of a spec is shown by an example, and stands in the reference.

What a construct is comes from the published schema: each key, each of the values that a key lists,
and each of the forms that a value may have (text, list, mapping, file).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "schemas/spec.schema.json").read_text(encoding="utf-8"))
SHARED = {
    "#/$defs/block": "block",
    "#/$defs/message": "message",
    "#/$defs/image_source": "image",
    "#/$defs/document_source": "document",
    "#/$defs/output": "outputs",
    "#/$defs/budget": "budget",
}
"""Parts that stand in several places are shown once."""


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the schema with what it refers to instead of the reference."""
    if "$ref" not in node:
        return node
    found: Any = SCHEMA
    for step in node["$ref"].split("/")[1:]:
        found = found[step]
    return {**resolved(found), **{key: part for key, part in node.items() if key != "$ref"}}


def forms(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the forms that a value may have; none when there is only one."""
    if isinstance(node.get("type"), list):
        return [{**node, "type": kind} for kind in node["type"]]
    return [resolved(form) for form in node.get("anyOf", ())]


def word(node: dict[str, Any]) -> str:
    """Return what a form is called."""
    if node.get("title") == "File":
        return "file"
    return "one of several" if "enum" in node else str(node.get("type", "any"))


def values(node: dict[str, Any]) -> list[Any]:
    """Return the values that a key lists, without the one that holds when it is left out."""
    listed = node.get("enum", [])
    if not listed and not {"type", "anyOf", "properties", "const"} & node.keys():
        listed = [value for value in node.get("examples", ()) if isinstance(value, str)]
        listed = listed if len(listed) > 1 else []
    return [value for value in listed if value != node.get("default")]


def constructs(raw: dict[str, Any], path: str, met: set[str]) -> Iterator[str]:
    """Yield all constructs below a part of the schema."""
    reference = raw.get("$ref", "")
    if reference in met:
        return
    met |= {reference} & SHARED.keys()
    path, node = SHARED.get(reference, path), resolved(raw)
    yield from (f"{path} = {value}" for value in values(node))
    for form in forms(node):
        if form.get("type") != "boolean":
            yield f"{path}: {word(form)}"
    for part in (node, *node.get("anyOf", ())):
        yield from below(part, path, met)


def below(raw: dict[str, Any], path: str, met: set[str]) -> Iterator[str]:
    """Yield the constructs of keys and of list items."""
    if raw.get("$ref") in SHARED:
        yield from constructs(raw, path, met)
        return
    node = resolved(raw)
    if node.get("title") == "File":
        return
    for name, child in node.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from constructs(child, f"{path}.{name}", met)
    if isinstance(node.get("items"), dict):
        yield from constructs(node["items"], f"{path}[]", met)


def shown(raw: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    """Yield the constructs that a value has."""
    path, node = SHARED.get(raw.get("$ref", ""), path), resolved(raw)
    yield f"{path} = {value}"
    for form in forms(node):
        if Draft202012Validator({**form, "$defs": SCHEMA["$defs"]}).is_valid(value):
            yield f"{path}: {word(form)}"
    for part in (node, *node.get("anyOf", ())):
        yield from inside(part, value, path)


def inside(raw: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    """Yield the constructs of the keys and items of a value."""
    if not Draft202012Validator({**resolved(raw), "$defs": SCHEMA["$defs"]}).is_valid(value):
        return
    if raw.get("$ref") in SHARED:
        yield from shown(raw, value, path)
        return
    node = resolved(raw)
    for name, child in node.get("properties", {}).items():
        if isinstance(value, dict) and name in value and node.get("title") != "File":
            yield f"{path}.{name}"
            yield from shown(child, value[name], f"{path}.{name}")
    if isinstance(value, list) and isinstance(node.get("items"), dict):
        for part in value:
            yield from shown(node["items"], part, f"{path}[]")


def test_every_construct_has_an_example() -> None:
    """Whatever can be written in a spec is written in one that a test runs."""
    wanted = list(dict.fromkeys(constructs(SCHEMA, "", set())))
    assert len(wanted) > 150
    met: set[str] = set()
    for path in ROOT.glob("examples/*/specs/*.yaml"):
        met |= set(shown(SCHEMA, YAML(typ="safe", pure=True).load(path.read_text("utf-8")), ""))
    assert [construct for construct in wanted if construct not in met] == []


def test_every_construct_has_a_row_in_the_reference() -> None:
    """Each key of the schema stands in docs/reference/spec.md, and so does each listed value."""
    page = (ROOT / "docs/reference/spec.md").read_text(encoding="utf-8")
    for construct in constructs(SCHEMA, "", set()):
        path, _, value = construct.partition(" = ")
        if ": " in construct:
            continue
        name = path.removeprefix(".")
        if name.partition(".")[0].removesuffix("[]") in {"block", "message", "image", "document"}:
            name = name.partition(".")[2]
        assert f"`{value or name}`" in page, construct
