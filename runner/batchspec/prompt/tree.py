"""Changing a parsed template so that everything that repeats or grows is metered."""

from __future__ import annotations

import math
from collections.abc import Iterator

from jinja2 import nodes
from jinja2.exceptions import TemplateAssertionError

LOOP, MADE, JOINED, SLICE = "_loop", "_made", "_joined", "_slice"
"""Names of internal filters; an author cannot write them, since `guard_tree` refuses them."""

_REFUSED: tuple[tuple[type[nodes.Node], str], ...] = (
    (nodes.Extends, "{% extends %} is not available; use {% include %} or {% import %}"),
    (nodes.Block, "{% block %} is not available; use {% include %} or a macro"),
    (nodes.ScopedEvalContextModifier, "{% autoescape %} is not available; use the filter escape"),
    (nodes.EvalContextModifier, "{% autoescape %} is not available; use the filter escape"),
)


def guard_tree(tree: nodes.Template, name: str | None) -> nodes.Template:
    """Return the tree with loops, literals, joins and slices passed through internal filters.

    Raises:
        TemplateAssertionError: for a construct that cannot be bounded.
    """
    for line, message in _complaints(tree):
        raise TemplateAssertionError(message, line, name)
    _rewrite(tree)
    return tree


def _complaints(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    """Yield line and message for each construct that is refused."""
    for kind, message in _REFUSED:
        for node in tree.find_all(kind):
            yield node.lineno, message
    for node in tree.find_all((nodes.Filter, nodes.Const, nodes.For)):
        if isinstance(node, nodes.Filter) and node.name.startswith("_"):
            yield node.lineno, f"No filter named {node.name!r}."
        if isinstance(node, nodes.Const) and node.value in {math.inf, -math.inf}:
            yield node.lineno, "the number is too large"
        if isinstance(node, nodes.For) and node.recursive:
            yield node.lineno, "recursive loops are not available; write one loop inside another"


def _rewrite(node: nodes.Node) -> None:
    """Replace children bottom-up; the names of included templates stay as they are written."""
    for field, value in list(node.iter_fields()):
        if field == "template":
            continue
        if isinstance(value, list):
            setattr(node, field, [_replaced(item, node, field) for item in value])
        elif isinstance(value, nodes.Node):
            setattr(node, field, _replaced(value, node, field))


def _replaced(child: object, parent: nodes.Node, field: str) -> object:
    if not isinstance(child, nodes.Node):
        return child
    _rewrite(child)
    if isinstance(parent, nodes.For) and field == "iter":
        return _through(child, LOOP)
    if isinstance(child, nodes.Concat):
        return _through(nodes.List(child.nodes, lineno=child.lineno), JOINED)
    if isinstance(child, nodes.Getitem) and isinstance(child.arg, nodes.Slice):
        limits = [child.arg.start, child.arg.stop, child.arg.step]
        none = nodes.Const(None, lineno=child.lineno)
        return _through(child.node, SLICE, [limit or none for limit in limits])
    if isinstance(child, nodes.List | nodes.Dict) or _is_value(child):
        return _through(child, MADE)
    return child


def _is_value(child: nodes.Node) -> bool:
    return isinstance(child, nodes.Tuple) and child.ctx == "load"


def _through(
    node: nodes.Node, name: str, arguments: list[nodes.Expr] | None = None
) -> nodes.Filter:
    return nodes.Filter(
        node, name, arguments or [], [], None, None, lineno=getattr(node, "lineno", 1)
    )
