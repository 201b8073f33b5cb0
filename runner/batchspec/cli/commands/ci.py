"""Steps of CI jobs: comment, plan of a merge, outputs back, and the state of the next job.

`restore`, with --open for a job that may submit, takes the state from a branch of the repository,
and `keep` puts it back; both do nothing where the state stays by itself. `comment` writes the text
in FILE as the one comment of a pull request. `fetch` gets the plan that was reviewed for the merged
commit. `publish` commits the outputs that have changed, or copies them into a folder.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from batchspec.cli.arguments import Shared, add_shared, positive_seconds
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import open_project, select_named
from batchspec.errors import Refused, UsageFailure
from batchspec.forge.archive import unpack_plan
from batchspec.forge.comment import place_comment
from batchspec.forge.found import forge_of, remote_of
from batchspec.forge.git import repository_of
from batchspec.forge.publish import copy_outputs, publish_outputs
from batchspec.forge.statebranch import StateBranch
from batchspec.records import frozen
from batchspec.workflow.context import open_session
from batchspec.workflow.provenance import ci_url
from batchspec.workflow.recording import publishing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from batchspec.cli.terminal import Terminal
    from batchspec.spec.project import LoadedSpec, Project

EXAMPLES = """\
  batchspec ci restore --open               before `apply`; without --open before `plan`
  batchspec ci keep                         after it, whatever came of it
  batchspec ci comment plan.md              one comment per pull request, changed by later pushes
  batchspec ci fetch plan.json              exit code 4 when no plan was reviewed
  batchspec ci publish                      commit changed outputs to the job's branch
  batchspec ci publish --request            the same as a pull request
  batchspec ci publish --to outputs         copy them, for an artifact of the job
"""
BRANCH = "batchspec-state"
ARTIFACT = "batchspec-plan"
_MINUTE = 60


@frozen
class Arguments(Shared):
    """What `ci` takes."""

    step: Literal["restore", "keep", "comment", "fetch", "publish"]
    file: Path | None
    """The comment's text, or where the plan goes."""
    name: str
    """Tells apart projects of one repository; empty: the project's name."""
    artifact: str
    """How the artifact, or the job, that has the plan is named."""
    branch: str
    """The branch that keeps the state."""
    open: bool
    """The job may submit, so no other may work on the state."""
    wait: float
    """Seconds to wait for another job's state."""
    dead_after: float
    """Seconds after which a job that has not given the state back was killed."""
    request: bool
    """Publish as a pull request."""
    to: Path | None
    """Publish into this folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    steps = ("restore", "keep", "comment", "fetch", "publish")
    parser.add_argument("step", choices=steps, help="what to do")
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, help="of `comment` and `fetch`"
    )
    parser.add_argument(
        "--name", default="", help="with `comment`: of the comment (default: the project's name)"
    )
    parser.add_argument(
        "--artifact",
        metavar="NAME",
        default=ARTIFACT,
        help="with `fetch`: what the artifact with the plan is called before the commit, on GitLab "
        f"the job that made it (default: {ARTIFACT})",
    )
    parser.add_argument(
        "--branch", default=BRANCH, help=f"that keeps the state (default: {BRANCH})"
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="with `restore`: this job may submit, so wait for others",
    )
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=positive_seconds,
        default=20 * _MINUTE,
        help="with --open: how long (default: 1200)",
    )
    parser.add_argument(
        "--dead-after",
        metavar="SECONDS",
        type=positive_seconds,
        default=60 * _MINUTE,
        help="with --open: a job that has had the state for so long was killed (default: 3600)",
    )
    parser.add_argument("--request", action="store_true", help="with `publish`: as a pull request")
    parser.add_argument(
        "--to",
        metavar="DIR",
        type=Path,
        help="with `publish`: into this folder, without a commit, if answers were taken in since "
        "the last time",
    )
    add_shared(parser)


def run(args: Arguments, terminal: Terminal) -> Result:
    """Do one step of a job."""
    _check(args)
    for name in ("GITHUB_TOKEN", "BATCHSPEC_GITLAB_TOKEN"):
        terminal.guard_secret(name)
    project, problems = open_project(args, terminal)
    if project is None:
        return stopped_by(problems)
    match args.step:
        case "comment":
            return _comment(args, terminal, project)
        case "fetch":
            return _fetch(args, terminal)
        case "publish":
            return _publish(args, terminal, project)
        case "restore" | "keep":
            return _state(args, terminal, project)


def _check(args: Arguments) -> None:
    if (args.file is None) is (args.step in {"comment", "fetch"}):
        raise UsageFailure("`batchspec ci comment` and `ci fetch` take a FILE, other steps none.")
    if args.to is not None and (args.request or args.step != "publish"):
        raise UsageFailure("--to belongs to `ci publish`, and --request does not go along with it.")


def _comment(args: Arguments, terminal: Terminal, project: Project) -> Result:
    path = args.file or Path()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFailure(f"{path} cannot be read: {error}.") from error
    page = ci_url(terminal.environ)
    whole = "This is not all of it; the log has the whole plan" + (f": {page}" if page else ".")
    forge = forge_of(terminal.environ, terminal.clock)
    changed = place_comment(forge, args.name or project.name, text, whole)
    said = "The comment is up to date." if changed else "The comment was written."
    return Result(text=f"{said}\n", json={"changed": changed})


def _fetch(args: Arguments, terminal: Terminal) -> Result:
    target = args.file or Path()
    forge = forge_of(terminal.environ, terminal.clock)
    with tempfile.TemporaryDirectory(prefix="batchspec-") as folder:
        archive = Path(folder) / "plan.zip"
        if not forge.saved_plan(args.artifact, archive):
            raise Refused(
                "No plan was reviewed for this commit: it is not the merge of a pull request whose "
                "plan is kept here.",
                hint="A direct push, a fork's pull request or an expired artifact has none. "
                "`batchspec run --max-usd` submits what is new under a ceiling of yours.",
            )
        unpack_plan(archive, target)
    return Result(text=f"The reviewed plan is in {target}.\n", json={"file": str(target)})


def _publish(args: Arguments, terminal: Terminal, project: Project) -> Result:
    selection, problems = select_named(args, terminal, ())
    if selection is None:
        return stopped_by(problems)
    if args.to is not None:
        return _copy(args.to, terminal, project, selection.specs)
    forge = forge_of(terminal.environ, terminal.clock) if args.request else None
    repository = repository_of(project.root, remote_of(terminal.environ), terminal.environ)
    done = publish_outputs(repository, selection.specs, forge)
    where = done.request or done.branch
    text = "No output has changed.\n"
    if done.files:
        text = "".join(f"  {path}\n" for path in done.files)
        text = f"Published to {where} ({done.commit[:12]}):\n{text}"
    data = {"files": done.files, "commit": done.commit, "branch": done.branch}
    return Result(text=text, json={**data, "request": done.request})


def _copy(
    target: Path, terminal: Terminal, project: Project, specs: Sequence[LoadedSpec]
) -> Result:
    """Copy the outputs for an artifact, once after answers were taken in."""
    session = open_session(project, emulate=False, clock=terminal.clock, environ=terminal.environ)
    names = [loaded.spec.name for loaded in specs]
    with session, publishing(session, names) as new:
        files = copy_outputs(project.root, specs, target) if new else ()
    text = "No output has changed since it was last published.\n"
    if files:
        text = "".join(f"  {path}\n" for path in files)
        text = f"Copied to {target}:\n{text}"
    return Result(text=text, json={"files": files, "folder": str(target)})


def _state(args: Arguments, terminal: Terminal, project: Project) -> Result:
    if project.config.state.ledger:
        text = "The state is a shared one and stays where it is; no branch is needed.\n"
        return Result(text=text, json={"branch": None})
    session = open_session(project, emulate=False, clock=terminal.clock, environ=terminal.environ)
    if not session.state_dir.is_relative_to(project.root):
        text = f"The state is in {session.state_dir} and stays there; no branch is needed.\n"
        return Result(text=text, json={"branch": None})
    remote = remote_of(terminal.environ)
    with session:
        kept = StateBranch(
            session=session,
            repository=repository_of(project.root, remote, terminal.environ),
            branch=args.branch,
            by=ci_url(terminal.environ),
        )
        if args.step == "keep":
            size = kept.keep()
            text = f"The state is on the branch {args.branch} ({size:,} bytes).\n"
            return Result(text=text, json={"branch": args.branch, "bytes": size})
        tip = kept.restore() if not args.open else kept.open(args.wait, args.dead_after)
    known = tip is not None and bool(tip.lineage)
    text = f"The state is that of the branch {args.branch}.\n"
    if not known:
        text = f"There is no state on a branch {args.branch} yet: nothing was submitted.\n"
    if tip is not None and tip.open_since is not None and args.open:
        text += (
            f"The job that had it ({tip.by or 'unknown'}) did not give it back. What it may have "
            "submitted is looked for before anything is asked.\n"
        )
    return Result(text=text, json={"branch": args.branch, "known": known})
