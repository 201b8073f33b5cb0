"""Move a project's state: ``state export FILE`` and ``state import FILE``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from batchspec.cli.arguments import Shared, add_emulate, add_shared
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import open_project
from batchspec.workflow.context import open_session
from batchspec.workflow.transfer import export_state, import_state

if TYPE_CHECKING:
    import argparse

    from batchspec.cli.terminal import Terminal

EXAMPLES = """\
  batchspec state export backup.tar.zst    everything that was asked and answered, in one file
  batchspec state import backup.tar.zst    into a project that has no state yet
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments(Shared):
    """What `state` takes."""

    action: Literal["export", "import"]
    file: Path
    """The archive."""
    emulate: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=("export", "import"), help="what to do")
    parser.add_argument("file", metavar="FILE", type=Path, help="the archive (.tar.zst)")
    add_emulate(parser)
    add_shared(parser)


def run(args: Arguments, terminal: Terminal) -> Result:
    """Export or import the state."""
    project, problems = open_project(args, terminal)
    if project is None:
        return stopped_by(problems)
    session = open_session(
        project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    with session:
        if args.action == "export":
            size = export_state(session, args.file)
            text = f"The state is in {args.file} ({size:,} bytes).\n"
            return Result(text=text, json={"file": str(args.file), "bytes": size})
        count = import_state(session, args.file)
    text = f"Took over a state of {count} submissions. `batchspec verify` checks every digest.\n"
    return Result(text=text, json={"file": str(args.file), "submissions": count})
