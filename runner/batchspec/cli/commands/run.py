"""Plan, submit, wait, collect, write outputs and run checks. Resumes whatever is open first."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from batchspec.cli.arguments import Selecting, add_selecting, add_submitting
from batchspec.cli.working import work_on_specs
from batchspec.records import frozen
from batchspec.workflow.options import RunOptions
from batchspec.workflow.run import run_specs
from batchspec.workflow.sampling import sample_of
from batchspec.workflow.window import Window, read_window

if TYPE_CHECKING:
    from collections.abc import Generator
    from decimal import Decimal

    from batchspec.cli.result import Result
    from batchspec.cli.terminal import Terminal
    from batchspec.events import Event
    from batchspec.spec.project import LoadedSpec
    from batchspec.workflow.context import Session
    from batchspec.workflow.options import RunResult

EXAMPLES = """\
  batchspec run                        every spec of the project
  batchspec run triage --max-usd 2.50  refuse when it may cost more
  batchspec run --detach               submit, do not wait; `status` and `collect` later
  batchspec run --emulate              no key, no network, no cost
  batchspec run triage --sample 50     try an edited prompt, then `batchspec diff triage --sample`
"""


@frozen
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
    window: Window | None
    """Submit only in these hours of the day, in UTC."""
    sample: int | None
    """Run only so many items of each spec, apart from its outputs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_selecting(parser)
    add_submitting(parser)
    parser.add_argument(
        "--window",
        metavar="HH:MM-HH:MM",
        type=window,
        help="submit only in these hours of the day, in UTC, and wait for them; `cost` says in "
        "which hours batches ended fastest",
    )
    parser.add_argument(
        "--sample",
        metavar="N",
        type=sample_size,
        help="run N items of each spec, always the same ones, and write below .batchspec/samples/; "
        "`diff --sample` compares",
    )


def run(args: Arguments, terminal: Terminal) -> Result:
    """Run the selected specs to their outputs."""
    options = RunOptions(
        detach=args.detach,
        max_usd=args.max_usd,
        retry_failed=args.retry_failed,
        assume_foreign=args.assume_foreign,
        window=args.window,
    )
    rows = args.sample

    def work(session: Session, specs: tuple[LoadedSpec, ...]) -> Generator[Event, None, RunResult]:
        if rows is not None:
            session.sampled = True
            specs = tuple(sample_of(loaded, rows) for loaded in specs)
        return run_specs(session, specs, options)

    return work_on_specs(args, terminal, work)


def window(text: str) -> Window:
    """Read hours of the day.

    Raises:
        argparse.ArgumentTypeError: not two times of the day.
    """
    try:
        return read_window(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a part of the day such as 22:00-06:00"
        ) from None


def sample_size(text: str) -> int:
    """Read a number of items.

    Raises:
        argparse.ArgumentTypeError: not a whole number of one or more.
    """
    size = int(text) if text.isdecimal() else 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of items such as 50")
    return size
