"""Report all problems of all specs: offline, without a key, before anything is planned."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.api.catalogue import load_catalogue
from batchspec.cli.arguments import Shared, add_shared, add_specs
from batchspec.cli.exits import DONE, PROBLEMS
from batchspec.cli.result import Result
from batchspec.cli.selection import Selection, select_named
from batchspec.problems import has_errors
from batchspec.report.figures import count
from batchspec.report.problems import problems_json, problems_text, problems_total

if TYPE_CHECKING:
    import argparse

    from batchspec.cli.terminal import Terminal
    from batchspec.problems import Problem

EXAMPLES = """\
  batchspec validate                        every spec of the project
  batchspec validate specs/triage.yaml      one spec
  batchspec validate --inputs               read the inputs and compile the prompts too
  batchspec validate --format json          for editors and CI
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments(Shared):
    """What `validate` takes."""

    specs: tuple[str, ...]
    inputs: bool
    """Open the inputs and compile the prompts as well."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_specs(parser)
    parser.add_argument(
        "--inputs", action="store_true", help="open the inputs and compile the prompts as well"
    )
    add_shared(parser)


def run(args: Arguments, terminal: Terminal) -> Result:
    """Load the specs, and with ``--inputs`` what they read; return all problems."""
    selection, problems = select_named(args, terminal, args.specs)
    if selection is not None and args.inputs:
        problems += _input_problems(selection)
    return Result(
        exit_code=PROBLEMS if has_errors(problems) else DONE,
        text=_text(selection, problems, terminal),
        json=problems_json(problems),
    )


def _text(selection: Selection | None, problems: tuple[Problem, ...], terminal: Terminal) -> str:
    lines = []
    if problems:
        carets = terminal.stdout.isatty()
        lines.append(problems_text(problems, style=terminal.out_style, carets=carets))
    specs = "" if selection is None else f"{count(len(selection.specs), 'spec')}, "
    total = problems_total(problems) if problems else "no problems"
    return "\n".join([*lines, f"{specs}{total}."]) + "\n"


def _input_problems(selection: Selection) -> tuple[Problem, ...]:
    """Open every spec's inputs and compile its prompt against their columns."""
    from batchspec.inputs.engine import Engine  # noqa: PLC0415 - DuckDB, only for --inputs
    from batchspec.inputs.tables import open_inputs  # noqa: PLC0415 - as above
    from batchspec.prompt.request import compile_prompt  # noqa: PLC0415 - Jinja, only here

    project = selection.project
    found: tuple[Problem, ...] = ()
    for loaded in selection.specs:
        with (
            tempfile.TemporaryDirectory(prefix="batchspec-") as temp,
            Engine.open(
                root=project.root, temp=Path(temp), memory_mb=project.config.memory_mb
            ) as engine,
        ):
            table, problems = open_inputs(engine, project.root, loaded, {})
            found += problems
            if table is not None:
                found += compile_prompt(
                    project.root,
                    loaded,
                    table.columns,
                    api=project.config.api,
                    facts=load_catalogue(project.config.prices).facts(),
                )[1]
    return found
