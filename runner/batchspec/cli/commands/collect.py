"""Take in the results of ended batches and write the outputs they complete. Does not wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchspec.cli.arguments import Selecting as Arguments
from batchspec.cli.arguments import add_selecting as add_arguments
from batchspec.cli.working import work_on_specs
from batchspec.workflow.run import collect_specs

if TYPE_CHECKING:
    from batchspec.cli.result import Result
    from batchspec.cli.terminal import Terminal

__all__ = ["EXAMPLES", "Arguments", "add_arguments", "run"]

EXAMPLES = """\
  batchspec collect                    every spec of the project
  batchspec collect ticket-triage      one spec
"""


def run(args: Arguments, terminal: Terminal) -> Result:
    """Collect what has ended."""
    return work_on_specs(args, terminal, collect_specs, usable=True)
