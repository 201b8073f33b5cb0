"""Mistakes in outputs and checks, found with no answer at hand."""

# ruff: noqa: S608 - the SQL is the tests' own.

from __future__ import annotations

import json
from typing import Any

import pytest

from batchspec.inputs.tables import open_inputs
from batchspec.outputs.preflight import output_problems
from batchspec.problems import Problem

World = Any
"""The folder's conftest has it; test folders are no packages to import it from."""
JSONL = "outputs: {path: out/a.jsonl}\n"


def preflight(world: World, tail: str, head: str | None = None) -> tuple[Problem, ...]:
    """Return the problems of the spec that ends in ``tail``."""
    loaded = world.load(tail) if head is None else world.load(tail, head)
    table, problems = open_inputs(world.engine, world.root, loaded, {})
    assert table is not None, problems
    return output_problems(world.engine, world.root, loaded, table, world.form)


def select(sql: str, path: str = "out/a.jsonl") -> str:
    """Return the end of a spec with a projection."""
    return f"outputs:\n  path: {json.dumps(path)}\n  select: {json.dumps(sql)}\n"


def checks(*sql: str) -> str:
    """Return the end of a spec with checks."""
    listed = (f"  - {{name: check {n}, sql: {json.dumps(text)}}}\n" for n, text in enumerate(sql))
    return "checks:\n" + "".join(listed)


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (select("SELECT id, lable FROM results"), ":11:23 bad-sql: the SQL of outputs.select"),
        (select("SELECT id FROM reslts"), "bad-sql: the SQL of outputs.select"),
        (select("SELECT 1; SELECT 2"), "bad-sql: the SQL of outputs.select"),
        (select("SELECT error.nope FROM results"), "bad-sql: the SQL of outputs.select"),
        (select("SELECT id, id AS ID FROM results"), "duplicate-column"),
        (select("SELECT upper(output_tokens) AS x FROM results"), "bad-sql"),
        (select("FROM 'data/other.csv'"), "bad-sql"),
        (select("SELECT id FROM results", "out/{{ id }}.md"), ":11:11 output-content"),
        (select("SELECT id, '' AS content FROM results", "out/{{ key }}.md"), "output-path-field"),
        ('outputs: {path: "out/{{ subject }}.md"}\n', "output-path-field"),
        (JSONL + checks("SELECT nope FROM output"), "bad-sql: the SQL of checks.sql"),
        (JSONL + checks("SELECT 1 FROM output_2"), "bad-sql: the SQL of checks.sql"),
        (JSONL + checks("SELECT 1 FROM inputs WHERE bdy = ''"), "bad-sql: the SQL of checks.sql"),
        (JSONL + checks("SELECT 1 FROM output WHERE upper(error)"), "bad-sql"),
        (JSONL + checks("DELETE FROM output"), "bad-sql"),
        (JSONL + checks("FROM 'data/other.csv'"), "bad-sql"),
        (select("SELECT id FROM results") + checks("SELECT key FROM output"), "checks.sql"),
    ],
)
def test_mistakes_are_found_without_answers(world: World, tail: str, message: str) -> None:
    """Each is told at its place, with the code that writing would give it."""
    (problem,) = preflight(world, tail)
    assert message in problem.message()


def test_all_mistakes_at_once(world: World) -> None:
    """Every check is bound; the sound one says nothing."""
    found = preflight(
        world, JSONL + checks("SELECT a FROM output", "SELECT key FROM output", "SELECT b FROM x")
    )
    assert [problem.where.line for problem in found if problem.where] == [11, 13]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("wants_json", [False, True])
def test_sound_checks_of_default_rows(world: World, ending: str, *, wants_json: bool) -> None:
    """Every column of every table has the type that it has once the rows are there."""
    world.schema = {"type": "object"} if wants_json else None
    error = "error_type, error_message" if ending == "csv" else "error.type, error.message"
    result = "result->>'$'" if wants_json or ending == "jsonl" else "upper(result)"
    found = preflight(
        world,
        f"outputs: {{path: out/a.{ending}}}\n"
        + checks(
            f"SELECT upper(key), {result}, status, stop_reason, request_hash, {error} FROM output",
            "SELECT upper(r.text), r.result->>'a', r.cost_usd + 1, r.ended_at + INTERVAL 1 DAY,"
            " r.input.body, r.body, r.error.type FROM results r JOIN inputs i ON r.key = i.id",
        ),
    )
    assert found == ()


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_what_passes_can_be_written_and_checked(answered: World, ending: str) -> None:
    """Awkward types bind before as they bind after."""
    tail = select(
        "SELECT id, NULL AS nothing, uuid() IS NULL AS u, 1::HUGEINT AS h, [id] AS l,"
        " {'a': id} AS s, DATE '2026-01-01' AS d, 'a'::ENUM('a') AS e FROM results",
        f"out/a.{ending}",
    )
    tail += checks("SELECT upper(nothing), h + 1, d + 1, upper(e) FROM output WHERE id IS NULL")
    assert preflight(answered, tail) == ()
    written, problems = answered.run(tail)
    assert written is not None, problems


def test_several_outputs_and_composite_keys(world: World) -> None:
    """Checks see each output under its number; a composite key is JSON."""
    world.write("data/in.csv", "id,body\n1,x\n")
    head = (
        "version: 1\nname: demo\nmodel: claude-haiku-4-5\nmax_tokens: 16\nprompt: {user: hi}\n"
        "inputs: {table: data/in.csv, key: [id, body]}\n"
        "outputs:\n  - {path: out/a.jsonl}\n  - {path: 'out/{{ key }}.md'}\n"
    )
    tail = checks("SELECT key->>0 FROM output", "SELECT path, content FROM output_2")
    assert preflight(world, tail, head) == ()
    (problem,) = preflight(world, checks("SELECT nope FROM output_2"), head)
    assert problem.code == "bad-sql"


@pytest.mark.parametrize(
    ("path", "sql"),
    [
        ("out/a.jsonl", "SELECT 1 FROM 'out/a.jsonl'"),
        ("out/a.jsonl", "SELECT 1 FROM 'out/*.jsonl'"),
        ("out/{{ id }}.md", "SELECT 1 FROM read_text('out/*.md')"),
    ],
)
def test_a_check_may_read_the_file_that_will_be_written(world: World, path: str, sql: str) -> None:
    """It is not there yet, or is still the former one, so nothing can be said of it."""
    tail = f"outputs: {{path: {json.dumps(path)}}}\n" + checks(sql)
    assert preflight(world, tail) == ()


def test_the_former_output_does_not_count(world: World) -> None:
    """A column that the former file lacks is no mistake when the run writes the file anew."""
    world.write("out/a.jsonl", '{"old": 1}\n')
    tail = select("SELECT id AS fresh FROM results") + checks("SELECT fresh FROM 'out/a.jsonl'")
    assert preflight(world, tail) == ()


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        (["a", "b"], None),
        (["a b", "ü", "x.y"], None),
        (["../up", "b"], "output-path-unsafe"),
        (["/etc/passwd"], "output-path-unsafe"),
        ([".env"], "output-path-unsafe"),
        (["a//b"], "output-path-unsafe"),
        (["a\\b"], "output-path-unsafe"),
        (["x\x1b[31m"], "output-path-unsafe"),
        (["x" * 300], "output-path-unsafe"),
        (["é" * 127], "output-path-unsafe"),
        (["readme", "README", "other"], "output-path-collision"),
        (["e\u0301", "é"], "output-path-collision"),
        (["ß", "ss"], "output-path-collision"),
        (["a.md/b", "a"], "output-path-collision"),
        (["_key_.md.manifest.json/x"], "output-path-collision"),
    ],
)
def test_paths_are_checked_from_the_inputs(world: World, keys: list[str], code: str | None) -> None:
    """Before anything is asked the same paths are refused as when files are written."""
    quoted = "".join('"' + key.replace('"', '""') + '",x\n' for key in keys)
    world.write("data/in.csv", "id,body\n" + quoted)
    found = preflight(world, 'outputs: {path: "out/{{ key }}.md"}\n')
    assert [problem.code for problem in found] == ([] if code is None else [code])


def test_columns_besides_the_key_collide(world: World) -> None:
    """Any column may stand in a path; rows that share its value share a file."""
    world.write("data/in.csv", "id,body\n1,same\n2,same\n3,other\n")
    (problem,) = preflight(world, 'outputs: {path: "out/{{ body }}.md"}\n')
    assert (problem.code, problem.detail.split(":")[0]) == (
        "output-path-collision",
        "'out/same.md' and 'out/same.md'",
    )
    assert preflight(world, 'outputs: {path: "out/{{ body }}-{{ key }}.md"}\n') == ()


@pytest.mark.parametrize("path", ["out/{{ status }}/{{ key }}.md", "out/{{ text }}.md"])
def test_fields_of_answers_are_left_to_the_writing(world: World, path: str) -> None:
    """What only an answer gives cannot clash yet."""
    assert preflight(world, f"outputs: {{path: {json.dumps(path)}}}\n") == ()


def test_warnings_are_left_to_the_writing(world: World) -> None:
    """They would be told twice, and would keep an unchanged plan from being remembered."""
    assert preflight(world, select("SELECT id, random() AS r FROM results")) == ()


def test_nothing_stays_in_the_engine(world: World) -> None:
    """The tables made for binding are gone, mistakes or not."""
    views = "SELECT view_name FROM duckdb_views() UNION SELECT table_name FROM duckdb_tables()"
    open_inputs(world.engine, world.root, world.load(JSONL), {})
    before = set(world.engine.rows(views))
    preflight(world, 'outputs: {path: "out/{{ key }}.md"}\n' + checks("SELECT 1 FROM nothing"))
    assert set(world.engine.rows(views)) == before
