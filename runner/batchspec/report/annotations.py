"""Problems as CI systems show them beside the changed lines of a pull request.

GitHub reads workflow commands from the log (``::error file=…``), GitLab a Code Quality report.
Specs and names in messages are foreign text: it is cut to one line and escaped, so that none of it
can become a command, or a property, of its own.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from batchspec.problems import Severity
from batchspec.report.hygiene import clean_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchspec.problems import Problem

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def github_annotations(problems: Sequence[Problem], prefix: str = "") -> str:
    """Return one workflow command per problem, each on a line of its own.

    Args:
        problems: What to annotate.
        prefix: The project's folder below the repository, with a final slash; empty: its root.
    """
    return "".join(f"{_command(problem, prefix)}\n" for problem in problems)


def _command(problem: Problem, prefix: str) -> str:
    where = problem.where
    properties: dict[str, str | int | None] = {"title": f"batchspec {problem.code}"}
    if where is not None:
        properties = {
            "file": f"{prefix}{where.file}",
            "line": where.line,
            "col": where.column,
        } | properties
    listed = ",".join(
        f"{name}={_escaped(str(value), _PROPERTY)}"
        for name, value in properties.items()
        if value is not None
    )
    return f"::{problem.severity.value} {listed}::{_escaped(problem.message(), _DATA)}"


def _escaped(text: str, marks: Mapping[str, str]) -> str:
    return "".join(marks.get(mark, mark) for mark in clean_line(text))


def gitlab_report(problems: Sequence[Problem], prefix: str = "") -> str:
    """Return a Code Quality report: a JSON list with a stable fingerprint per problem.

    Args:
        problems: What to report; one without a place stands at the project file.
        prefix: As for `github_annotations`.
    """
    return json.dumps([_finding(problem, prefix) for problem in problems], indent=2) + "\n"


def _finding(problem: Problem, prefix: str) -> dict[str, Any]:
    where = problem.where
    path = f"{prefix}{'batchspec.yaml' if where is None else where.file}"
    line = 1 if where is None or where.line is None else where.line
    known = f"{path}\0{problem.code}\0{problem.summary}"
    return {
        "description": clean_line(problem.message()),
        "check_name": problem.code,
        "fingerprint": hashlib.sha256(known.encode()).hexdigest(),
        "severity": "major" if problem.severity is Severity.ERROR else "minor",
        "location": {"path": path, "lines": {"begin": line}},
    }
