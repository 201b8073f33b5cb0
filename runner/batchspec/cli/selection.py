"""From arguments to values: the project, its specs, and the session that works on them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.api.catalogue import load_catalogue
from batchspec.errors import UsageFailure
from batchspec.problems import has_errors
from batchspec.records import frozen
from batchspec.spec.project import find_root, load_project, load_specs, with_policy

if TYPE_CHECKING:
    from batchspec.cli.arguments import Selecting, Shared
    from batchspec.cli.terminal import Terminal
    from batchspec.problems import Problem
    from batchspec.spec.project import LoadedSpec, Project


@frozen
class Selection:
    """What a command works on."""

    project: Project
    specs: tuple[LoadedSpec, ...]
    """The selected specs without errors, ordered by needs."""


_LEFT_OUT = (
    "A spec with problems cannot be selected by name; they are shown at the end. Correct its file, "
    "or give no SPEC: `status`, `collect`, `cancel` and `recover` then reach everything in flight."
)


def open_project(
    args: Shared, terminal: Terminal, *, repairing: bool = False
) -> tuple[Project | None, tuple[Problem, ...]]:
    """Find and load the project that the arguments mean.

    Args:
        args: Where to look.
        terminal: Gives the environment.
        repairing: The project's list of models is about to be written anew, so it may be damaged.

    Raises:
        UsageFailure: ``--project`` names no folder.
    """
    if args.project is not None and not args.project.is_dir():
        raise UsageFailure(
            f"--project {args.project} is not a folder, so there is no project to work on.",
            hint="`batchspec init DIR` writes a small working project.",
        )
    root = find_root(Path.cwd(), args.project)
    terminal.root = root
    project, problems = load_project(
        root, terminal.environ, env=args.env, with_models=not repairing
    )
    if project is not None:
        terminal.guard_secret(project.config.api.key_env)
        for value in project.config.api.headers.values():
            if not isinstance(value, str):
                terminal.guard_secret(value.env)
    return project, problems


def select(args: Selecting, terminal: Terminal) -> tuple[Selection | None, tuple[Problem, ...]]:
    """Load the project and the selected specs; None when problems keep them from being used.

    For commands that may spend: the specs are held against the project's policy too.

    Raises:
        UsageFailure: there is no project folder, or the project has no specs at all.
    """
    selection, problems = load_named(args, terminal, args.specs, policed=True)
    return (None if has_errors(problems) else selection), problems


def select_usable(
    args: Selecting, terminal: Terminal
) -> tuple[Selection | None, tuple[Problem, ...]]:
    """Load the project and those of the selected specs that have no errors.

    For commands that look after work in flight, which a mistake made since must not strand. None
    when the project file itself is wrong, or when no spec that was asked for by name is usable.

    Raises:
        UsageFailure: there is no project folder, or the project has no specs at all.
    """
    selection, problems = load_named(args, terminal, args.specs)
    if selection is None or not (args.specs and has_errors(problems)):
        return selection, problems
    if terminal.format != "json":
        terminal.note(_LEFT_OUT)
    return (selection if selection.specs else None), problems


def select_named(
    args: Shared, terminal: Terminal, names: tuple[str, ...]
) -> tuple[Selection | None, tuple[Problem, ...]]:
    """Load the project and the specs with these paths or names (none given: all).

    Raises:
        UsageFailure: there is no project folder, or the project has no specs at all.
    """
    selection, problems = load_named(args, terminal, names)
    return (None if has_errors(problems) else selection), problems


def load_named(
    args: Shared, terminal: Terminal, names: tuple[str, ...], *, policed: bool = False
) -> tuple[Selection | None, tuple[Problem, ...]]:
    """Load the project and, of the specs with these names, those without errors of their own.

    Args:
        args: Where the project is.
        terminal: Gives the environment and the day.
        names: Paths or names.
        policed: Hold the specs against the project's policy.

    Returns:
        The selection, None when the project file cannot be used, and every problem.

    Raises:
        UsageFailure: there is no project folder, or the project has no specs at all.
    """
    project, problems = open_project(args, terminal)
    if project is None:
        return None, problems
    if policed:
        project, wrong = with_policy(project)
        problems += wrong
    facts = load_catalogue(project.config.prices, project.models).facts()
    today = terminal.clock.now().astimezone(dt.UTC).date()
    specs, found = load_specs(project, names, facts, today=today)
    problems += found
    if not specs and not has_errors(problems):
        patterns = ", ".join(project.config.specs)
        raise UsageFailure(
            f"The project at {project.root} has no specs; it looks for {patterns}.",
            hint="`batchspec init DIR` writes a small working project.",
        )
    return Selection(project=project, specs=specs), problems
