"""`outputs.select`: what it sees, how its rows are ordered, and how its mistakes are told."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchspec.outputs.rows import Usage
from batchspec.problems import Severity

World = Any
"""The folder's conftest has it; test folders are no packages to import it from."""


def select(sql: str, path: str = "out/s.jsonl") -> str:
    """Return the end of a spec with a projection."""
    return f"outputs:\n  path: {path}\n  select: {json.dumps(sql)}\n"


def lines(world: World, sql: str) -> list[dict[str, Any]]:
    """Write a projection and return its rows."""
    written, problems = world.run(select(sql))
    assert written is not None, [problem.message() for problem in problems]
    return [json.loads(line) for line in (world.root / written.path).read_bytes().splitlines()]


def problem(world: World, sql: str) -> str:
    """Write a projection that must fail and return its only problem on one line."""
    written, (found,) = world.run(select(sql))
    assert written is None
    assert not (world.root / "out/s.jsonl").exists()
    text: str = found.message()
    return text


def test_results_have_every_promised_column(answered: World) -> None:
    """The columns of the contract, and the inputs under their names and as one struct."""
    answered.say(
        '"T-1"',
        "one",
        usage=Usage(input_tokens=1, output_tokens=2, cache_write_5m=3, cache_read=4),
    )
    (row,) = lines(answered, "SELECT * FROM results WHERE key = 'T-1'")
    assert row == {
        "key": "T-1",
        "key_json": '"T-1"',
        "result": "one",
        "content": [{"type": "text", "text": "one"}],
        "text": "one",
        "status": "succeeded",
        "stop_reason": "end_turn",
        "error": None,
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_write_5m": 3,
        "cache_write_1h": 0,
        "cache_read": 4,
        "thinking_tokens": 0,
        "cost_usd": 0.000007575,
        "model": "claude-haiku-4-5-20251001",
        "request_hash": "2bfa760bd9e4309000e8ea189a3063b0b57ce50c0cf0ec3bb2bac3faad123a30",
        "attempt": 1,
        "batch_id": "msgbatch_1",
        "message_id": "msg_1",
        "ended_at": "2026-11-23 04:05:06",
        "id": "T-1",
        "body": "one",
        "input": {"id": "T-1", "body": "one"},
    }


def test_input_columns_named_like_ours(answered: World) -> None:
    """Of two columns with one name ours stays; the author's is in ``input`` and in ``inputs``."""
    answered.write("data/in.csv", "id,body,Status,input\nT-1,x,theirs,deep\n")
    assert lines(answered, "SELECT status, input.Status AS s, input.input AS i FROM results") == [
        {"status": "succeeded", "s": "theirs", "i": "deep"}
    ]
    assert lines(answered, "SELECT Status FROM inputs") == [{"Status": "theirs"}]


def test_results_join_with_inputs_and_files(answered: World) -> None:
    """A projection may read the project's files beside its own tables."""
    answered.write("data/more.csv", "id,team\nT-2,blue\nT-10,red\n")
    sql = "SELECT id, team, text FROM results JOIN 'data/more.csv' USING (id)"
    assert lines(answered, sql) == [
        {"id": "T-10", "team": "red", "text": "answer 10"},
        {"id": "T-2", "team": "blue", "text": "answer 2"},
    ]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT length(text) AS n, id FROM results", ["T-1", "T-2", "T-10"]),
        ("SELECT id FROM results ORDER BY id DESC", ["T-2", "T-10", "T-1"]),
        ("SELECT id FROM results ORDER BY length(text) DESC", ["T-10", "T-1", "T-2"]),
        ("SELECT id FROM results ORDER BY ALL DESC", ["T-2", "T-10", "T-1"]),
        ("SELECT id FROM results ORDER BY length(text) LIMIT 1", ["T-1"]),
        ("SELECT id FROM results ORDER BY length(text) LIMIT 1 OFFSET 1; -- done", ["T-2"]),
        (
            "SELECT id FROM results UNION ALL SELECT 'z' ORDER BY 1 DESC",
            ["z", "T-2", "T-10", "T-1"],
        ),
        ("WITH r AS (FROM results) SELECT id FROM r ORDER BY body", ["T-1", "T-10", "T-2"]),
    ],
)
def test_rows_have_one_order(answered: World, sql: str, expected: list[str]) -> None:
    """Sorted as the author says, ties and the rest by all columns from left to right."""
    assert [row["id"] for row in lines(answered, sql)] == expected


def test_many_rows_keep_the_authors_order(answered: World) -> None:
    """More rows than one vector or thread holds still come in the order that was asked for."""
    sql = "SELECT (n * 7919) % 100000 AS k FROM range(100000) t(n) ORDER BY k DESC"
    assert [row["k"] for row in lines(answered, sql)] == list(range(99_999, -1, -1))


def test_parsed_results_are_json(world: World) -> None:
    """With a schema, ``result`` is JSON that SQL can look into."""
    world.schema = {"type": "object"}
    world.write("data/in.csv", "id,body\na,x\n")
    world.say('"a"', '{"label": "high", "n": [1, 2]}')
    assert lines(world, "SELECT result->>'label' AS label, result->'n' AS n FROM results") == [
        {"label": "high", "n": [1, 2]}
    ]


def test_a_projection_as_parquet_keeps_types(answered: World) -> None:
    """Types survive, and no column is required only because no NULL was seen."""
    sql = "SELECT id, attempt, cost_usd, ended_at, error, [1, 2] AS list FROM results"
    written, _ = answered.run(select(sql, "out/s.parquet"))
    schema = pq.read_schema(answered.root / written.path)
    assert schema.field("cost_usd").type == pa.decimal128(26, 12)
    assert schema.field("attempt").type == pa.uint16()
    assert schema.field("ended_at").type == pa.timestamp("us")
    assert all(field.nullable for field in schema)


def test_a_projection_as_csv_guards_its_header(answered: World) -> None:
    """A column's name is a cell like any other."""
    written, _ = answered.run(select('SELECT 1 AS "=x,y", NULL AS n FROM results', "out/s.csv"))
    data = (answered.root / written.path).read_bytes()
    assert data == b'"\'=x,y",n\n1,\n1,\n1,\n'


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "SELECT id,\n  lable FROM results",
            "specs/demo.yaml:11:11 bad-sql: the SQL of outputs.select is refused. Referenced col",
        ),
        ("SELECT id FROM result", "bad-sql: the SQL of outputs.select is refused."),
        ("SELECT id FROM", "bad-sql"),
        ("SELECT 1; SELECT 2", "bad-sql"),
        ("COPY results TO 'out/x.csv'", "bad-sql"),
        ("DROP TABLE known", "bad-sql"),
        ("SELECT * FROM '/etc/passwd'", "bad-sql"),
        ("SELECT text::INTEGER AS n FROM results", "bad-sql"),
        ("SELECT id, id AS ID FROM results", "duplicate-column: outputs.select has two columns"),
        ("SELECT [r.result, 'NaN'::DOUBLE] AS n FROM results r", "bad-sql"),
    ],
)
def test_mistakes_are_problems(answered: World, sql: str, message: str) -> None:
    """Each mistake is told at the projection's place, and nothing is written."""
    assert message in problem(answered, sql)
    assert answered.files() == {}


def test_a_projection_in_a_file_of_its_own(answered: World) -> None:
    """The SQL may stand in a file; a mistake is told there, with line and column."""
    tail = "outputs: {path: out/s.jsonl, select: {file: sql/rows.sql}}\n"
    answered.write("sql/rows.sql", "SELECT id\nFROM results\n")
    written, problems = answered.run(tail)
    assert (written.rows, problems) == (3, ())
    answered.write("sql/rows.sql", "SELECT id,\n  nope\nFROM results\n")
    _, (found,) = answered.run(tail)
    assert found.where is not None
    assert (found.where.file, found.where.line, found.where.column) == ("sql/rows.sql", 2, 3)


def test_what_may_change_each_time_is_a_warning(answered: World) -> None:
    """A projection with a random value is written, and told."""
    written, (found,) = answered.run(select("SELECT id, random() AS r FROM results"))
    assert written.rows == 3
    assert (found.code, found.severity) == ("unstable-sql", Severity.WARNING)


@pytest.mark.parametrize(
    ("sql", "path", "told"),
    [
        ("SELECT key, result.label FROM results", "out/s.csv", "the column label of"),
        (
            "SELECT key, result.label AS l, result.score, result.tags FROM results",
            "out/s.csv",
            "the columns l and score of",
        ),
        ("SELECT key, r.result.label AS l FROM results r", "out/s.parquet", "the column l of"),
        ("SELECT key, result.label FROM results", "out/s.duckdb", "the column label of"),
        ("SELECT key, result.label FROM results", "out/s.jsonl", None),
        ("SELECT key, result.tags, r.result FROM results r", "out/s.csv", None),
        ("SELECT key, result->>'label' AS l, answer.label FROM results", "out/s.csv", None),
    ],
)
def test_a_text_that_keeps_its_quotes_is_told(
    answered: World, sql: str, path: str, told: str | None
) -> None:
    """A dotted field of the answer is JSON; formats that are not get a warning."""
    tags = {"type": "array", "items": {"type": "string"}}
    answered.schema = {"type": "object", "properties": {"label": {"type": "string"}, "tags": tags}}
    answered.say('"T-1"', '{"label": "low", "tags": []}')
    written, problems = answered.run(select(sql, path))
    assert written.rows == 3
    found = [(one.code, one.severity) for one in problems]
    assert found == [("json-text", Severity.WARNING)] * (told is not None)
    assert told is None or told in problems[0].summary


def test_a_failed_projection_leaves_the_old_output(answered: World) -> None:
    """An error in the middle of writing leaves what stood there, and no part."""
    answered.run(select("SELECT id FROM results"))
    before = answered.files()
    written, _ = answered.run(select("SELECT id, error(text) AS e FROM results"))
    assert written is None
    assert answered.files() == before
