"""Find paid batches that the state does not know and take their results in.

Nothing that was paid is asked again afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchspec.cli.arguments import Selecting as Arguments
from batchspec.cli.arguments import add_selecting as add_arguments
from batchspec.cli.working import work_on_specs
from batchspec.workflow.recover import recover

if TYPE_CHECKING:
    from batchspec.cli.result import Result
    from batchspec.cli.terminal import Terminal

__all__ = ["EXAMPLES", "Arguments", "add_arguments", "run"]

EXAMPLES = """\
  batchspec recover                    after the state was lost, or came from another machine
"""


def run(args: Arguments, terminal: Terminal) -> Result:
    """Take in what the workspace has and the state does not."""
    return work_on_specs(args, terminal, recover, usable=True)
