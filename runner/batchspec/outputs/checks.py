"""The checks of a spec: SQL over what was written, whose rows are failures."""

# ruff: noqa: S608 - the names in this SQL are ours or quoted, and author SQL was read before.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from batchspec.inputs.engine import AuthorSqlError, Engine
from batchspec.outputs.authored import Authored, read_authored
from batchspec.outputs.job import Written
from batchspec.outputs.projection import json_object
from batchspec.problems import Problem
from batchspec.spec.model import Check
from batchspec.spec.project import LoadedSpec

OUTPUT: Final = "output"
SAMPLES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found."""

    name: str
    severity: Literal["error", "warn"]
    failures: int
    """Rows that the check's SQL returned."""
    samples: tuple[str, ...]
    """The first `SAMPLES` of them as JSON objects, sorted by that text."""


def run_checks(
    engine: Engine, root: Path, loaded: LoadedSpec, written: Sequence[Written]
) -> tuple[tuple[CheckResult, ...], tuple[Problem, ...]]:
    """Evaluate every check of a spec over the files as they stand on disk.

    The SQL sees ``output``, the first output; ``output_2`` and so on, the further ones; and the
    tables of `results.open_results`, which must still be open.

    Returns:
        The results of the checks that could be evaluated, and a problem for each other one.
    """
    found: list[CheckResult] = []
    problems: list[Problem] = []
    with output_views(engine, [output.relation for output in written]):
        for number, check in enumerate(loaded.spec.checks):
            path = ("checks", number, "sql")
            authored, wrong = read_authored(engine, root, loaded, path, check.sql)
            problems += wrong
            if authored is None:
                continue
            try:
                found.append(_evaluate(engine, check, authored))
            except AuthorSqlError as error:
                problems.append(authored.problem(error))
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


def _evaluate(engine: Engine, check: Check, authored: Authored) -> CheckResult:
    columns = engine.names_of(authored.select)
    failing = f"({authored.select.sql})"
    (failures,) = engine.one(f"SELECT count(*) FROM {failing}")
    samples: tuple[str, ...] = ()
    if failures:
        rows = engine.rows(
            f"SELECT {json_object(columns)} AS sample FROM {failing} ORDER BY ALL LIMIT {SAMPLES}"
        )
        samples = tuple(row[0] for row in rows)
    return CheckResult(
        name=check.name, severity=check.severity, failures=int(failures), samples=samples
    )
