"""The author's mistakes in outputs and checks, found before anything is asked or paid.

The tables that author SQL reads are made with their columns and no rows, and every SELECT is bound
against them: DuckDB resolves names and types without running it. What only rows can show, such as
text that is no number, is still found when the output is written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from batchspec.inputs.engine import AuthorSqlError, Engine
from batchspec.inputs.tables import InputTable
from batchspec.outputs.authored import Authored, read_authored
from batchspec.outputs.checks import output_views, read_check
from batchspec.outputs.database import ENDING as DATABASE
from batchspec.outputs.formats import blank, no_rows
from batchspec.outputs.job import OutputJob
from batchspec.outputs.pathcheck import path_problems
from batchspec.outputs.peritem import query_of
from batchspec.outputs.places import target_of
from batchspec.outputs.results import Results, ResultSources, open_results
from batchspec.outputs.upstream import Queries
from batchspec.outputs.writers import ending_of, rows_of
from batchspec.problems import Problem, Severity, has_errors
from batchspec.prompt.answer_form import AnswerForm
from batchspec.spec.project import LoadedSpec

_KNOWN: Final = {
    "hash": "BLOB",
    "outcome": "UTINYINT",
    "attempt": "USMALLINT",
    "submission": "VARCHAR",
}
_FILES: Final = {"path": "VARCHAR", "content": "VARCHAR"}
"""The table of an output with one file per item, as checks see it."""


def output_problems(
    engine: Engine,
    root: Path,
    loaded: LoadedSpec,
    table: InputTable,
    form: AnswerForm,
    *,
    warnings: bool = False,
) -> tuple[Problem, ...]:
    """Return the errors of outputs and checks that are there whatever will be answered.

    Warnings are usually left to the writing of the outputs, which tells them.

    Args:
        engine: The engine of ``table``; tables called ``results``, ``inputs`` and ``output`` are
            made in it and removed again.
        root: The project root, absolute.
        loaded: The spec.
        table: Its items.
        form: The form of its answers.
        warnings: Return warnings too; nothing will be written.
    """
    with _no_results(engine, table, form) as results:
        jobs = [_job(root, loaded, number) for number in range(len(loaded.spec.outputs))]
        checked = [_output(engine, results, job, table) for job in jobs]
        problems = [problem for _, found in checked for problem in found]
        relations = [relation for relation, _ in checked if relation is not None]
        # Without the columns of an output, a check of it would be blamed for the output's mistake.
        if len(relations) == len(checked):
            with output_views(engine, relations):
                problems += _checks(engine, root, loaded, table)
    return tuple(p for p in problems if warnings or p.severity is Severity.ERROR)


def blank_outputs(
    engine: Engine, root: Path, loaded: LoadedSpec, table: InputTable, form: AnswerForm
) -> Queries | None:
    """Return the SQL of each output with its columns and no rows; None: a mistake hides one.

    Args:
        engine: The engine of ``table``.
        root: The project root, absolute.
        loaded: The spec.
        table: Its items, of which only the columns count.
        form: The form of its answers.
    """
    found: list[str | None] = []
    with _no_results(engine, table, form) as results:
        for number, output in enumerate(loaded.spec.outputs):
            query, _ = _output(engine, results, _job(root, loaded, number), table)
            if query is None:
                return None
            found.append(None if output.path.endswith(DATABASE) else query)
    return tuple(found)


@contextmanager
def _no_results(engine: Engine, table: InputTable, form: AnswerForm) -> Iterator[Results]:
    """Open results that have every column and no row; the inputs' files are not read for it."""
    types = {column.name: column.type for column in table.columns}
    keys = {f"k{number}": types[name] for number, name in enumerate(table.key)}
    sources = ResultSources(
        items=f"({no_rows({'key_json': 'VARCHAR', **keys, 'hash': 'BLOB'})})",
        known=f"({no_rows(_KNOWN)})",
        answers=(),
        table=dataclasses.replace(table, relation=f"({no_rows(types)})"),
        form=form,
        prices=None,
    )
    with open_results(engine, sources) as results:
        yield results


def _job(root: Path, loaded: LoadedSpec, number: int) -> OutputJob:
    """Return an output's job as far as columns and paths go: no manifest is made of it."""
    return OutputJob(
        root=root, loaded=loaded, number=number, spec_digest="", items_digest="", emulated=False
    )


def _output(
    engine: Engine, results: Results, job: OutputJob, table: InputTable
) -> tuple[str | None, tuple[Problem, ...]]:
    """Return the SQL of an output without rows, or None, and its problems."""
    authored: Authored | None = None
    if job.output.select is not None:
        authored, problems = _read(
            engine, job.root, job.loaded, (*job.place, "select"), job.output.select
        )
        if authored is None:
            return None, problems
    if job.target.is_template:
        return _items(engine, results, job, authored, table)
    try:
        rows, problems = rows_of(engine, results, job, authored)
        if rows is None or has_errors(problems):
            return None, problems
        return blank(engine, rows, ending_of(job)), problems
    except AuthorSqlError as error:
        if authored is None:
            raise
        return None, (authored.problem(error),)


def _items(
    engine: Engine,
    results: Results,
    job: OutputJob,
    authored: Authored | None,
    table: InputTable,
) -> tuple[str | None, tuple[Problem, ...]]:
    is_json = results.sources.form.is_json
    query, problems = query_of(engine, job, authored, is_json=is_json)
    if query is None or has_errors(problems):
        return None, problems
    # The rows of a projection are known only when there are answers, and so are their paths.
    found = () if authored is not None else path_problems(engine, job, table)
    return no_rows(_FILES), (*problems, *found)


def _checks(engine: Engine, root: Path, loaded: LoadedSpec, table: InputTable) -> Iterator[Problem]:
    def is_coming(file: str) -> bool:
        return _is_coming(root, loaded, file)

    for number in range(len(loaded.spec.checks)):
        yield from read_check(engine, root, loaded, number, table, is_coming=is_coming)[1]


def _read(
    engine: Engine, root: Path, loaded: LoadedSpec, path: Any, given: Any
) -> tuple[Authored | None, tuple[Problem, ...]]:
    """Read author SQL; None without problems when it reads files that the run writes anew."""

    def is_coming(file: str) -> bool:
        return _is_coming(root, loaded, file)

    authored, problems = read_authored(engine, root, loaded, path, given, is_coming=is_coming)
    if authored is not None and any(map(is_coming, authored.select.files)):
        return None, problems
    return authored, problems


def _is_coming(root: Path, loaded: LoadedSpec, file: str) -> bool:
    return any(_writes(root, output.path, file) for output in loaded.spec.outputs)


def _writes(root: Path, output: str, file: str) -> bool:
    """Tell whether ``file``, a path or a pattern, may mean what an output writes."""
    target = target_of(root, output)
    if not target.is_template:
        return target.shown == file or fnmatchcase(target.shown, file)
    folder = target.folder.as_posix()
    return file.startswith(f"{folder}/") or folder == "."
