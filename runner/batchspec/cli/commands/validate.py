"""Report all problems of all specs: offline, without a key, before anything is planned."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.api.catalogue import load_catalogue
from batchspec.cli.arguments import Shared, add_shared, add_specs
from batchspec.cli.exits import DONE, PROBLEMS
from batchspec.cli.result import Result
from batchspec.cli.selection import Selection, load_named
from batchspec.problems import Problem, Severity, has_errors
from batchspec.records import frozen
from batchspec.report.annotations import github_annotations, gitlab_report
from batchspec.report.figures import count
from batchspec.report.problems import problems_json, problems_text, problems_total
from batchspec.spec.words import listing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from batchspec.cli.terminal import Terminal
    from batchspec.inputs.engine import Engine
    from batchspec.spec.facts import ModelFacts
    from batchspec.spec.project import LoadedSpec, Project
    from batchspec.workflow.upstream import Upstream

WITHOUT_COLUMNS = frozenset(
    {
        "bad-schema-file",
        "bad-turns-file",
        "cache-order",
        "content-missing",
        "content-too-large",
        "content-type",
        "dynamic-include",
        "include-cycle",
        "include-missing",
        "template-syntax",
        "template-too-complex",
        "too-many-breakpoints",
        "too-many-images",
    }
)
"""Problems of compiling a prompt that have nothing to do with the columns of the inputs."""

EXAMPLES = """\
  batchspec validate                        every spec of the project
  batchspec validate specs/triage.yaml      one spec
  batchspec validate --inputs               read the inputs too
  batchspec validate --format json          for editors
  batchspec validate --format github        problems beside the lines of a pull request
  batchspec validate --format gitlab        a Code Quality report
"""


@frozen
class Arguments(Shared):
    """What `validate` takes."""

    specs: tuple[str, ...]
    inputs: bool
    """Open the inputs, and check names in prompts, outputs and checks as well."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_specs(parser)
    parser.add_argument(
        "--inputs",
        action="store_true",
        help="open the inputs, and check names in prompts, outputs and checks as well",
    )
    add_shared(parser, ("text", "json", "github", "gitlab"))


def run(args: Arguments, terminal: Terminal) -> Result:
    """Load the specs, and with ``--inputs`` what they read; return all problems."""
    selection, problems = load_named(args, terminal, args.specs, policed=True)
    all_loaded = not has_errors(problems)
    if selection is not None:
        # A spec that cannot be loaded does not hide the mistakes of the others.
        check = _input_problems if args.inputs else _template_problems
        problems += check(selection)
    return Result(
        exit_code=PROBLEMS if has_errors(problems) else DONE,
        text=_shown(args.format, selection if all_loaded else None, problems, terminal),
        json=problems_json(problems),
    )


def _shown(
    form: str, selection: Selection | None, problems: tuple[Problem, ...], terminal: Terminal
) -> str:
    """Return the problems in a form that is text to the terminal; JSON has a field of its own."""
    if form == "gitlab":
        return gitlab_report(problems, _prefix(terminal))
    text = _text(selection, problems, terminal)
    if form == "github":
        return github_annotations(problems, _prefix(terminal)) + text.splitlines()[-1] + "\n"
    return text


def _prefix(terminal: Terminal) -> str:
    """Return the project's folder below the repository as CI systems want it in paths."""
    names = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
    top = next(filter(None, map(terminal.environ.get, names)), None)
    root = (terminal.root or Path()).resolve()
    base = Path.cwd() if top is None else Path(top).resolve()
    if root == base or not root.is_relative_to(base):
        return ""
    return f"{root.relative_to(base).as_posix()}/"


def _text(selection: Selection | None, problems: tuple[Problem, ...], terminal: Terminal) -> str:
    lines = []
    if problems:
        carets = terminal.stdout.isatty()
        lines.append(problems_text(problems, style=terminal.out_style, carets=carets))
    specs = "" if selection is None else f"{count(len(selection.specs), 'spec')}, "
    total = problems_total(problems) if problems else "no problems"
    return "\n".join([*lines, f"{specs}{total}."]) + "\n"


def _template_problems(selection: Selection) -> tuple[Problem, ...]:
    """Return the mistakes of templates that show without the columns of the inputs."""
    from batchspec.prompt.request import compile_prompt  # noqa: PLC0415 - Jinja, only here

    root = selection.project.root
    found: list[Problem] = []
    for loaded in selection.specs:
        _, problems = compile_prompt(root, loaded, ())
        found += [problem for problem in problems if problem.code in WITHOUT_COLUMNS]
    return tuple(found)


def _input_problems(selection: Selection) -> tuple[Problem, ...]:
    """Open every spec's inputs, and hold its prompt, its outputs and its checks against them."""
    from batchspec.inputs.engine import Engine  # noqa: PLC0415 - DuckDB, only for --inputs

    project = selection.project
    facts = load_catalogue(project.config.prices, project.models).facts()
    found: tuple[Problem, ...] = ()
    for loaded in selection.specs:
        upstream = _upstream(project, loaded)
        with (
            tempfile.TemporaryDirectory(prefix="batchspec-") as temp,
            Engine.open(
                root=project.root, temp=Path(temp), memory_mb=project.config.memory_mb
            ) as engine,
        ):
            if upstream.waiting:
                found += (_unread(loaded, upstream.waiting),)
                found += _foreseen(engine, project, loaded, facts, upstream)
            else:
                found += _against_inputs(engine, project, loaded, facts, upstream)
    return found


def _upstream(project: Project, loaded: LoadedSpec) -> Upstream:
    """Return the outputs that a spec reads as they stand; those of real work come first."""
    from batchspec.clock import SystemClock  # noqa: PLC0415 - as DuckDB, only for --inputs
    from batchspec.workflow.context import open_session  # noqa: PLC0415 - as above
    from batchspec.workflow.upstream import standing_upstream  # noqa: PLC0415 - as above

    sessions = tuple(
        open_session(project, emulate=emulate, clock=SystemClock(), environ={})
        for emulate in (False, True)
    )
    return standing_upstream(project.root, loaded, sessions)


def _unread(loaded: LoadedSpec, waiting: tuple[str, ...]) -> Problem:
    return Problem(
        code="unread-inputs",
        summary=f"the inputs of {loaded.spec.name} cannot be read before {waiting[0]} has run",
        detail="Its SQL, prompt, outputs and checks were held against the columns of"
        f" {listing(waiting, 'and')}. What depends on rows shows when {waiting[0]} has run.",
        severity=Severity.WARNING,
        where=loaded.document.place(("needs",), key=True),
    )


def _foreseen(
    engine: Engine,
    project: Project,
    loaded: LoadedSpec,
    facts: Mapping[str, ModelFacts],
    upstream: Upstream,
) -> tuple[Problem, ...]:
    from batchspec.workflow.foreseen import Foresight  # noqa: PLC0415 - DuckDB, only for --inputs

    sight = Foresight(engine=engine, root=project.root, api=project.config.api, facts=facts)
    return sight.problems(loaded, upstream.relations)


def _against_inputs(
    engine: Engine,
    project: Project,
    loaded: LoadedSpec,
    facts: Mapping[str, ModelFacts],
    upstream: Upstream,
) -> tuple[Problem, ...]:
    from batchspec.inputs.tables import open_inputs  # noqa: PLC0415 - DuckDB, only for --inputs
    from batchspec.prompt.request import compile_prompt  # noqa: PLC0415 - Jinja, as above
    from batchspec.workflow.preflight import preflight  # noqa: PLC0415 - DuckDB, as above

    table, problems = open_inputs(engine, project.root, loaded, upstream.relations)
    if table is None:
        return problems
    api = project.config.api
    renderer, found = compile_prompt(project.root, loaded, table.columns, api=api, facts=facts)
    problems += found
    if renderer is not None:
        problems += preflight(engine, project.root, loaded, table, renderer.form, warnings=True)
    return problems
