"""Walking the tree that DuckDB's ``json_serialize_sql`` makes of a query.

Positions are byte offsets into the UTF-8 text of the query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Node: TypeAlias = dict[str, Any]

_NOWHERE = 2**64 - 1
"""What DuckDB writes for a node that stands nowhere in the text."""


def walk(tree: Any) -> Iterator[Node]:
    """Yield every mapping of the tree, parents before children."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(reversed(item.values()))
        elif isinstance(item, list):
            waiting.extend(reversed(item))


def start_of(node: Node) -> int | None:
    """Return where the node begins, or None when the tree does not say."""
    start = node.get("query_location", _NOWHERE)
    return None if start == _NOWHERE else int(start)


def end_of(node: Node) -> int | None:
    """Return where the node ends, or None when the tree does not say."""
    start = start_of(node)
    return None if start is None else start + int(node.get("query_location_length", 0))


def text_of(node: Node) -> str | None:
    """Return the text of a string constant, or None for any other node."""
    literal = node.get("literal", {})
    if node.get("class") == "CONSTANT" and literal.get("kind") == "STRING":
        return str(literal.get("text", ""))
    return None


def column_of(node: Node) -> str | None:
    """Return the last part of a column reference in lower case, or None for any other node."""
    if node.get("class") != "COLUMN_REF":
        return None
    return str(node["column_names"][-1]).lower()


def arguments_of(function: Node) -> tuple[list[Node], dict[str, Node]]:
    """Return the positional and the named arguments of a table function."""
    positional: list[Node] = []
    named: dict[str, Node] = {}
    for argument in function.get("arguments", ()):
        value = argument["expression"]
        if "name" in argument:
            named[str(argument["name"]).lower()] = value
        elif value.get("type") == "COMPARE_EQUAL" and column_of(value["left"]):
            named[str(column_of(value["left"]))] = value["right"]
        else:
            positional.append(value)
    return positional, named
