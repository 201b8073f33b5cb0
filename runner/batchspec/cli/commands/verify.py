"""Check every digest of state, outputs and manifests, and name stale outputs. Changes nothing.

Outputs are compared with the specs and the inputs as they are now. The exit code is 0 when all is
as it was recorded, 3 when something is damaged, stale or not written yet, and 1 when a spec has
problems.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchspec.cli.arguments import Selecting as Arguments
from batchspec.cli.arguments import add_selecting as add_arguments
from batchspec.cli.exits import DONE, ITEMS_FAILED, PROBLEMS
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import select_usable
from batchspec.problems import has_errors
from batchspec.report.findings import findings_json, findings_text
from batchspec.workflow.context import open_session
from batchspec.workflow.verify import verify

if TYPE_CHECKING:
    from batchspec.cli.terminal import Terminal

__all__ = ["EXAMPLES", "Arguments", "add_arguments", "run"]

EXAMPLES = """\
  batchspec verify                     every spec of the project
  batchspec verify ticket-triage       one spec
"""


def run(args: Arguments, terminal: Terminal) -> Result:
    """Return what is not as it was recorded."""
    selection, problems = select_usable(args, terminal)
    if selection is None:
        return stopped_by(problems)
    session = open_session(
        selection.project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    with session:
        verified = verify(session, selection.specs)
    problems += verified.problems
    unread = has_errors(problems)
    text = findings_text(verified, len(selection.specs), unread=unread, style=terminal.out_style)
    return Result(
        exit_code=ITEMS_FAILED if verified.findings else PROBLEMS if unread else DONE,
        text=terminal.addressed(text),
        json=findings_json(verified),
        problems=problems,
    )
