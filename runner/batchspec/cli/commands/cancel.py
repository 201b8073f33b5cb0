"""Ask the API to cancel batches in flight.

What was answered already is paid, kept and collected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchspec.cli.arguments import Selecting as Arguments
from batchspec.cli.arguments import add_selecting as add_arguments
from batchspec.cli.working import work_on_specs
from batchspec.workflow.cancel import cancel_specs

if TYPE_CHECKING:
    from batchspec.cli.result import Result
    from batchspec.cli.terminal import Terminal

__all__ = ["EXAMPLES", "Arguments", "add_arguments", "run"]

EXAMPLES = """\
  batchspec cancel                     every batch in flight of the project
  batchspec cancel ticket-triage       one spec's batches
"""


def run(args: Arguments, terminal: Terminal) -> Result:
    """Cancel what is in flight."""
    return work_on_specs(
        args,
        terminal,
        lambda session, specs: cancel_specs(session, specs, everything=not args.specs),
        usable=True,
    )
