"""How the published schemas explain themselves in messages."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from batchspec.spec.document import NodePath
from batchspec.spec.schema import resolve

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_PYTHON = (
    (bool, "true or false"),
    (str, "text"),
    (int, "a whole number"),
    (float, "a number"),
    (list, "a list"),
    (dict, "a mapping"),
)
_CLOSE = 0.6


def type_words(types: Iterable[str]) -> str:
    """Return JSON types in plain words: ``text or a list``."""
    return listing([_TYPES[name] for name in dict.fromkeys(types)], "or")


def kind_of(value: object) -> str:
    """Return what a value is in plain words."""
    return next((word for kind, word in _PYTHON if isinstance(value, kind)), "empty")


def listing(words: Iterable[str], last: str) -> str:
    """Join words as a sentence does: ``a, b or c``."""
    items = list(words)
    return f" {last} ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` was probably meant to be."""
    plain = {name.lower().replace("-", "_"): name for name in known}
    wanted = word.lower().replace("-", "_")
    found = difflib.get_close_matches(wanted, plain, n=1, cutoff=_CLOSE)
    return plain[found[0]] if found else None


def about(schema: dict[str, Any], path: NodePath) -> dict[str, Any]:
    """Return the part of a schema that describes the value at ``path``; empty when none does."""
    nodes = [(schema, schema)]
    for step in path:
        nodes = [found for root, node in nodes for found in _step(root, node, step)]
    for root, node in nodes:
        part = (
            node if "description" in node or "$ref" not in node else resolve(root, node["$ref"])[1]
        )
        if "description" in part:
            return part
    return {}


def _step(
    root: dict[str, Any], node: dict[str, Any], step: str | int
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Go one key or list position down, through references and alternatives."""
    if "$ref" in node:
        yield from _step(*resolve(root, node["$ref"]), step)
    for branch in node.get("anyOf", ()):
        yield from _step(root, branch, step)
    inner = node.get("items")
    if isinstance(step, str):
        inner = node.get("properties", {}).get(step, node.get("additionalProperties"))
    if isinstance(inner, dict):
        yield root, inner


def advice(schema: dict[str, Any], path: NodePath) -> str:
    """Return what the value at ``path`` is for, with an example, as sentences."""
    part = about(schema, path)
    sentences = [part["description"]] if "description" in part else []
    if "examples" in part and path and isinstance(path[-1], str):
        example = json.dumps(part["examples"][0], ensure_ascii=False)
        sentences.append(f"For example: {path[-1]}: {example}.")
    return " ".join(sentences)
