"""Submit exactly what a saved plan says, wait, and write outputs; or refuse it as stale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.cli.arguments import (
    Selecting,
    Shared,
    add_emulate,
    add_shared,
    add_submitting,
)
from batchspec.cli.working import work_on_specs
from batchspec.plan.planfile import read_plan, require_fresh
from batchspec.workflow.options import RunOptions
from batchspec.workflow.run import run_specs

if TYPE_CHECKING:
    import argparse
    from decimal import Decimal

    from batchspec.cli.result import Result
    from batchspec.cli.terminal import Terminal

EXAMPLES = """\
  batchspec apply plan.json            the plan saved with `batchspec plan --out plan.json`
  batchspec apply plan.json --detach   submit, do not wait
"""


@dataclass(frozen=True, slots=True, kw_only=True)
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
    emulate: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("plan", metavar="PLANFILE", type=Path, help="the saved plan")
    add_submitting(parser)
    add_emulate(parser)
    add_shared(parser)


def run(args: Arguments, terminal: Terminal) -> Result:
    """Run the plan's specs, after making sure that the plan still holds.

    Raises:
        StalePlan: specs, inputs or state have moved since the plan was made.
    """
    saved = read_plan(args.plan)
    options = RunOptions(
        detach=args.detach,
        max_usd=args.max_usd,
        retry_failed=args.retry_failed,
        assume_foreign=args.assume_foreign,
        rounds=1,
        expect=lambda current: require_fresh(saved, current),
        plan_digest=saved.digest,
    )
    selecting = Selecting(
        project=args.project,
        format=args.format,
        no_color=args.no_color,
        specs=tuple(spec.name for spec in saved.specs),
        emulate=args.emulate,
    )
    return work_on_specs(
        selecting, terminal, lambda session, specs: run_specs(session, specs, options)
    )
