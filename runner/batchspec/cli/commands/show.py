"""Show one item: its input row, rendered request, hash, result and history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchspec.cli.arguments import Shared, add_emulate, add_shared
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import select_named
from batchspec.records import frozen
from batchspec.report.show import item_json, item_text
from batchspec.workflow.context import open_session
from batchspec.workflow.show import show_item

if TYPE_CHECKING:
    import argparse

    from batchspec.cli.terminal import Terminal

EXAMPLES = """\
  batchspec show ticket-triage T-17            the item whose key is T-17
  batchspec show sales '["north", 3]'          a composite key, as JSON
"""


@frozen
class Arguments(Shared):
    """What `show` takes."""

    spec: str
    """A path or a name."""
    key: str
    """The item's key, as text or as JSON."""
    emulate: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("spec", metavar="SPEC", help="the spec's path or name")
    parser.add_argument("key", metavar="KEY", help="the item's key, as text or as JSON")
    add_emulate(parser)
    add_shared(parser)


def run(args: Arguments, terminal: Terminal) -> Result:
    """Return one item."""
    selection, problems = select_named(args, terminal, (args.spec,))
    if selection is None:
        return stopped_by(problems)
    session = open_session(
        selection.project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    with session:
        item, found = show_item(session, selection.specs[-1], args.key)
    if item is None:
        return stopped_by(problems + found)
    problems += found
    return Result(
        text=item_text(item, style=terminal.out_style), json=item_json(item), problems=problems
    )
