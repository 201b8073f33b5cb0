"""Built-in checks, each compared with SQL written by hand."""

# ruff: noqa: S608 - the names in this SQL are the tests' own.

from __future__ import annotations

import json
from typing import Any

import pytest

from batchspec.outputs.checks import run_checks
from batchspec.outputs.preflight import output_problems
from batchspec.outputs.verdict import CheckResult
from batchspec.outputs.writers import write_output
from batchspec.problems import Problem

World = Any
"""The folder's conftest has it; test folders are no packages to import it from."""
LABELS = {
    "A": ("high", "high"),
    "B": ("high", "low"),
    "C": ("low", "low"),
    "D": ("low", ""),
    "E": ("it's", "high"),
}
"""What is answered, and what should have been; the key, quotes and gaps included."""


@pytest.fixture
def labelled(world: World) -> World:
    """Return a project with labels, scores, days and one item of each bad status."""
    world.schema = {"type": "object"}
    lines = [f"{key},x,{expected}" for key, (_, expected) in LABELS.items()]
    lines += ["F,x,high", "G,x,low", "H,x,low"]
    world.write("data/in.csv", "id,body,expected\n" + "\n".join(lines) + "\n")
    world.write("data/known.csv", "label,rank\nhigh,1\nlow,2\n")
    for number, (key, (label, _)) in enumerate(LABELS.items()):
        answer = {"label": label, "score": number / 4, "day": f"2026-11-{number + 10}", "n": number}
        world.say(f'"{key}"', json.dumps(answer | {"none": None}))
    world.say('"F"', "", "refusal")
    world.say('"G"', '{"la', "max_tokens")
    world.say('"H"', "not json")
    return world


def evaluate(
    world: World, check: str, outputs: str = "{path: out/a.jsonl}", more: str = ""
) -> tuple[tuple[CheckResult, ...], tuple[Problem, ...]]:
    """Write the outputs of a spec and run its only check."""
    loaded = world.load(f"{more}outputs: {outputs}\nchecks: [{check}]\n")
    with world.results(loaded) as opened:
        written = []
        for number in range(len(loaded.spec.outputs)):
            one, problems = write_output(world.engine, opened, world.job(loaded, number))
            assert one is not None, problems
            written.append(one)
        return run_checks(world.engine, loaded, written, opened.sources.table)


def keys(result: CheckResult) -> list[str]:
    """Return the keys of the rows that a check shows."""
    return [json.loads(sample)["key"] for sample in result.samples]


ANSWERED = ", where: status = 'succeeded'"
LABEL = "(result->>'$.label')"
BY_HAND = [
    ("{not_null: result}", "result IS NULL"),
    ("{not_null: [key, result.label]}", f"key IS NULL OR {LABEL} IS NULL"),
    ("{not_null: result.none" + ANSWERED + "}", "status = 'succeeded'"),
    ("{not_null: stop_reason}", "stop_reason IS NULL"),
    ("{not_null: KEY}", "false"),
    (
        "{unique: result.label}",
        f"{LABEL} IN (SELECT {LABEL} FROM output GROUP BY 1 HAVING count(*) > 1)",
    ),
    ("{unique: key}", "false"),
    ("{unique: [key, result.label]}", "false"),
    (
        "{unique: [status, result.label]" + ANSWERED + "}",
        f"status = 'succeeded' AND {LABEL} IN ('high', 'low')",
    ),
    (
        "{accepted_values: {column: result.label, values: [high, low]}}",
        f"{LABEL} NOT IN ('high', 'low')",
    ),
    (
        '{accepted_values: {column: result.label, values: [high, low, "it\'s"]}}',
        "false",
    ),
    ("{accepted_values: {column: result.n, values: [0, 1, 2]}}", "(result->'n')::INT IN (3, 4)"),
    ("{accepted_values: {column: status, values: [succeeded]}}", "status <> 'succeeded'"),
    (
        '{matches: {column: result.label, regex: "^[a-z]+$"}}',
        f"NOT regexp_matches({LABEL}, '^[a-z]+$')",
    ),
    ("{matches: {column: key, regex: '[A-D]'}}", "key > 'D'"),
    (
        "{range: {column: result.score, min: 0.25, max: 0.75}}",
        "(result->>'$.score')::DOUBLE NOT BETWEEN 0.25 AND 0.75",
    ),
    ("{range: {column: result.score, min: 0}}", "false"),
    ("{range: {column: result.label, max: 9}}", f"{LABEL} IS NOT NULL"),
    (
        "{range: {column: result.day, min: '2026-11-11', max: '2026-11-13'}}",
        "(result->>'$.day')::DATE NOT BETWEEN DATE '2026-11-11' AND DATE '2026-11-13'",
    ),
    (
        "{relationships: {column: result.label, to: data/known.csv, field: label}}",
        f"{LABEL} NOT IN (SELECT label FROM 'data/known.csv')",
    ),
    ("{relationships: {column: key, to: inputs, field: id}}", "false"),
]


@pytest.mark.parametrize(("check", "condition"), BY_HAND, ids=[row[0] for row in BY_HAND])
def test_a_check_finds_what_sql_by_hand_finds(labelled: World, check: str, condition: str) -> None:
    """The same rows, in the same order, and as many of them."""
    (found,), problems = evaluate(labelled, check)
    assert problems == ()
    sql = json.dumps(f"SELECT * FROM output WHERE {condition}")
    (by_hand,), problems = evaluate(labelled, f"{{name: by hand, sql: {sql}}}")
    assert problems == ()
    assert (found.failures, found.samples) == (by_hand.failures, by_hand.samples)
    assert found.verdict == ("error" if by_hand.failures else "pass")


RATES = [
    ("max_failed", "status <> 'succeeded'", 3),
    ("max_refused", "status = 'refused'", 1),
    ("max_truncated", "status = 'truncated'", 1),
    ("max_invalid", "status = 'invalid'", 1),
]


@pytest.mark.parametrize(("kind", "condition", "rows"), RATES)
def test_a_rate_is_the_part_of_the_items(
    labelled: World, kind: str, condition: str, rows: int
) -> None:
    """A rate at its limit passes, one item above it fails; SQL by hand counts the same items."""
    (at,), _ = evaluate(labelled, f"{{{kind}: {rows / 8}}}")
    assert (at.verdict, at.failures) == ("pass", rows)
    (above,), _ = evaluate(labelled, f"{{{kind}: {rows / 8 - 0.001}}}")
    assert (above.verdict, above.failures) == ("error", rows)
    sql = f"SELECT key FROM results WHERE {condition}"
    (by_hand,), _ = evaluate(labelled, f"{{name: by hand, sql: {json.dumps(sql)}}}")
    assert keys(above) == keys(by_hand)
    assert f"{rows} of 8 items" in above.detail


def test_kept_invalid_answers_are_not_failed(labelled: World) -> None:
    """With on_invalid: keep, an invalid answer is one that was wanted."""
    more = "response: {schema: {type: object, properties: {}, additionalProperties: false}"
    (found,), _ = evaluate(labelled, "{max_failed: 0}", more=f"{more}, on_invalid: keep}}\n")
    assert keys(found) == ["F", "G"]


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ("min: 8, max: 8", "pass"),
        ("min: 9", "error"),
        ("max: 7", "error"),
        ("equals: inputs", "pass"),
        ("equals: output_2", "error"),
        ("min: 1, equals: output_2", "error"),
    ],
)
def test_rows_are_counted(labelled: World, limits: str, verdict: str) -> None:
    """Bounds belong to the range; another table may say how many there must be."""
    outputs = '\n  - {path: out/a.jsonl}\n  - {path: out/b.csv, select: "SELECT 1 AS one"}'
    (found,), problems = evaluate(labelled, f"{{row_count: {{{limits}}}}}", outputs)
    assert problems == ()
    assert found.verdict == verdict
    assert found.detail.startswith("output has 8 rows; expected: ")


def test_where_and_table_choose_the_rows(labelled: World) -> None:
    """Any table of the check can be looked at, and a condition leaves rows out."""
    (found,), _ = evaluate(
        labelled, "{row_count: {min: 9}, table: results, where: \"status <> 'refused'\"}"
    )
    assert found.detail == "results has 7 rows; expected: at least 9"
    assert found.name == "row_count of results"


def test_agreement_is_accuracy_precision_and_recall(labelled: World) -> None:
    """Every figure is what SQL by hand gives; rows without a reference label are left out."""
    check = "{agreement: {column: result.label, reference: expected, min: 0.3}}"
    (found,), problems = evaluate(labelled, check)
    assert problems == ()
    evaluation = found.evaluation
    assert evaluation is not None
    engine = labelled.engine
    engine.execute(
        "CREATE TABLE pairs AS SELECT * FROM (VALUES ('high','high'), ('high','low'),"
        " ('low','low'), ('it''s','high'), (NULL,'high'), (NULL,'low'), (NULL,'low'))"
        " t(got, expected)"
    )
    by_hand = engine.one("SELECT count(*), count(*) FILTER (got = expected) FROM pairs")
    assert (evaluation.compared, evaluation.agreed) == by_hand == (7, 2)
    for score in evaluation.labels:
        expected = engine.one(
            "SELECT count(*) FILTER (got = ? AND expected = ?) /"
            " nullif(count(*) FILTER (got = ?), 0),"
            " count(*) FILTER (got = ? AND expected = ?) /"
            " nullif(count(*) FILTER (expected = ?), 0)"
            " FROM pairs",
            (score.label,) * 6,
        )
        assert (score.precision, score.recall) == expected
    assert [score.label for score in evaluation.labels] == ["high", "it's", "low"]
    table = engine.rows("SELECT expected, got, count(*) FROM pairs GROUP BY ALL ORDER BY ALL")
    assert evaluation.confusion == tuple(table)
    assert (found.verdict, found.failures, keys(found)) == ("error", 5, ["B", "E", "F", "G", "H"])
    assert json.loads(found.samples[0])["expected"] == "low"
    assert found.detail == "2 of 7 rows agree with expected, 28.57 %; at least 30 % must"


def test_agreement_with_a_column_of_the_output(labelled: World) -> None:
    """A projection may hold both sides; the limit itself is enough."""
    select = json.dumps("SELECT result->>'label' AS label, expected FROM results WHERE key < 'D'")
    (found,), problems = evaluate(
        labelled,
        "{agreement: {column: label, reference: expected, min: 0.6666}}",
        f"{{path: out/a.csv, select: {select}}}",
    )
    assert problems == ()
    assert (found.verdict, found.failures) == ("pass", 1)


def test_nothing_to_compare_is_a_failure(labelled: World) -> None:
    """An evaluation without a single reference label must not look like a success."""
    (found,), _ = evaluate(
        labelled,
        "{agreement: {column: result.label, reference: expected, min: 0}, where: key = 'D'}",
    )
    assert found.verdict == "error"
    assert "nothing was compared" in found.detail


def test_composite_keys_are_matched(world: World) -> None:
    """Answers and inputs are matched by a whole key, whatever its types are."""
    world.schema = {"type": "object"}
    world.write("data/in.csv", "id,part,body,expected\nA,1,x,a\nA,2,x,b\n")
    world.say('["A",1]', '{"label": "a"}')
    world.say('["A",2]', '{"label": "a"}')
    world.write("specs/demo.yaml", "")
    head = (
        "version: 1\nname: demo\ninputs: {table: data/in.csv, key: [id, part]}\n"
        'model: claude-haiku-4-5\nmax_tokens: 16\nprompt: {user: "{{ body }}"}\n'
    )
    check = "{agreement: {column: result.label, reference: expected, min: 1}}"
    select = json.dumps("SELECT id, part, result FROM results")
    for outputs in ("{path: out/a.jsonl}", f"{{path: out/b.parquet, select: {select}}}"):
        loaded = world.load(f"outputs: {outputs}\nchecks: [{check}]\n", head)
        with world.results(loaded) as opened:
            written, _ = write_output(world.engine, opened, world.job(loaded))
            assert written is not None
            table = opened.sources.table
            (found,), problems = run_checks(world.engine, loaded, [written], table)
        assert problems == ()
        assert found.evaluation is not None
        assert (found.evaluation.compared, found.evaluation.agreed) == (2, 1)


MISTAKES = [
    ("{not_null: result.label.}", "{path: out/a.csv}", "check-column"),
    ("{not_null: lable}", "{path: out/a.jsonl}", "check-column"),
    ("{not_null: key.part}", "{path: out/a.jsonl}", "check-column"),
    ("{unique: key, table: output_2}", "{path: out/a.jsonl}", "bad-sql"),
    (
        "{unique: key, where: 'true) DELETE FROM output WHERE (true'}",
        "{path: out/a.jsonl}",
        "bad-sql",
    ),
    ("{unique: key, where: nope > 1}", "{path: out/a.jsonl}", "bad-sql"),
    ("{matches: {column: key, regex: '('}}", "{path: out/a.jsonl}", "bad-sql"),
    ("{relationships: {column: key, to: nowhere, field: id}}", "{path: out/a.jsonl}", "bad-sql"),
    (
        "{relationships: {column: key, to: ../../etc/passwd, field: id}}",
        "{path: out/a.jsonl}",
        "bad-sql",
    ),
    (
        "{relationships: {column: key, to: inputs, field: ID_}}",
        "{path: out/a.jsonl}",
        "check-column",
    ),
    ("{row_count: {equals: nowhere}}", "{path: out/a.jsonl}", "bad-sql"),
    (
        "{agreement: {column: result, reference: gold, min: 1}}",
        "{path: out/a.jsonl}",
        "check-column",
    ),
    (
        "{agreement: {column: one, reference: expected, min: 1}}",
        '{path: out/a.jsonl, select: "SELECT 1 AS one FROM results"}',
        "check-key",
    ),
]


@pytest.mark.parametrize(("check", "outputs", "code"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_found_before_anything_is_asked(
    labelled: World, check: str, outputs: str, code: str | None
) -> None:
    """The same problem comes from binding against no rows and from the run itself."""
    loaded = labelled.load(f"outputs: {outputs}\nchecks: [{check}]\n")
    with labelled.results(loaded) as opened:
        table = opened.sources.table
    early = output_problems(labelled.engine, labelled.root, loaded, table, labelled.form)
    results, late = evaluate(labelled, check, outputs)
    assert [problem.code for problem in early] == ([] if code is None else [code])
    assert early == late
    assert bool(results) == (code is None)


def test_a_column_that_is_nearly_right_is_named(labelled: World) -> None:
    """The message says which column was probably meant."""
    _, (problem,) = evaluate(labelled, "{not_null: statuses}")
    assert problem.message().count("status") > 1
    assert "Did you mean status?" in problem.detail
