"""Problems beside the lines of a pull request."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from batchspec.problems import Place, Problem, Severity
from batchspec.report.annotations import github_annotations, gitlab_report

MISSPELLED = Problem(
    code="unknown-key",
    summary="`modell` is not a key of a spec",
    where=Place(file="specs/a.yaml", line=12, column=3),
)
RETIRING = Problem(
    code="retiring-model",
    summary="It retires: 100% sure",
    severity=Severity.WARNING,
    where=Place(file="specs/a,b:c.yaml", line=2),
)
PLACELESS = Problem(code="empty", summary="Nothing is in it")


def test_workflow_commands() -> None:
    """One per problem, with its place; marks that would end a property are escaped."""
    assert github_annotations([MISSPELLED, RETIRING, PLACELESS], "jobs/") == (
        "::error file=jobs/specs/a.yaml,line=12,col=3,title=batchspec unknown-key::"
        "specs/a.yaml:12:3 unknown-key: `modell` is not a key of a spec.\n"
        "::warning file=jobs/specs/a%2Cb%3Ac.yaml,line=2,title=batchspec retiring-model::"
        "specs/a,b:c.yaml:2 retiring-model: It retires: 100%25 sure.\n"
        "::error title=batchspec empty::empty: Nothing is in it.\n"
    )


def test_code_quality() -> None:
    """Each finding has a place, and a fingerprint that stays when its line moves."""
    first, second, third = json.loads(gitlab_report([MISSPELLED, RETIRING, PLACELESS], "jobs/"))
    assert first["location"] == {"path": "jobs/specs/a.yaml", "lines": {"begin": 12}}
    assert (first["severity"], second["severity"]) == ("major", "minor")
    assert (first["check_name"], second["check_name"]) == ("unknown-key", "retiring-model")
    assert third["location"] == {"path": "jobs/batchspec.yaml", "lines": {"begin": 1}}
    moved = Problem(
        code="unknown-key", summary=MISSPELLED.summary, where=Place(file="specs/a.yaml", line=99)
    )
    (same,) = json.loads(gitlab_report([moved], "jobs/"))
    assert same["fingerprint"] == first["fingerprint"] != second["fingerprint"]


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_text_makes_a_command_of_its_own(file: str, summary: str, detail: str) -> None:
    """Whatever a name or a message holds: one line, one command, the properties that were given."""
    hostile = f"\n::error::{summary}\r\n::set-output name=x::y"
    problem = Problem(code="x", summary=hostile, detail=detail, where=Place(file=f"f{file}"))
    text = github_annotations([problem])
    (line,) = text[:-1].split("\n")
    assert "\r" not in line
    head, _, _ = line.removeprefix("::error ").partition("::")
    assert [part.partition("=")[0] for part in head.split(",")] == ["file", "title"]
