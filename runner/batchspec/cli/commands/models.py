"""List what is known of models: limits, prices, retirements. --refresh asks the Models API."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from batchspec.api.catalogue import load_catalogue
from batchspec.cli.arguments import Shared, add_shared
from batchspec.cli.progress import LineDisplay, follow
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import open_project
from batchspec.records import frozen
from batchspec.report.models import models_json, models_text
from batchspec.spec.listed import MODELS_FILE
from batchspec.workflow.context import open_session
from batchspec.workflow.refresh import refresh_models

if TYPE_CHECKING:
    import argparse

    from batchspec.cli.terminal import Terminal
    from batchspec.spec.project import Project

EXAMPLES = """\
  batchspec models                     limits, batch prices and retirements
  batchspec models --refresh           ask the API, and keep what it says for review
"""


@frozen
class Arguments(Shared):
    """What `models` takes."""

    refresh: bool
    """Ask the Models API, and write the project's own list."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--refresh",
        action="store_true",
        help=f"ask the API, and write {MODELS_FILE} beside the project file (needs the key)",
    )
    add_shared(parser)


def run(args: Arguments, terminal: Terminal) -> Result:
    """List the models as the rules, the prices and the plans of this project know them."""
    project, problems = open_project(args, terminal, repairing=args.refresh)
    if project is None:
        return stopped_by(problems)
    if args.refresh:
        project = _refreshed(project, terminal)
    catalogue = load_catalogue(project.config.prices, project.models)
    models = [
        replace(model, prices=catalogue.prices(model.facts.id)) for model in catalogue.models()
    ]
    notes = [f"Built-in data are of {catalogue.as_of}. Prices are not in the Models API."]
    listed = project.models
    if listed is not None:
        notes.append(f"{MODELS_FILE} has what the API said on {listed.as_of}; commit it.")
    return Result(
        text=models_text(models, notes, terminal.clock.now().date(), terminal.out_style),
        json=models_json(models, refreshed=None if listed is None else str(listed.as_of)),
        problems=problems,
    )


def _refreshed(project: Project, terminal: Terminal) -> Project:
    session = open_session(project, emulate=False, clock=terminal.clock, environ=terminal.environ)
    with session:
        work = refresh_models(session)
        listed = follow(work, LineDisplay(terminal), also=lambda _event: None)
    return replace(project, models=listed)
