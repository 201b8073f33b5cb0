"""Submit exactly what a saved plan says, wait, and write outputs; or refuse it as stale."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from batchspec.cli.arguments import (
    Selecting,
    Shared,
    add_emulate,
    add_shared,
    add_submitting,
)
from batchspec.cli.working import work_on_specs
from batchspec.errors import StalePlan
from batchspec.plan.planfile import (
    read_plan,
    require_affordable,
    require_environment,
    require_fresh,
)
from batchspec.records import frozen
from batchspec.workflow.options import RunOptions
from batchspec.workflow.run import run_specs

if TYPE_CHECKING:
    import argparse
    from decimal import Decimal

    from batchspec.cli.result import Result
    from batchspec.cli.terminal import Terminal
    from batchspec.plan.model import Plan

EXAMPLES = """\
  batchspec apply plan.json            the plan saved with `batchspec plan --out plan.json`
  batchspec apply plan.json --detach   submit, do not wait
  batchspec apply plan.json --if-stale replan    a fresh plan, if it costs no more
"""


@frozen
class Arguments(Shared):
    """What `apply` takes."""

    plan: Path
    """The saved plan."""
    detach: bool
    """Return once everything is submitted."""
    max_usd: Decimal | None
    """Refuse before submitting when the run may cost more than this, in USD."""
    retry_failed: bool
    """The plan was made with ``--retry-failed``."""
    assume_foreign: bool
    """Unknown batches in progress are somebody else's."""
    if_stale: Literal["refuse", "replan"]
    """What to do when specs, inputs or state have moved since the plan was made."""
    emulate: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("plan", metavar="PLANFILE", type=Path, help="the saved plan")
    add_submitting(parser)
    parser.add_argument(
        "--if-stale",
        choices=("refuse", "replan"),
        default="refuse",
        help="what to do when something has moved since the plan was made: refuse (default), or "
        "submit a fresh plan of its specs, if that may cost no more than the saved one",
    )
    add_emulate(parser)
    add_shared(parser)


def run(args: Arguments, terminal: Terminal) -> Result:
    """Run the plan's specs, after making sure that the plan still holds.

    Raises:
        StalePlan: specs, inputs or state have moved since the plan was made, and it may not be
            made anew, or that would cost more.
    """
    saved = read_plan(args.plan)
    replan = args.if_stale == "replan"
    options = RunOptions(
        detach=args.detach,
        max_usd=args.max_usd,
        retry_failed=args.retry_failed,
        assume_foreign=args.assume_foreign,
        rounds=1,
        expect=lambda current: _agreed(saved, current, replan=replan),
        plan_digest=saved.digest,
    )
    selecting = Selecting(
        project=args.project,
        env=args.env,
        format=args.format,
        no_color=args.no_color,
        specs=tuple(spec.name for spec in saved.specs),
        emulate=args.emulate,
    )
    return work_on_specs(
        selecting, terminal, lambda session, specs: run_specs(session, specs, options)
    )


def _agreed(saved: Plan, current: Plan, *, replan: bool) -> str:
    """Return what to tell about the plan that is submitted; nothing when it is the saved one."""
    require_environment(saved, current)  # even a fresh plan of the same specs would be another
    try:
        require_fresh(saved, current)
    except StalePlan as stale:
        if not replan:
            raise
        return require_affordable(stale, saved, current)
    return ""
