"""Put a project's defaults under a spec, keeping the places of both."""

from __future__ import annotations

from typing import Any

from batchspec.spec.document import Document, NodePath, Spot

_WHOLE: frozenset[NodePath] = frozenset(
    {
        ("prompt", "system"),
        ("prompt", "user"),
        ("response", "schema"),
        ("outputs", "select"),
        ("inputs", "sql"),
    }
)
"""Mappings that are one value: half of one and half of another would mean nothing."""

_EXCLUSIVE: dict[NodePath, frozenset[str]] = {
    ("inputs",): frozenset({"sql", "files", "table", "rows"}),
    ("prompt",): frozenset({"user", "messages"}),
}
"""Keys of which a mapping has one: a spec that gives one does not inherit the others."""


def under(defaults: Document | None, spec: Document) -> Document:
    """Return ``spec`` with the ``defaults`` of a project document filled in where it is silent.

    Mappings are merged and the spec wins. Texts, schemas, lists and each single parameter are
    replaced as a whole.
    """
    given = None if defaults is None else defaults.get("defaults")
    if defaults is None or not isinstance(given, dict) or not isinstance(spec.data, dict):
        return spec
    spots: dict[NodePath, Spot] = dict(spec.spots)
    data = _merge(given, spec.data, (), defaults, spots)
    return Document(source=spec.source, data=data, spots=spots)


def _merge(
    low: dict[str, Any],
    high: dict[str, Any],
    path: NodePath,
    defaults: Document,
    spots: dict[NodePath, Spot],
) -> dict[str, Any]:
    merged = dict(high)
    for name, value in low.items():
        here = (*path, name)
        if name not in high:
            if not _displaced(path, name, high):
                merged[name] = value
                _take_spots(here, defaults, spots)
        elif isinstance(value, dict) and isinstance(high[name], dict) and not _is_whole(here):
            merged[name] = _merge(value, high[name], here, defaults, spots)
    return merged


def _is_whole(path: NodePath) -> bool:
    return path in _WHOLE or (path[0] == "params" and len(path) > 1)


def _displaced(path: NodePath, name: str, high: dict[str, Any]) -> bool:
    group = _EXCLUSIVE.get(path, frozenset())
    return name in group and not group.isdisjoint(high)


def _take_spots(path: NodePath, defaults: Document, spots: dict[NodePath, Spot]) -> None:
    wanted = ("defaults", *path)
    for place, spot in defaults.spots.items():
        if place[: len(wanted)] == wanted:
            spots[place[1:]] = spot
