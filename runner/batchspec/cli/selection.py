"""From arguments to values: the project, its specs, and the session that works on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.api.catalogue import load_catalogue
from batchspec.errors import UsageFailure
from batchspec.problems import has_errors
from batchspec.spec.project import find_root, load_project, load_specs

if TYPE_CHECKING:
    from batchspec.cli.arguments import Selecting, Shared
    from batchspec.cli.terminal import Terminal
    from batchspec.problems import Problem
    from batchspec.spec.project import LoadedSpec, Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a command works on."""

    project: Project
    specs: tuple[LoadedSpec, ...]
    """The selected specs, ordered by needs."""


def open_project(args: Shared, terminal: Terminal) -> tuple[Project | None, tuple[Problem, ...]]:
    """Find and load the project that the arguments mean.

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
    project, problems = load_project(root, terminal.environ)
    if project is not None:
        terminal.guard_secret(project.config.api.key_env)
    return project, problems


def select(args: Selecting, terminal: Terminal) -> tuple[Selection | None, tuple[Problem, ...]]:
    """Load the project and the selected specs; None when problems keep them from being used.

    Raises:
        UsageFailure: there is no project folder, or the project has no specs at all.
    """
    return select_named(args, terminal, args.specs)


def select_named(
    args: Shared, terminal: Terminal, names: tuple[str, ...]
) -> tuple[Selection | None, tuple[Problem, ...]]:
    """Load the project and the specs with these paths or names (none given: all).

    Raises:
        UsageFailure: there is no project folder, or the project has no specs at all.
    """
    project, problems = open_project(args, terminal)
    if project is None:
        return None, problems
    facts = load_catalogue(project.config.prices).facts()
    specs, found = load_specs(project, names, facts, today=terminal.clock.now().date())
    problems += found
    if has_errors(problems):
        return None, problems
    if not specs:
        patterns = ", ".join(project.config.specs)
        raise UsageFailure(
            f"The project at {project.root} has no specs; it looks for {patterns}.",
            hint="`batchspec init DIR` writes a small working project.",
        )
    return Selection(project=project, specs=specs), problems
