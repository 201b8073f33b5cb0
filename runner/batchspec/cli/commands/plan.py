"""Show what would be submitted, why, and what it would cost. Nothing is submitted or changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.cli.arguments import (
    Selecting,
    add_retry_failed,
    add_selecting,
    command_of,
    positive_count,
)
from batchspec.cli.exits import DONE, REFUSED, TO_SUBMIT
from batchspec.cli.progress import LineDisplay
from batchspec.cli.refusals import policy_breaches, refusals
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import select
from batchspec.errors import UsageFailure
from batchspec.plan.planfile import write_plan
from batchspec.records import frozen
from batchspec.report.json import plan_json
from batchspec.report.markdown import plan_markdown
from batchspec.report.text import plan_text
from batchspec.workflow.context import open_session
from batchspec.workflow.planning import PlanOptions, plan_specs

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from batchspec.cli.terminal import Terminal
    from batchspec.plan.model import Plan
    from batchspec.problems import Problem

EXAMPLES = """\
  batchspec plan                              every spec of the project
  batchspec plan ticket-triage --out plan.json    save it for `batchspec apply plan.json`
  batchspec plan --count-tokens 50            a better estimate, for which the key is needed
  batchspec plan --format markdown            for a pull request
  batchspec plan --detailed-exitcode          exit code 10 when there is something to submit
"""


@frozen
class Arguments(Selecting):
    """What `plan` takes."""

    out: Path | None
    """File that the plan is saved to."""
    detailed_exitcode: bool
    count_tokens: int
    """So many requests are counted by the API; 0: none."""
    retry_failed: bool
    """Plan to ask again for items whose retries are spent."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_selecting(parser, ("text", "json", "markdown"))
    parser.add_argument("--out", metavar="FILE", type=Path, help="save the plan for `apply`")
    parser.add_argument(
        "--detailed-exitcode",
        action="store_true",
        help="exit with 10 when there is something to submit, 0 when there is not",
    )
    parser.add_argument(
        "--count-tokens",
        metavar="N",
        type=positive_count,
        default=0,
        help="have the API count the input tokens of N requests, for a better estimate (free)",
    )
    add_retry_failed(parser)


def run(args: Arguments, terminal: Terminal) -> Result:
    """Plan the selected specs; what the policy forbids is shown, with exit code 4.

    Raises:
        UsageFailure: ``--out`` names a folder that does not exist.
    """
    selection, problems = select(args, terminal)
    if selection is None:
        return stopped_by(problems)
    _require_folder(args.out)
    session = open_session(
        selection.project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    with session, LineDisplay(terminal) as display:
        options = PlanOptions(
            retry_failed=args.retry_failed,
            count_tokens=args.count_tokens,
            examples=True,
            tell=display.show,
        )
        plan, found = plan_specs(session, selection.specs, options)
        refused = () if plan is None else refusals(session, plan, selection.specs)
        breaches = () if plan is None else policy_breaches(session, plan, selection.specs)
    problems += found
    if plan is None:
        return stopped_by(problems)
    refused += tuple(breach.message() for breach in breaches)
    if args.format == "json":
        for why in refused:
            terminal.note(f"refused: {why}")
    if args.out is not None:
        write_plan(args.out, plan)
        terminal.note(_saved(args.out, args))
    return Result(
        exit_code=_exit_code(args, plan, breaches),
        text=_text(plan, refused, args, terminal),
        json=plan_json(plan) if args.format == "json" else None,
        problems=problems,
    )


def _exit_code(args: Arguments, plan: Plan, breaches: Sequence[Problem]) -> int:
    if breaches:
        return REFUSED
    return TO_SUBMIT if args.detailed_exitcode and _submits(plan) else DONE


def _saved(path: Path, args: Arguments) -> str:
    apply = command_of(f"apply {path}", emulate=args.emulate, env=args.env)
    return f"The plan is in {path}; `{apply}` submits it."


def _require_folder(out: Path | None) -> None:
    if out is not None and not out.parent.is_dir():
        raise UsageFailure(
            f"The folder {out.parent} does not exist, so no plan can be saved there.",
            hint="Make the folder, or name a file in one that exists.",
        )


def _submits(plan: Plan) -> bool:
    return any(spec.requests or spec.after for spec in plan.specs)


def _text(plan: Plan, refused: Sequence[str], args: Arguments, terminal: Terminal) -> str:
    """Return the plan in the form asked for; JSON has a field of its own."""
    if args.format == "markdown":
        return (
            "\n\n".join([plan_markdown(plan).rstrip("\n"), *(f"Refused: {why}" for why in refused)])
            + "\n"
        )
    if args.format == "json":
        return ""
    command = command_of("run", emulate=args.emulate, env=args.env)
    return plan_text(plan, style=terminal.out_style, command=command, refusals=refused)
