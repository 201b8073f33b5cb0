"""Checks: SQL over the written file, the results and the inputs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchspec.outputs.checks import run_checks
from batchspec.outputs.verdict import CheckResult
from batchspec.outputs.writers import write_output
from batchspec.problems import Problem

World = Any
"""The folder's conftest has it; test folders are no packages to import it from."""
Checked = tuple[tuple[CheckResult, ...], tuple[Problem, ...]]


def check(world: World, outputs: str, *checks: str) -> Checked:
    """Write the outputs of a spec and run its checks."""
    listed = "".join(
        f"  - {{name: check {number}, sql: {json.dumps(sql)}}}\n"
        for number, sql in enumerate(checks)
    )
    loaded = world.load(f"outputs: {outputs}\nchecks:\n{listed}")
    with world.results(loaded) as opened:
        written = []
        for number in range(len(loaded.spec.outputs)):
            one, problems = write_output(world.engine, opened, world.job(loaded, number))
            assert one is not None, problems
            written.append(one)
        return run_checks(world.engine, loaded, written, opened.sources.table)


def one(world: World, outputs: str, sql: str) -> CheckResult:
    """Return the result of the only check."""
    (result,), problems = check(world, outputs, sql)
    assert problems == ()
    return result


def test_rows_are_failures(answered: World) -> None:
    """Each row that the SQL returns is a failure; the first ten are shown as JSON."""
    result = one(
        answered, "{path: out/a.jsonl}", "SELECT key, status FROM output WHERE key > 'T-1'"
    )
    assert (result.name, result.kind, result.verdict) == ("check 0", "sql", "error")
    assert result.failures == 2
    assert result.samples == (
        '{"key":"T-10","status":"succeeded"}',
        '{"key":"T-2","status":"succeeded"}',
    )


def test_no_rows_is_success(answered: World) -> None:
    """A check that finds nothing has no samples."""
    result = one(answered, "{path: out/a.jsonl}", "SELECT key FROM output WHERE result IS NULL")
    assert (result.failures, result.samples) == (0, ())


def test_samples_are_few(world: World) -> None:
    """Of many failures ten are shown."""
    world.write("data/in.csv", "id,body\n" + "".join(f"{n},x\n" for n in range(100, 150)))
    for n in range(100, 150):
        world.say(str(n), "x")
    result = one(world, "{path: out/a.jsonl}", "SELECT key FROM output")
    assert result.failures == 50
    assert result.samples == tuple(f'{{"key":{n}}}' for n in range(100, 110))


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_check_reads_what_was_written(answered: World, ending: str) -> None:
    """Every format reads back to the rows that went in, hostile text included."""
    hostile = 'x\n"y", \r\u2028=1 😀 \\n\t'
    answered.say('"T-1"', hostile)
    answered.say('"T-2"', "")
    answered.fail('"T-10"', "api_error", "a,b")
    path = f"{{path: out/a.{ending}}}"
    result = "result->>'$'" if ending == "jsonl" else "result"
    sql = (
        f"SELECT o.key FROM output o JOIN results r ON o.key = r.key"  # noqa: S608 - our own words
        f" WHERE o.{result} IS DISTINCT FROM (CASE WHEN r.status = 'succeeded' THEN r.text END)"
        " OR o.status <> r.status OR o.request_hash <> r.request_hash"
        " OR o.stop_reason IS DISTINCT FROM r.stop_reason"
    )
    assert one(answered, path, sql).samples == ()
    assert one(answered, path, "SELECT 1 FROM output").failures == 3


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_typed_keys_and_results_read_back(world: World, ending: str) -> None:
    """Keys keep their type, and structured results stay JSON."""
    world.schema = {"type": "object"}
    world.write("data/in.csv", "id,body\n9,x\n10,x\n")
    world.say("9", '{"label": "high", "n": 1}')
    world.say("10", "cut", "max_tokens")
    sql = "SELECT key + 1 AS next, result->>'label' AS label FROM output ORDER BY key"
    result = one(world, f"{{path: out/a.{ending}}}", sql)
    assert result.samples == ('{"next":10,"label":"high"}', '{"next":11,"label":null}')


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_projection_reads_back_with_its_types(answered: World, ending: str) -> None:
    """A check over a projection sees its columns, as far as the format carries their types."""
    select = "SELECT id, DATE '2024-02-29' AS day, 1.50::DECIMAL(5,2) AS price, NULL::INT AS no"
    outputs = f'{{path: out/a.{ending}, select: "{select} FROM results"}}'
    sql = "SELECT id FROM output WHERE day + 1 <> '2024-03-01' OR price * 2 <> 3 OR no IS NOT NULL"
    assert one(answered, outputs, sql).failures == 0


def test_checks_join_outputs_inputs_and_results(answered: World) -> None:
    """All tables are there: several outputs, the inputs, the results."""
    outputs = '\n  - {path: out/a.jsonl}\n  - {path: out/b.csv, select: "SELECT id FROM results"}'
    result = one(
        answered,
        outputs,
        "SELECT i.body FROM output o JOIN inputs i ON o.key = i.id JOIN output_2 b USING (id)"
        " JOIN results r ON r.key = o.key WHERE r.output_tokens = 10 AND i.id = 'T-10'",
    )
    assert result.samples == ('{"body":"ten"}',)


def test_checks_of_one_file_per_item(answered: World) -> None:
    """There the output is a table of paths and contents."""
    result = one(
        answered, '{path: "out/{{ key }}.md"}', "SELECT * FROM output WHERE path LIKE '%10%'"
    )
    assert result.samples == ('{"path":"out/T-10.md","content":"answer 10\\n"}',)


def test_a_broken_check_does_not_stop_the_others(answered: World) -> None:
    """Each mistake is a problem at its place; what can be evaluated is."""
    results, problems = check(
        answered,
        "{path: out/a.jsonl}",
        "SELECT nope FROM output",
        "SELECT key FROM output",
        "SELECT key::INT FROM output",
        "DELETE FROM output",
    )
    assert [(result.name, result.failures) for result in results] == [("check 1", 3)]
    assert [(p.code, p.where.line if p.where else None) for p in problems] == [
        ("bad-sql", 11),
        ("bad-sql", 13),
        ("bad-sql", 14),
    ]
    assert "checks.sql" in problems[0].summary


def test_the_tables_are_gone_afterwards(answered: World) -> None:
    """Neither a check's tables nor the results outlive the block."""
    check(answered, "{path: out/a.jsonl}", "SELECT 1 FROM output")
    names = {row[0] for row in answered.engine.rows("SELECT view_name FROM duckdb_views()")}
    tables = {row[0] for row in answered.engine.rows("SELECT table_name FROM duckdb_tables()")}
    assert not (names | tables) & {
        "output",
        "results",
        "inputs",
        "batchspec_rows",
        "batchspec_judged",
    }


def test_a_severity_comes_from_the_spec(answered: World) -> None:
    """A warning stays a warning."""
    loaded = answered.load(
        "outputs: {path: out/a.jsonl}\n"
        "checks: [{name: soft, sql: SELECT 1 FROM output, severity: warn}]\n"
    )
    with answered.results(loaded) as opened:
        written, _ = write_output(answered.engine, opened, answered.job(loaded))
        assert written is not None
        (result,), _ = run_checks(answered.engine, loaded, [written], opened.sources.table)
    assert result.severity == "warn"
