"""The checks of a spec: SQL over what was written, whose rows are failures, and built-in kinds."""

# ruff: noqa: S608 - the names in this SQL are ours or quoted, and author SQL was read before.

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from batchspec.inputs.engine import AuthorSqlError, Column, Engine
from batchspec.inputs.tables import InputTable
from batchspec.outputs.agreement import pairs_of
from batchspec.outputs.authored import Authored, bad_sql, read_authored
from batchspec.outputs.builtin import (
    CheckProblemError,
    Source,
    failing_rows,
    rate_rows,
    source_of,
)
from batchspec.outputs.job import Written
from batchspec.outputs.measures import (
    Measured,
    count_rows,
    measure_agreement,
    measure_drift,
    measure_rate,
    measure_rows,
)
from batchspec.outputs.places import Target
from batchspec.outputs.projection import json_object
from batchspec.outputs.quarantine import keep_quarantine
from batchspec.outputs.verdict import CheckResult, verdict_of
from batchspec.problems import Place, Problem
from batchspec.records import frozen
from batchspec.spec.checks import RATE_KINDS, ROW_KINDS, kind_of_check, number_of, title
from batchspec.spec.model import Check
from batchspec.spec.project import LoadedSpec

OUTPUT: Final = "output"
SAMPLES: Final = 10


@frozen
class Checked:
    """A check that was read and bound: it can be evaluated."""

    check: Check
    failing: str | None
    """The query of the rows that fail, or of those that count towards the limit."""
    columns: tuple[Column, ...]
    source: Source | None
    """None: the author's own SQL."""
    authored: Authored | None = None
    pairs: str | None = None
    """Of `agreement`: the query of answers and their reference labels."""


def run_checks(
    engine: Engine,
    loaded: LoadedSpec,
    written: Sequence[Written],
    inputs: InputTable,
    quarantine: Target | None = None,
    leave_out: Sequence[str] = (),
) -> tuple[tuple[CheckResult, ...], tuple[Problem, ...]]:
    """Evaluate every check of a spec over the files as they stand on disk.

    The SQL sees ``output``, the first output; ``output_2`` and so on, the further ones; and the
    tables of `results.open_results`, which must still be open.

    Args:
        engine: The engine of the open results.
        loaded: The spec.
        written: Its outputs, all of them.
        inputs: Its items.
        quarantine: The output beside which rows that fail are kept; None: they are not.
        leave_out: Kinds of checks that mean nothing here.

    Returns:
        The results of the checks that could be evaluated, and a problem for each other one.
    """
    found: list[CheckResult] = []
    problems: list[Problem] = []
    with output_views(engine, [output.relation for output in written]):
        for number, check in enumerate(loaded.spec.checks):
            if kind_of_check(check) in leave_out:
                continue
            checked, wrong = read_check(engine, engine.root, loaded, number, inputs)
            problems += wrong
            if checked is None:
                continue
            try:
                found.append(_evaluate(engine, checked, written))
            except AuthorSqlError as error:
                problems.append(_failed(loaded, number, checked, error))
        if quarantine is not None:
            keep_quarantine(engine, quarantine, found)
    return tuple(found), tuple(problems)


@contextmanager
def output_views(engine: Engine, relations: Sequence[str]) -> Iterator[None]:
    """Make ``output``, ``output_2`` and so on, in the order of the queries, inside the block."""
    views = [OUTPUT if n == 1 else f"{OUTPUT}_{n}" for n in range(1, len(relations) + 1)]
    try:
        for view, relation in zip(views, relations, strict=True):
            engine.execute(f"CREATE OR REPLACE VIEW {view} AS {relation}")
        yield
    finally:
        for view in views:
            engine.execute(f"DROP VIEW IF EXISTS {view}")


def read_check(
    engine: Engine,
    root: Path,
    loaded: LoadedSpec,
    number: int,
    inputs: InputTable,
    *,
    is_coming: Callable[[str], bool] = lambda _: False,
) -> tuple[Checked | None, tuple[Problem, ...]]:
    """Read one check and bind it to its tables, without running it.

    Args:
        engine: Where the tables are.
        root: The project root.
        loaded: The spec.
        number: The check's index.
        inputs: The items.
        is_coming: Tells of a path without a file whether the run writes it: no problem then.
    """
    check = loaded.spec.checks[number]
    if check.sql is None:
        return _read_builtin(engine, loaded, number, inputs)
    authored, problems = read_authored(
        engine, root, loaded, ("checks", number, "sql"), check.sql, is_coming=is_coming
    )
    if authored is None or any(map(is_coming, authored.select.files)):
        return None, problems
    try:
        columns = engine.names_of(authored.select)
    except AuthorSqlError as error:
        return None, (*problems, authored.problem(error))
    checked = Checked(
        check=check,
        failing=authored.select.sql,
        columns=columns,
        source=None,
        authored=authored,
    )
    return checked, problems


def _read_builtin(
    engine: Engine, loaded: LoadedSpec, number: int, inputs: InputTable
) -> tuple[Checked | None, tuple[Problem, ...]]:
    check = loaded.spec.checks[number]
    pairs: str | None = None
    try:
        source = source_of(engine, loaded, number, inputs)
        failing: str | None = None
        if source.kind in ROW_KINDS:
            failing = failing_rows(source)
        elif source.kind in RATE_KINDS:
            failing = rate_rows(source)
        elif source.kind == "agreement":
            pairs, failing = pairs_of(source)
        elif check.drift is not None:
            source.field(check.drift.column, "column")
        elif check.row_count is not None and check.row_count.equals is not None:
            source.relation(check.row_count.equals, "equals")
        columns = () if failing is None else engine.names(failing)
    except CheckProblemError as error:
        return None, (error.problem,)
    except AuthorSqlError as error:
        return None, (bad_sql(f"checks.{kind_of_check(check)}", error, _place(loaded, number)),)
    checked = Checked(check=check, failing=failing, columns=columns, source=source, pairs=pairs)
    return checked, ()


def _place(loaded: LoadedSpec, number: int) -> Place:
    return loaded.document.place(("checks", number, kind_of_check(loaded.spec.checks[number])))


def _failed(loaded: LoadedSpec, number: int, checked: Checked, error: AuthorSqlError) -> Problem:
    """Return the problem that only rows could show."""
    if checked.authored is not None:
        return checked.authored.problem(error)
    return bad_sql(f"checks.{kind_of_check(checked.check)}", error, _place(loaded, number))


def _evaluate(engine: Engine, checked: Checked, written: Sequence[Written]) -> CheckResult:
    check = checked.check
    measured = _measure(engine, checked, written)
    return CheckResult(
        name=title(check),
        kind=kind_of_check(check),
        severity=check.severity,
        verdict=measured.verdict,
        failures=measured.failures,
        samples=_samples(engine, checked) if measured.failures else (),
        detail=measured.detail,
        evaluation=measured.evaluation,
        failing=checked.failing if measured.failures else None,
        columns=checked.columns,
    )


def _measure(engine: Engine, checked: Checked, written: Sequence[Written]) -> Measured:
    check, source, failing = checked.check, checked.source, checked.failing
    if check.drift is not None:
        return measure_drift(check, written[number_of(check.table) - 1])
    if source is not None and checked.pairs is not None:
        return measure_agreement(engine, source, checked.pairs)
    if source is not None and failing is None:
        return measure_rows(engine, source)
    if source is not None and failing is not None and source.kind in RATE_KINDS:
        return measure_rate(engine, source, failing)
    failures = count_rows(engine, f"({failing})")
    relative = "%" in f"{check.warn_if}{check.error_if}"
    rows = count_rows(engine, source.sql if source else OUTPUT) if relative else 0
    return Measured(verdict=verdict_of(check, failures, rows), failures=failures)


def _samples(engine: Engine, checked: Checked) -> tuple[str, ...]:
    if checked.failing is None:
        return ()
    rows = engine.rows(
        f"SELECT {json_object(checked.columns)} AS sample FROM ({checked.failing})"
        f" ORDER BY ALL LIMIT {SAMPLES}"
    )
    return tuple(row[0] for row in rows)
