"""`validate`: every spec is checked as far as it can be, whatever is wrong with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeProject

SPEC = """\
version: 1
inputs:
  rows: [{id: a, body: first}, {id: A, body: second}]
  key: id
model: claude-haiku-4-5
max_tokens: 64
prompt: {user: 'Say {{ body }}'}
outputs: {path: out/NAME.jsonl}
"""
ROWS = "rows: [{id: a, body: first}, {id: A, body: second}]"
CHECK = "checks: [{name: a check, sql: SELECT nope FROM output}]\n"


def spec(name: str, old: str = "", new: str = "", tail: str = "") -> dict[str, str]:
    """Return a spec's file, with one place of it changed and something at its end."""
    text = SPEC.replace("NAME", name)
    assert old in text
    return {f"specs/{name}.yaml": text.replace(old, new) + tail}


def problems_of(folder: Folder, *args: str) -> set[tuple[str, str]]:
    """Validate a project that has errors; return file and code of each."""
    done = folder.batchspec("validate", "--format", "json", *args)
    assert done.code == 1, done.err
    return {(found["where"]["file"], found["code"]) for found in done.json()["problems"]}


def test_a_broken_spec_does_not_hide_the_others(project: MakeProject) -> None:
    """With --inputs, inputs, prompts, outputs and checks of each spec that loads are checked."""
    folder = project(
        spec("broken", "max_tokens", "max_token")
        | spec("columns", ROWS, "sql: SELECT 1 a, 2 a, 3 id")
        | spec("prompt", "{{ body }}", "{{ bdy }}")
        | spec("sql", tail=CHECK)
        | spec("paths", "out/paths.jsonl", "'out/{{ id }}.md'")
        | spec("sound")
    )
    found = problems_of(folder, "--inputs")
    assert ("specs/broken.yaml", "unknown-key") in found
    assert {pair for pair in found if pair[0] != "specs/broken.yaml"} == {
        ("specs/columns.yaml", "duplicate-column"),
        ("specs/prompt.yaml", "undefined-name"),
        ("specs/sql.yaml", "bad-sql"),
        ("specs/paths.yaml", "output-path-collision"),
    }


def test_template_syntax_is_told_without_inputs(project: MakeProject) -> None:
    """A template that cannot be understood is a problem of the plain command."""
    folder = project(
        spec("broken", "max_tokens", "max_token")
        | spec("template", "{{ body }}", "{% if body %}")
        | spec("include", "{{ body }}", '{% include "none.md" %}')
        | spec("column", "{{ body }}", "{{ bdy }}")
    )
    found = problems_of(folder)
    assert {pair for pair in found if pair[0] != "specs/broken.yaml"} == {
        ("specs/template.yaml", "template-syntax"),
        ("specs/include.yaml", "include-missing"),
    }


@pytest.mark.parametrize("args", [(), ("--inputs",)])
def test_sound_specs_have_no_problems(project: MakeProject, args: tuple[str, ...]) -> None:
    """Names of columns are no matter without inputs, and right with them."""
    folder = project(spec("one") | spec("two", tail=CHECK.replace("nope", "key")))
    done = folder.batchspec("validate", *args)
    assert (done.code, done.out) == (0, "2 specs, no problems.\n"), done.out + done.err


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (spec("x", tail=CHECK), "bad-sql"),
        (spec("x", "out/x.jsonl", "out/x.jsonl, select: SELECT nope FROM results"), "bad-sql"),
        (spec("x", "out/x.jsonl", "'out/{{ nope }}.md'"), "output-path-field"),
        (spec("x", "out/x.jsonl", "'out/{{ id }}.md'"), "output-path-collision"),
        (spec("x", ROWS, "sql: SELECT 1 a, 2 a, 3 id, 4 body"), "duplicate-column"),
    ],
)
def test_outputs_that_cannot_be_written_cost_nothing(
    project: MakeProject, change: dict[str, str], code: str
) -> None:
    """`plan` and `run` stop with 1, and the corrected spec finds that nothing was asked."""
    folder = project(change)
    planned = folder.batchspec("plan", "--emulate")
    assert (planned.code, planned.out) == (1, "")
    ran = folder.batchspec("run", "--emulate", "--format", "json")
    assert ran.code == 1, ran.err
    assert code in ran.out + ran.err
    assert not (folder.root / "out").exists()
    for path, text in spec("x").items():
        folder.write(path, text)
    (sound,) = folder.batchspec("plan", "--emulate", "--format", "json").json()["specs"]
    assert sound["counts"]["submit"] == sound["items"] == 2


def test_rows_that_may_differ_are_told_by_validate(project: MakeProject) -> None:
    """Sums of floating-point numbers have other last digits each time; a plan need not wait."""
    select = ", select: 'SELECT avg(length(text) / 3) AS a FROM results'}"
    folder = project(spec("x", "out/x.jsonl}", "out/x.jsonl" + select))
    done = folder.batchspec("validate", "--inputs")
    assert (done.code, done.out.splitlines()[-1]) == (0, "1 spec, 1 warning."), done.err
    said = "avg(…) of floating-point numbers without ORDER BY inside it"
    assert ("unstable-sql" in done.out, said in done.out) == (True, True), done.out


def test_problems_beside_the_lines_of_a_pull_request(project: MakeProject) -> None:
    """CI's forms name paths below the repository, whatever folder the project is in."""
    folder = project(
        {f"jobs/{path}": text for path, text in spec("a", "max_tokens", "max_token").items()}
        | {"jobs/batchspec.yaml": "version: 1\n"}
    )
    args = ("--project", "jobs", "validate", "--format")
    workspace = {"GITHUB_WORKSPACE": str(folder.root)}
    done = folder.batchspec(*args, "github", env=workspace)
    assert (done.code, done.err) == (1, "")
    first, *_, last = done.out.splitlines()
    assert first.startswith("::error file=jobs/specs/a.yaml,line=")
    assert last == "1 problem."
    report = folder.batchspec(*args, "gitlab")
    assert report.code == 1
    assert {found["location"]["path"] for found in report.json()} == {"jobs/specs/a.yaml"}
    sound = project(spec("b"))
    assert sound.batchspec("validate", "--format", "github").out == "1 spec, no problems.\n"
    assert sound.batchspec("validate", "--format", "gitlab").json() == []
