"""Show what was really spent, by spec, model, day and key, and what could be saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchspec.cli.arguments import Selecting, add_selecting
from batchspec.cli.exits import DONE, PROBLEMS
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import select_usable
from batchspec.problems import has_errors
from batchspec.report.cost import cost_csv, cost_json, cost_text
from batchspec.workflow.context import open_session
from batchspec.workflow.spending import read_spending

if TYPE_CHECKING:
    import argparse

    from batchspec.cli.terminal import Terminal

EXAMPLES = """\
  batchspec cost                       everything the state knows
  batchspec cost ticket-triage         one spec
  batchspec cost --format csv          a row for each spec, model, day and key
  batchspec cost --format json         the same with all sums, for other programs
"""


Arguments = Selecting
"""What `cost` takes. Without specs: everything, also what specs that are gone have spent."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_selecting(parser, formats=("text", "json", "csv"))


def run(args: Arguments, terminal: Terminal) -> Result:
    """Return the costs; reads the state only."""
    selection, problems = select_usable(args, terminal)
    if selection is None:
        return stopped_by(problems)
    session = open_session(
        selection.project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    with session:
        spending = read_spending(session, selection.specs, everything=not args.specs)
    text = cost_text(spending, style=terminal.out_style)
    return Result(
        exit_code=PROBLEMS if has_errors(problems) else DONE,
        text=cost_csv(spending) if args.format == "csv" else terminal.addressed(text),
        json=cost_json(spending),
        problems=problems,
    )
