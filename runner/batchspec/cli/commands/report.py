"""Write one page about a project: costs, batches, failures, checks, and a sample of the items."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.cli.arguments import Selecting, add_selecting
from batchspec.cli.exits import DONE, PROBLEMS
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import select_usable
from batchspec.durable import write_file
from batchspec.problems import has_errors
from batchspec.records import frozen
from batchspec.report.cost import cost_json
from batchspec.report.history import history_json
from batchspec.report.html import page
from batchspec.report.overview import overview_json
from batchspec.workflow.context import open_session
from batchspec.workflow.overview import read_overview

if TYPE_CHECKING:
    import argparse

    from batchspec.cli.terminal import Terminal

EXAMPLES = """\
  batchspec report                     write report.html in the current folder
  batchspec report --out week.html     under another name
  batchspec report triage --emulate    one spec, of the emulated state
"""


@frozen
class Arguments(Selecting):
    """What `report` takes."""

    out: Path
    """The page's file; replaced when it exists."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_selecting(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path("report.html"),
        help="where the page is written (default: report.html)",
    )


def run(args: Arguments, terminal: Terminal) -> Result:
    """Write the page; reads state, inputs and answers, changes none of them."""
    selection, problems = select_usable(args, terminal)
    if selection is None:
        return stopped_by(problems)
    session = open_session(
        selection.project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    with session:
        overview, found = read_overview(session, selection.specs, everything=not args.specs)
    problems += found
    write_file(args.out, [page(overview, addressed=terminal.addressed).encode()])
    return Result(
        exit_code=PROBLEMS if has_errors(problems) else DONE,
        text=f"Wrote {args.out}: it opens in any browser, without a network.\n",
        json={
            "path": str(args.out),
            "cost": cost_json(overview.spending),
            "history": history_json(overview.history),
            **overview_json(overview),
        },
        problems=problems,
    )
