"""The published JSON Schemas: where they are, and validators made of them once.

They are the structural authority: editors complete from them and the loader executes them.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from jsonschema import Draft202012Validator

SchemaName = Literal["spec", "project", "policy", "plan", "manifest", "output-row", "models"]

_SUFFIX = ".schema.json"


def schema_root() -> Traversable:
    """Return ``schemas/``: beside the code in a wheel, at the repository root in a checkout."""
    packaged = files("batchspec") / "schemas"
    if packaged.is_dir():
        return packaged
    return Path(__file__).resolve().parents[3] / "schemas"


@cache
def published_schema(name: SchemaName) -> dict[str, Any]:
    """Return one published schema as plain data; do not change it."""
    text = (schema_root() / f"{name}{_SUFFIX}").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def published_validator(name: SchemaName) -> Draft202012Validator:
    """Return the validator of one published schema. References to the spec's schema resolve."""
    # jsonschema costs 70 ms to import, and `batchspec schema` does not need it.
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415
    from referencing.jsonschema import DRAFT202012  # noqa: PLC0415

    sibling = f"spec{_SUFFIX}"
    resource = DRAFT202012.create_resource(_sibling(sibling))
    registry: Registry[Any] = Registry().with_resource(sibling, resource)
    return Draft202012Validator(published_schema(name), registry=registry)


def resolve(schema: dict[str, Any], reference: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Follow a ``$ref`` between published schemas.

    Returns:
        The schema document it leads into, and the part it names.
    """
    uri, _, pointer = reference.partition("#")
    document = _sibling(uri) if uri else schema
    part: Any = document
    for step in pointer.strip("/").split("/"):
        part = part[step] if step else part
    return document, part


def _sibling(uri: str) -> dict[str, Any]:
    name: Any = uri.removesuffix(_SUFFIX)
    return published_schema(name)
