"""A project's state: move it, share it, and see or break the lease on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from batchspec.cli.arguments import Shared, add_emulate, add_shared
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import open_project
from batchspec.errors import UsageFailure
from batchspec.records import frozen
from batchspec.workflow.context import Session, open_session
from batchspec.workflow.tenancy import break_lease, lease_of
from batchspec.workflow.transfer import export_state, import_state, migrate_state

if TYPE_CHECKING:
    import argparse

    from batchspec.cli.terminal import Terminal
    from batchspec.state.tenure import Tenure

EXAMPLES = """\
  batchspec state export backup.tar.zst    everything that was asked and answered, in one file
  batchspec state import backup.tar.zst    into a project that has no state yet
  batchspec state migrate                  the local state into the shared one of batchspec.yaml
  batchspec state lease                    who is writing, since when, and the last sign of life
  batchspec state unlock --reason "runner 7 was taken away"
"""


@frozen
class Arguments(Shared):
    """What `state` takes."""

    action: Literal["export", "import", "migrate", "lease", "unlock"]
    file: Path | None
    """The archive."""
    source: Path | None
    """Folder of the local state to migrate; None: the project's."""
    reason: str
    """Why a lease is broken."""
    emulate: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = ("export", "import", "migrate", "lease", "unlock")
    parser.add_argument("action", choices=actions, help="what to do")
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="export, import: the archive (.tar.zst)"
    )
    parser.add_argument(
        "--from",
        dest="source",
        metavar="DIR",
        type=Path,
        help="migrate: the folder of the local state (default: state.folder)",
    )
    parser.add_argument(
        "--reason", metavar="TEXT", default="", help="unlock: why; it stands in the history"
    )
    add_emulate(parser)
    add_shared(parser)


def run(args: Arguments, terminal: Terminal) -> Result:
    """Do what is asked with the state."""
    _check(args)
    project, problems = open_project(args, terminal)
    if project is None:
        return stopped_by(problems)
    session = open_session(
        project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    with session:
        match args.action:
            case "export" | "import":
                return _move(session, args)
            case "migrate":
                return _migrate(session, args)
            case "lease":
                return _lease(session)
            case "unlock":
                return _unlock(session, args.reason)


def _check(args: Arguments) -> None:
    if (args.file is not None) != (args.action in {"export", "import"}):
        raise UsageFailure(
            "`state export` and `state import` take one FILE, and nothing else of `state` does."
        )
    if args.source is not None and args.action != "migrate":
        raise UsageFailure("--from belongs to `state migrate`.")
    if bool(args.reason.strip()) != (args.action == "unlock"):
        raise UsageFailure(
            "`state unlock` takes --reason TEXT, and nothing else of `state` does: taking a lease "
            "away is told to the rest of the team."
        )


def _move(session: Session, args: Arguments) -> Result:
    file = args.file or Path()
    if args.action == "export":
        size = export_state(session, file)
        text = f"The state is in {file} ({size:,} bytes).\n"
        return Result(text=text, json={"file": str(file), "bytes": size})
    count = import_state(session, file)
    text = f"Took over a state of {count} submissions. `batchspec verify` checks every digest.\n"
    return Result(text=text, json={"file": str(file), "submissions": count})


def _migrate(session: Session, args: Arguments) -> Result:
    project = session.project
    source = args.source or project.root / project.config.state.folder
    count, kept = migrate_state(session, source)
    shown = "" if session.team is None else session.team.shown
    text = (
        f"The shared state in {shown} has taken over {count} submissions. The local one is kept in "
        f"{kept}, and nothing uses it any more. `batchspec verify` checks every digest.\n"
    )
    return Result(text=text, json={"submissions": count, "kept": str(kept), "state": shown})


def _lease(session: Session) -> Result:
    found = lease_of(session)
    if found.held:
        text = f"The lease is held by {found.words()}.\n"
        if found.expired:
            text += "Its holder counts as dead: the next command that writes takes it over.\n"
    elif found.operation:
        text = f"Nobody holds the lease. The last one who did: {found.words()}.\n"
    else:
        text = "Nobody holds the lease.\n"
    return Result(text=text, json=_as_json(found))


def _as_json(found: Tenure) -> dict[str, object]:
    return {
        "held": found.held,
        "expired": found.expired,
        "operation": found.operation or None,
        "host": found.host or None,
        "pid": found.pid or None,
        "since": None if found.since is None else found.since.isoformat(),
        "last_beat": None if found.beat_at is None else found.beat_at.isoformat(),
        "lease_seconds": found.seconds,
    }


def _unlock(session: Session, reason: str) -> Result:
    found = break_lease(session, reason)
    if not found.held:
        text = "Nobody holds the lease, so there is nothing to break.\n"
        return Result(text=text, json={"broken": False})
    text = (
        f"The lease was taken from {found.words()}. Whatever it still tries to write is refused. "
        "The next run finds out what became of a create call that it may have had under way.\n"
    )
    return Result(text=text, json={"broken": True, "reason": reason, "holder": _as_json(found)})
