"""Show who did what when: every command that may have changed the state, newest first.

--audit exports all of it, with every step of every submission, as JSON lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.cli.arguments import Selecting, add_selecting, positive_count
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import load_named, open_project
from batchspec.records import frozen
from batchspec.report.history import audit_lines, history_json, history_text
from batchspec.report.hygiene import harmless_json
from batchspec.state.runs import read_history, read_steps
from batchspec.workflow.context import open_session

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from batchspec.cli.terminal import Terminal
    from batchspec.workflow.context import Session

EXAMPLES = """\
  batchspec history                    the last twenty commands
  batchspec history ticket-triage      those that were about one spec
  batchspec history --limit 200        more of them
  batchspec history --audit            everything that is remembered, as JSON lines
"""
_LIMIT = 20


@frozen
class Arguments(Selecting):
    """What `history` takes."""

    limit: int
    """How many commands are shown."""
    audit: bool
    """Export everything as JSON lines."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_selecting(parser)
    parser.add_argument(
        "--limit",
        metavar="N",
        type=positive_count,
        default=_LIMIT,
        help=f"show at most N commands (default: {_LIMIT})",
    )
    parser.add_argument(
        "--audit",
        action="store_true",
        help="write everything that is remembered to stdout, one JSON object a line",
    )


def run(args: Arguments, terminal: Terminal) -> Result:
    """Return what was done; reads the state only."""
    project, problems = open_project(args, terminal)
    if project is None:
        return stopped_by(problems)
    specs = _names(args, terminal)
    session = open_session(
        project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    with session:
        if args.audit:
            lines = "".join(_audit(session, specs))
            return Result(text=harmless_json(lines), json=lines)
        found = read_history(
            session.reader(), emulated=session.emulated, specs=specs, limit=args.limit
        )
    return Result(text=history_text(found, style=terminal.out_style), json=history_json(found))


def _names(args: Arguments, terminal: Terminal) -> tuple[str, ...]:
    """Return the specs' names. A name may be that of a spec that is gone; a path may not."""
    paths = tuple(spec for spec in args.specs if Path(spec).suffix in {".yaml", ".yml"})
    names = tuple(spec for spec in args.specs if spec not in paths)
    if paths:
        selection, _ = load_named(args, terminal, paths)
        loaded = () if selection is None else selection.specs
        names += tuple(one.spec.name for one in loaded)
    return names


def _audit(session: Session, specs: tuple[str, ...]) -> Iterator[str]:
    reader = session.reader()
    history = read_history(reader, emulated=session.emulated, specs=specs)
    steps = [
        step
        for step in (() if reader is None else read_steps(reader))
        if not specs or step.submission.spec in specs
    ]
    identity = {
        "project": session.project.name,
        "lineage": None if reader is None else reader.lineage,
        "serial": 0 if reader is None else reader.serial,
        "emulated": session.emulated,
    }
    return audit_lines(identity, history, steps)
