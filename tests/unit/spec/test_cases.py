"""Every file and folder of tests/cases is a case; what is expected stands beside it.

A file is one spec, a folder is a whole project. `<case>.expected` holds each problem as
`place code: summary`, and below it the detail. With BATCHSPEC_UPDATE_CASES=1 the files are written
anew, for a reviewer to read.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from batchspec.problems import Problem, Severity, has_errors
from batchspec.spec.codes import THEMES
from batchspec.spec.facts import ModelFacts
from batchspec.spec.project import LoadedSpec, load_project, load_specs, with_policy

CASES = Path(__file__).parents[2] / "cases"
SHARED = "files"
"""The folder of what the cases' own paths lead to."""

ELSEWHERE = {
    "unreadable-file": "needs a file without permissions",
    "yaml-too-large": "needs a megabyte",
    "bad-environment": "needs an environment",
    "unknown-spec": "needs a command line",
    "unknown-environment": "needs a command line",
}
"""Codes without a case here, and why; test_load, test_settings and test_project have them."""


def cases(folder: str) -> list[Path]:
    """Return the cases of a folder."""
    found = [path for path in (CASES / folder).iterdir() if path.name != SHARED]
    return sorted(path for path in found if path.is_dir() or path.suffix == ".yaml")


def run(
    case: Path, facts: Mapping[str, ModelFacts], today: dt.date
) -> tuple[tuple[LoadedSpec, ...], tuple[Problem, ...]]:
    """Load a case as its author would."""
    root, selectors = (case, []) if case.is_dir() else (case.parent, [case.name])
    project, problems = load_project(root, {})
    if project is None:
        return (), problems
    project, wrong = with_policy(project)
    specs, found = load_specs(project, selectors, facts, today=today)
    return specs, problems + wrong + found


def written(problem: Problem, *, single: bool) -> str:
    """Return a problem as the expectation files have it."""
    where = problem.where
    assert where is not None, problem
    parts = [] if single and where.file.endswith(".yaml") else [where.file]
    parts += [str(number) for number in (where.line, where.column) if number is not None]
    severity = " (warning)" if problem.severity is Severity.WARNING else ""
    place = ":".join(parts) or "-"
    return f"{place} {problem.code}: {problem.summary}{severity}\n    {problem.detail}\n"


@pytest.mark.parametrize("case", cases("invalid"), ids=lambda case: case.name)
def test_an_invalid_case_gives_exactly_its_problems(
    case: Path, facts: Mapping[str, ModelFacts], today: dt.date
) -> None:
    """Each mistake gives the expected problem at its place, and nothing else."""
    _, problems = run(case, facts, today)
    text = "".join(written(problem, single=case.is_file()) for problem in problems)
    expected = case.with_suffix(".expected")
    if os.environ.get("BATCHSPEC_UPDATE_CASES"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")
    assert problems


@pytest.mark.parametrize("case", cases("invalid"), ids=lambda case: case.name)
def test_every_message_is_made_of_sentences(
    case: Path, facts: Mapping[str, ModelFacts], today: dt.date
) -> None:
    """A summary has no full stop, a detail ends like a sentence, nobody is shouted at."""
    for problem in run(case, facts, today)[1]:
        assert problem.summary, problem
        assert not problem.summary.endswith("."), problem
        assert problem.detail.endswith((".", "?")), problem
        assert not re.search(r"\w!", problem.detail + problem.summary), problem


@pytest.mark.parametrize("case", cases("invalid"), ids=lambda case: case.name)
def test_specs_with_errors_are_not_returned(
    case: Path, facts: Mapping[str, ModelFacts], today: dt.date
) -> None:
    """No command can go on with a spec that has an error."""
    specs, problems = run(case, facts, today)
    wrong = {p.where.file for p in problems if p.where and has_errors([p])}
    assert not wrong.intersection(spec.path for spec in specs)


@pytest.mark.parametrize("case", cases("valid"), ids=lambda case: case.name)
def test_a_valid_case_loads_without_problems(
    case: Path, facts: Mapping[str, ModelFacts], today: dt.date
) -> None:
    """What the reference promises is accepted without so much as a warning."""
    specs, problems = run(case, facts, today)
    assert problems == ()
    assert specs


@pytest.mark.parametrize(
    "code", [code.code for theme in THEMES if not theme.later for code in theme.codes]
)
def test_every_code_has_a_case_of_its_name(code: str) -> None:
    """A code without a case would be a rule that nobody has seen speak."""
    said = any(
        f" {code}: " in path.read_text(encoding="utf-8")
        for path in (CASES / "invalid").glob("*.expected")
    )
    assert said != (code in ELSEWHERE)


@pytest.mark.parametrize(
    "code", [code.code for theme in THEMES if theme.later for code in theme.codes]
)
def test_every_later_code_is_tested_somewhere(code: str) -> None:
    """What needs inputs is tested by the tests of the room that finds it."""
    tests = CASES.parent
    word = re.compile(rf"(?<![\w-]){code}(?![\w-])")
    assert any(word.search(file.read_text(encoding="utf-8")) for file in tests.rglob("*.py"))
