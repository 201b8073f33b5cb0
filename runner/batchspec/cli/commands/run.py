"""Plan, submit, wait, collect, write outputs and run checks. Resumes whatever is open first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchspec.cli.arguments import Selecting, add_selecting, add_submitting
from batchspec.cli.working import work_on_specs
from batchspec.workflow.options import RunOptions
from batchspec.workflow.run import run_specs

if TYPE_CHECKING:
    import argparse
    from decimal import Decimal

    from batchspec.cli.result import Result
    from batchspec.cli.terminal import Terminal

EXAMPLES = """\
  batchspec run                        every spec of the project
  batchspec run triage --max-usd 2.50  refuse when it may cost more
  batchspec run --detach               submit, do not wait; `status` and `collect` later
  batchspec run --emulate              no key, no network, no cost
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments(Selecting):
    """What `run` takes."""

    detach: bool
    """Return once everything is submitted."""
    max_usd: Decimal | None
    """Refuse before submitting when the run may cost more than this, in USD."""
    retry_failed: bool
    """Ask again for items whose retries are spent."""
    assume_foreign: bool
    """Unknown batches in progress are somebody else's."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_selecting(parser)
    add_submitting(parser)


def run(args: Arguments, terminal: Terminal) -> Result:
    """Run the selected specs to their outputs."""
    options = RunOptions(
        detach=args.detach,
        max_usd=args.max_usd,
        retry_failed=args.retry_failed,
        assume_foreign=args.assume_foreign,
    )
    return work_on_specs(args, terminal, lambda session, specs: run_specs(session, specs, options))
