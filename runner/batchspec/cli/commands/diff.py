"""Show how the answers of two versions of a spec differ, matched by key.

The later version is the output as it stands, or with --sample what the last `run --sample` wrote.
The earlier one is the output of --against: a git revision, or the path of a manifest. Without it,
HEAD is compared with; a sample is compared with the output as it stands.
"""

from __future__ import annotations

import argparse
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from batchspec.cli.arguments import Shared, add_emulate, add_shared
from batchspec.cli.exits import DONE, ITEMS_FAILED
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import select_named
from batchspec.records import frozen
from batchspec.report.diff import diff_json, diff_markdown, diff_text
from batchspec.workflow.context import open_session
from batchspec.workflow.diff import DiffOptions, diff_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchspec.cli.terminal import Terminal
    from batchspec.outputs.compare import Comparison

EXAMPLES = """\
  batchspec diff triage                          since the last commit
  batchspec diff triage --against main           what a branch changes
  batchspec diff triage --sample                 what an edited prompt changes, before it is run
  batchspec diff triage --format markdown        for a pull request
  batchspec diff triage --min-agreement 0.95     exit code 3 when fewer rows agree
"""
_SHOWN = 20


@frozen
class Arguments(Shared):
    """What `diff` takes."""

    spec: str
    """A path or a name."""
    against: str | None
    """A git revision, or a manifest's path."""
    sample: bool
    """Compare what the last `run --sample` wrote."""
    limit: int
    """How many changes are named; 0: all."""
    min_agreement: Decimal | None
    """Fail when a smaller part of the rows agrees."""
    emulate: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("spec", metavar="SPEC", help="the spec's path or name")
    parser.add_argument(
        "--against",
        metavar="REV|MANIFEST",
        help="compare with a git revision or with the output of a manifest (default: HEAD)",
    )
    parser.add_argument(
        "--sample", action="store_true", help="compare what the last `run --sample` wrote"
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=_count,
        default=_SHOWN,
        help=f"name at most N changes; 0 names all (default: {_SHOWN})",
    )
    parser.add_argument(
        "--min-agreement",
        metavar="X",
        type=_part,
        help="exit code 3 when less than this part of the rows agrees, from 0 to 1",
    )
    add_emulate(parser)
    add_shared(parser, ("text", "json", "markdown"))


def run(args: Arguments, terminal: Terminal) -> Result:
    """Return how the outputs of a spec differ."""
    selection, problems = select_named(args, terminal, (args.spec,))
    if selection is None:
        return stopped_by(problems)
    session = open_session(
        selection.project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    options = DiffOptions(against=args.against, sampled=args.sample, limit=args.limit or None)
    with session:
        found = diff_spec(session, selection.specs[-1], options)
    text = (
        diff_markdown(found)
        if args.format == "markdown"
        else diff_text(found, style=terminal.out_style)
    )
    return Result(
        exit_code=_exit_code(found, args.min_agreement),
        text=text,
        json=diff_json(found),
        problems=problems,
    )


def _exit_code(found: Sequence[Comparison], least: Decimal | None) -> int:
    if least is None or all(one.same >= least * one.compared for one in found):
        return DONE
    return ITEMS_FAILED


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of changes")
    return int(text)


def _part(text: str) -> Decimal:
    try:
        part = Decimal(text)
    except InvalidOperation:
        part = Decimal(-1)
    if not 0 <= part <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1, such as 0.95")
    return part
