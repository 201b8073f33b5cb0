"""Show submissions that are not over, from the state alone: no network, no waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchspec.cli.arguments import Selecting, add_selecting
from batchspec.cli.exits import DONE, PROBLEMS
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.screen import screen_for
from batchspec.cli.selection import select_usable
from batchspec.problems import has_errors
from batchspec.records import frozen
from batchspec.report.status import status_json, status_text
from batchspec.workflow.context import open_session
from batchspec.workflow.status import StatusReport, read_status
from batchspec.workflow.tenancy import lease_of

if TYPE_CHECKING:
    import argparse

    from batchspec.cli.selection import Selection
    from batchspec.cli.terminal import Terminal
    from batchspec.problems import Problem

EXAMPLES = """\
  batchspec status                     every spec of the project
  batchspec status ticket-triage       one spec
  batchspec status --watch             follow it, until nothing is in flight
"""
_WATCH_SECONDS = 5.0
_NOBODY = (
    "Nobody is at work on this state, so nothing will change by itself: `batchspec collect` takes "
    "in what has ended."
)


@frozen
class Arguments(Selecting):
    """What `status` takes."""

    watch: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_selecting(parser)
    parser.add_argument(
        "--watch",
        action="store_true",
        help="follow it until nothing is in flight; another `run` or `collect` moves the work on. "
        "On a terminal it is drawn anew every five seconds; elsewhere a line tells what changed, "
        "or every minute that nothing did. Ctrl-C ends it with exit code 130",
    )


def run(args: Arguments, terminal: Terminal) -> Result:
    """Return what is in flight; with ``--watch`` show it until nothing is."""
    selection, problems = select_usable(args, terminal)
    if selection is None:
        return stopped_by(problems)
    report = _read(selection, args, terminal)
    if args.watch and report.submissions:
        if not _at_work(selection, args, terminal):
            terminal.note(_NOBODY)
        terminal.resume_hint = "What is in flight goes on."
        pause = selection.project.config.api.poll_seconds or _WATCH_SECONDS
        view = screen_for(terminal) if args.format == "text" else None
        while report.submissions:
            if view is not None:
                view.show(report)
            terminal.clock.sleep(pause)
            report = _read(selection, args, terminal)
        if view is not None:
            view.clear()
    return _result(report, terminal, problems)


def _read(selection: Selection, args: Arguments, terminal: Terminal) -> StatusReport:
    session = open_session(
        selection.project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    with session:
        return read_status(session, selection.specs, everything=not args.specs)


def _at_work(selection: Selection, args: Arguments, terminal: Terminal) -> bool:
    """Tell whether another command holds the lease, and so moves the work on."""
    session = open_session(
        selection.project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    with session:
        return lease_of(session).held


def _result(report: StatusReport, terminal: Terminal, problems: tuple[Problem, ...]) -> Result:
    return Result(
        exit_code=PROBLEMS if has_errors(problems) else DONE,
        text=terminal.addressed(status_text(report, style=terminal.out_style)),
        json=status_json(report),
        problems=problems,
    )
