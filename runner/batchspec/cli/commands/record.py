"""Write what was asked and answered as a file that the emulator replays, without keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.cli.arguments import Shared, add_emulate, add_shared
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import open_project
from batchspec.errors import UsageFailure
from batchspec.records import frozen
from batchspec.report.figures import count
from batchspec.workflow.context import open_session
from batchspec.workflow.record import Recorder, record_batch, record_files, record_state

if TYPE_CHECKING:
    import argparse

    from batchspec.cli.terminal import Terminal
    from batchspec.workflow.context import Session

EXAMPLES = """\
  batchspec record tape.jsonl                    all answers of this project's state
  batchspec record tape.jsonl --with-params      the prompts too, for people to read
  batchspec record tape.jsonl --requests sent.jsonl --results received.jsonl
  batchspec record tape.jsonl --requests sent.jsonl --batch msgbatch_01…
"""


@frozen
class Arguments(Shared):
    """What `record` takes."""

    file: Path
    """The recording to write."""
    requests: Path | None
    results: Path | None
    batch: str | None
    with_params: bool
    emulate: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", metavar="FILE", type=Path, help="the recording to write (.jsonl)")
    parser.add_argument(
        "--requests",
        metavar="FILE",
        type=Path,
        help="requests of another program: JSON lines of custom_id and params",
    )
    answers = parser.add_mutually_exclusive_group()
    answers.add_argument(
        "--results", metavar="FILE", type=Path, help="the results file of these requests"
    )
    answers.add_argument(
        "--batch", metavar="ID", help="read the results of these requests from the API"
    )
    parser.add_argument(
        "--with-params",
        action="store_true",
        help="write the prompts too; without it only their digests are written",
    )
    add_emulate(parser)
    add_shared(parser)


def run(args: Arguments, terminal: Terminal) -> Result:
    """Record, and say what was recorded.

    Raises:
        UsageFailure: the options do not fit each other, or there is nothing to record.
    """
    if (args.requests is None) != (args.results is None and args.batch is None):
        raise UsageFailure(
            "--requests goes with --results or --batch: a recording needs both what was asked "
            "and what was answered.",
            hint="Without any of them, the answers of this project's state are recorded.",
        )
    if args.requests is not None and args.results is not None:
        made = record_files(args.requests, args.results, args.file, with_params=args.with_params)
        return _said(args, made)
    project, problems = open_project(args, terminal)
    if project is None:
        return stopped_by(problems)
    session = open_session(
        project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    with session:
        return _said(args, _recorded(args, session))


def _recorded(args: Arguments, session: Session) -> Recorder:
    if args.requests is None or args.batch is None:
        return record_state(session, args.file, with_params=args.with_params)
    return record_batch(session, args.requests, args.batch, args.file, with_params=args.with_params)


def _said(args: Arguments, made: Recorder) -> Result:
    text = f"Recorded {count(made.answers, 'answer')} in {args.file}.\n"
    if made.unmatched:
        left_out = count(made.unmatched, "answer")
        text += f"{left_out} left out: what was asked is not among the requests.\n"
    if made.unreadable:
        text += f"{count(made.unreadable, 'answer')} left out: the line is no clean JSON.\n"
    if made.redacted:
        text += f"In {count(made.redacted, 'line')} something that looks like a key was replaced.\n"
    text += (
        "It holds the answers of the API: read it before you share it.\n"
        f"`batchspec emulator --replay {args.file} --replay-only` answers from it.\n"
    )
    data = {
        "file": args.file.as_posix(),
        "answers": made.answers,
        "unmatched": made.unmatched,
        "unreadable": made.unreadable,
        "redacted": made.redacted,
    }
    return Result(text=text, json=data)
