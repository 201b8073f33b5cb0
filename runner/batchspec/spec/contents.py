"""Where a spec holds texts, blocks and references to files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from batchspec.spec.document import NodePath
from batchspec.spec.subject import Subject


def contents(subject: Subject) -> Iterator[tuple[NodePath, str, Any]]:
    """Yield each content of the prompt: its path, its role, and the value as written."""
    for role in ("system", "user"):
        value = subject.get("prompt", role)
        if value is not None:
            yield ("prompt", role), role, value
    for number, message in enumerate(subject.entries("prompt", "messages")):
        if isinstance(message, dict) and "content" in message:
            path = ("prompt", "messages", number, "content")
            yield path, str(message.get("role")), message["content"]


KINDS = ("text", "image", "document", "search_result", "file_id")
"""Keys that say what a block is, when it has no ``type``."""


def kind_of_block(block: dict[str, Any]) -> str | None:
    """Return the kind of block that its author means, by ``type`` or by its key; None: unclear."""
    given = block.get("type")
    if isinstance(given, str):
        return given
    if "file_id" in block:
        return str(block.get("as", "document"))
    return next((kind for kind in KINDS if kind in block), None)


def blocks(subject: Subject) -> Iterator[tuple[NodePath, str, dict[str, Any]]]:
    """Yield each content block of the prompt: its path, the role that says it, and the block."""
    for path, role, value in contents(subject):
        for number, block in enumerate(value if isinstance(value, list) else ()):
            if isinstance(block, dict):
                yield (*path, number), role, block


def outputs(subject: Subject) -> Iterator[tuple[NodePath, dict[str, Any]]]:
    """Yield each output and its path, whether one or a list is written."""
    value = subject.get("outputs")
    if isinstance(value, dict):
        yield ("outputs",), value
    for number, output in enumerate(value if isinstance(value, list) else ()):
        if isinstance(output, dict):
            yield ("outputs", number), output


def literal_files(subject: Subject) -> Iterator[tuple[NodePath, str]]:
    """Yield each path that an image or document block names without a template."""
    for path, _, block in blocks(subject):
        for kind in ("image", "document"):
            value = block.get(kind)
            if "type" in block or not isinstance(value, str) or not value:
                continue
            if not re.search(r"\{[{%#]|^https?://", value):
                yield (*path, kind), value


def file_references(subject: Subject) -> Iterator[tuple[NodePath, str]]:
    """Yield each ``{file: path}`` of a spec: the path of the path, and the path itself."""
    for place in _text_places(subject):
        value = subject.get(*place)
        if isinstance(value, dict) and value.keys() == {"file"} and isinstance(value["file"], str):
            yield (*place, "file"), value["file"]


def _text_places(subject: Subject) -> Iterator[NodePath]:
    yield ("inputs", "sql")
    for path, _, _ in contents(subject):
        yield path
    for path, _, _ in blocks(subject):
        yield (*path, "text")
        yield (*path, "document", "text")
    for number, _ in enumerate(subject.entries("prompt", "messages")):
        yield ("prompt", "messages", number)
    yield ("response", "schema")
    for path, _ in outputs(subject):
        yield (*path, "select")
    for number, _ in enumerate(subject.entries("checks")):
        yield ("checks", number, "sql")
