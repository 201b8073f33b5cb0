from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import InputTable, Row, open_inputs, row_select
from batchspec.problems import Problem, Severity
from batchspec.spec.project import LoadedSpec

Opened = tuple[InputTable | None, tuple[Problem, ...]]
Open = Callable[[str], Opened]
Load = Callable[[str], LoadedSpec]
Write = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
def values(engine: Engine, open_text: Open) -> Callable[[str], list[dict[str, Any]]]:
    """Return a function that gives the rows of a spec's inputs, sorted by key."""

    def reader(text: str) -> list[dict[str, Any]]:
        return [row.values for row in rows_of(engine, open_text(text))]

    return reader


def rows_of(engine: Engine, opened: Opened) -> list[Row]:
    """Return the rows of inputs that must have been opened, sorted by key."""
    table, problems = opened
    assert problems == ()
    assert table is not None
    return sorted(row_select(engine, table, None))


def codes(opened: Opened) -> list[str]:
    """Return the codes of inputs that must have been refused."""
    table, problems = opened
    assert table is None
    return [problem.code for problem in problems]


CSV = "id,n,ok,d,t,x\n1,1.5,true,2026-01-02,2026-01-02 03:04:05,a\n2,,false,,,\n"


def test_a_csv_file_has_typed_columns(
    write: Write, values: Callable[[str], list[dict[str, Any]]]
) -> None:
    """Numbers, booleans and ISO dates get their types; an empty field is NULL."""
    write({"a.csv": CSV})
    first, second = values("inputs: {table: a.csv, key: id}")
    assert first == {
        "id": 1,
        "n": 1.5,
        "ok": True,
        "d": dt.date(2026, 1, 2),
        "t": dt.datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - the file names no zone
        "x": "a",
    }
    assert second == {"id": 2, "n": None, "ok": False, "d": None, "t": None, "x": None}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", 'id,x\n1,"a\nb ""c"", d"\n', {"id": 1, "x": 'a\nb "c", d'}),
        ("a.csv", b"\xef\xbb\xbfid,x\r\n1,a\r\n", {"id": 1, "x": "a"}),
        ("a.csv", "id;x,y;z\n1;a,b;c\n", {"id": 1, "x,y": "a,b", "z": "c"}),
        ("a.csv", "id|x\n1|a,b\n", {"id": 1, "x": "a,b"}),
        ("a.csv", 'id,"a;b;c"\n1,x\n', {"id": 1, "a;b;c": "x"}),
        ("a.csv", "id\n1\n", {"id": 1}),
        ("a.csv", 'id,x\n1,""\n', {"id": 1, "x": ""}),
        ("a.csv", "id,x\n1,NULL\n", {"id": 1, "x": "NULL"}),
        ("a.csv", "id,x\n1,007\n", {"id": 1, "x": "007"}),
        ("a.csv", "id,x\n1,01/02/2026\n", {"id": 1, "x": "01/02/2026"}),
        ("a.csv", "id,x\n1,2026-01-02T03:04:05Z\n", {"id": 1, "x": "2026-01-02T03:04:05Z"}),
        ("a.csv", "id,x\n1,# no comment\n", {"id": 1, "x": "# no comment"}),
        ("a.csv", "id,x\n1,it's\n", {"id": 1, "x": "it's"}),
        ("a.tsv", "id\tx\n1\ta,b\n", {"id": 1, "x": "a,b"}),
        ("a.csv.gz", gzip.compress(b"id,x\n1,a\n"), {"id": 1, "x": "a"}),
        ("a.csv.zst", zstandard.compress(b"id,x\n1,a\n"), {"id": 1, "x": "a"}),
        ("a.jsonl", '{"id": 1, "x": "2026-01-02"}\n', {"id": 1, "x": "2026-01-02"}),
        ("a.ndjson", '{"id": 1, "x": null}\n', {"id": 1, "x": None}),
        ("a.json", '[{"id": 1, "x": "12:00:00"}]', {"id": 1, "x": "12:00:00"}),
        (
            "a.jsonl",
            '{"id": 1, "u": "6a2f41a3-c54c-4ce8-a2d2-0324e1c32e22", "t": "2026-01-02T03:04Z"}\n',
            {"id": 1, "u": "6a2f41a3-c54c-4ce8-a2d2-0324e1c32e22", "t": "2026-01-02T03:04Z"},
        ),
        (
            "a.jsonl",
            '{"id": 1, "o": {"date": "2026-01-02", "l": [1, 2]}, "e": []}\n',
            {"id": 1, "o": {"date": "2026-01-02", "l": [1, 2]}, "e": []},
        ),
        ("a.jsonl.gz", gzip.compress(b'{"id": 1}\n'), {"id": 1}),
    ],
)
def test_files_are_read_as_written(
    write: Write,
    values: Callable[[str], list[dict[str, Any]]],
    name: str,
    content: str | bytes,
    expected: dict[str, Any],
) -> None:
    """Quotes, separators, packed files and JSON values arrive as their author wrote them."""
    write({name: content})
    assert values(f"inputs: {{table: {name}, key: id}}") == [expected]


def test_a_late_value_changes_the_type_of_its_whole_column(
    write: Write, values: Callable[[str], list[dict[str, Any]]]
) -> None:
    """Types do not depend on a sample: one text in line 30,000 makes the column text."""
    lines = "".join(f"{number},{number}\n" for number in range(30_000))
    write({"a.csv": f"id,x\n{lines}30000,abc\n"})
    rows = values("inputs: {table: a.csv, key: id}")
    assert len(rows) == 30_001
    assert {type(row["x"]) for row in rows} == {str}


def test_a_late_field_of_json_is_not_lost(
    write: Write, values: Callable[[str], list[dict[str, Any]]]
) -> None:
    """A field that only the last of many records has is a column."""
    lines = "".join(f'{{"id": {number}}}\n' for number in range(30_000))
    write({"a.jsonl": f'{lines}{{"id": 30000, "late": "x"}}\n'})
    assert {row["late"] for row in values("inputs: {table: a.jsonl, key: id}")} == {None, "x"}


def test_several_files_are_joined_by_column_name(
    write: Write, values: Callable[[str], list[dict[str, Any]]]
) -> None:
    """Files with their columns in another order do not get mixed up."""
    write({"d/a.csv": "id,x\n1,a\n", "d/b.csv": "x,id,y\nb,2,c\n", "d/.c.csv": "id\n3\n"})
    rows = values("inputs: {table: 'd/*.csv', key: id}")
    assert rows == [{"id": 1, "x": "a", "y": None}, {"id": 2, "x": "b", "y": "c"}]


def test_parquet_values_are_plain_python(
    root: Path, values: Callable[[str], list[dict[str, Any]]]
) -> None:
    """Zoned timestamps are UTC, decimals exact, nested values lists and dicts, without pytz."""
    zoned = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    table = pa.table(
        {
            "id": [1],
            "z": pa.array([zoned], pa.timestamp("us", "Europe/Berlin")),
            "p": pa.array([Decimal("1.10")], pa.decimal128(9, 2)),
            "n": [{"a": [1, None], "z": zoned}],
            "b": [b"\x00\xff"],
        }
    )
    pq.write_table(table, root / "a.parquet")
    (row,) = values("inputs: {table: a.parquet, key: id}")
    assert row["z"] == dt.datetime(2026, 1, 2, 1, 4, 5, tzinfo=dt.UTC)
    assert row["z"].tzinfo is dt.UTC
    assert str(row["p"]) == "1.10"
    assert row["n"]["a"] == [1, None]
    assert row["n"]["z"].isoformat() == "2026-01-02T01:04:05"
    assert row["b"] == b"\x00\xff"


def test_sql_values_are_plain_python(values: Callable[[str], list[dict[str, Any]]]) -> None:
    """UUIDs and intervals are text, JSON is parsed, maps are dicts."""
    query = (
        "SELECT 1 AS id, '6a2f41a3-c54c-4ce8-a2d2-0324e1c32e22'::UUID AS u, INTERVAL 2 DAY AS i,"
        " '{\"a\": [1.5]}'::JSON AS j, NULL::JSON AS nj, MAP {'k': 1} AS m, 170141183460469231 AS h"
    )
    assert values(f"inputs:\n  key: id\n  sql: >-\n    {query}\n") == [
        {
            "id": 1,
            "u": "6a2f41a3-c54c-4ce8-a2d2-0324e1c32e22",
            "i": "2 days",
            "j": {"a": [1.5]},
            "nj": None,
            "m": {"k": 1},
            "h": 170141183460469231,
        }
    ]


def test_the_index_names_every_item_once(write: Write, engine: Engine, open_text: Open) -> None:
    """The index holds key, digest and native key columns, equal to what rows carry later."""
    write({"a.csv": "id,lang,x\n2,en,a\n10,de,b\n"})
    opened = open_text("inputs: {table: a.csv, key: [lang, id]}")
    rows = rows_of(engine, opened)
    table = opened[0]
    assert table is not None
    assert (table.count, table.key, table.sources, table.certain) == (
        2,
        ("lang", "id"),
        ("a.csv",),
        True,
    )
    index = list(engine.rows(f"FROM {table.index} ORDER BY k0, k1"))
    assert index == [(row.key_json, row.digest, *json.loads(row.key_json)) for row in rows]
    assert [row.key_json for row in rows] == ['["de",10]', '["en",2]']


def test_only_wanted_rows_are_selected(write: Write, engine: Engine, open_text: Open) -> None:
    """`row_select` gives the rows whose keys a relation names."""
    write({"a.csv": "id,x\n1,a\n2,b\n3,c\n"})
    table, _ = open_text("inputs: {table: a.csv, key: id}")
    assert table is not None
    engine.register("wanted", pa.table({"key_json": ["2", "9"]}))
    assert [row.values for row in row_select(engine, table, "wanted")] == [{"id": 2, "x": "b"}]


def test_a_spec_reads_the_output_of_another(
    root: Path, engine: Engine, write: Write, load: Load
) -> None:
    """An upstream spec is a table under its own name, from a file or from a relation."""
    write({"out/first.jsonl": '{"key": "a", "result": "x"}\n'})
    engine.execute("CREATE TABLE made AS SELECT 'a' AS key, 7 AS n")
    loaded = load(
        "inputs:\n  key: k\n  sql: SELECT f.key AS k, result, n FROM first-spec f JOIN second USING"
        " (key)\n".replace("first-spec", '"first-spec"')
    )
    upstream: dict[str, Path | str] = {"first-spec": Path("out/first.jsonl"), "second": "made"}
    opened = open_inputs(engine, root, loaded, upstream)
    assert [row.values for row in rows_of(engine, opened)] == [{"k": "a", "result": "x", "n": 7}]
    assert opened[0] is not None
    assert not opened[0].certain


SAMPLE = "inputs: {{table: {file}, key: id, sample: {{rows: 5, seed: {seed}}}}}"


def test_a_sample_depends_on_keys_and_seed_alone(
    write: Write, values: Callable[[str], list[dict[str, Any]]]
) -> None:
    """Reordered rows give the same sample, another seed another one."""
    lines = [f"{number},x{number}\n" for number in range(100)]
    write({"a.csv": "id,x\n" + "".join(lines), "b.csv": "id,x\n" + "".join(reversed(lines))})
    first = values(SAMPLE.format(file="a.csv", seed=1))
    assert len(first) == 5
    assert values(SAMPLE.format(file="b.csv", seed=1)) == first
    assert values(SAMPLE.format(file="a.csv", seed=2)) != first


def test_a_sample_larger_than_the_inputs_is_all_of_them(write: Write, open_text: Open) -> None:
    """Asking for more rows than there are gives the rows there are."""
    write({"a.csv": "id\n1\n2\n"})
    table, problems = open_text(SAMPLE.format(file="a.csv", seed=1))
    assert table is not None
    assert (table.count, problems) == (2, ())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("inputs: {table: a.csv, key: nope}", ["unknown-key-column"]),
        ("inputs: {table: a.csv, key: [ID, n]}", ["unknown-key-column", "key-type"]),
        ("inputs: {table: a.csv, key: n}", ["key-type"]),
        ("inputs: {table: a.csv, key: g}", ["key-not-unique"]),
        ("inputs: {table: a.csv, key: e}", ["null-key", "key-not-unique"]),
        ("inputs: {table: none.csv, key: id}", ["no-input-files"]),
        ("inputs: {table: 'none/*.csv', key: id}", ["no-input-files"]),
        ("inputs: {table: '../a.csv', key: id}", ["input-file-refused"]),
        ("inputs: {table: /etc/passwd, key: id}", ["input-file-refused"]),
        ("inputs: {table: .git/a.csv, key: id}", ["input-file-refused"]),
        ("inputs: {table: a.xlsx, key: id}", ["table-format"]),
        ("inputs: {table: 'a.*', key: id}", ["table-format"]),
        ("inputs: {table: link.csv, key: id}", ["input-file-refused"]),
        ("inputs: {table: empty.csv, key: id}", ["empty-table"]),
        ("inputs: {table: empty.jsonl, key: id}", ["empty-table"]),
        ("inputs: {table: twice.csv, key: id}", ["duplicate-column"]),
        ("inputs: {table: ragged.csv, key: id}", ["inputs-unreadable"]),
        ("inputs: {table: short.csv, key: id}", ["inputs-unreadable"]),
        ("inputs: {table: late.csv, key: id}", ["inputs-unreadable"]),
        ("inputs: {table: latin.csv, key: id}", ["inputs-unreadable"]),
        ("inputs: {table: broken.jsonl, key: id}", ["inputs-unreadable"]),
        ("inputs: {table: broken.csv.gz, key: id}", ["inputs-unreadable"]),
        ("inputs: {table: broken.csv.zst, key: id}", ["inputs-unreadable"]),
        ("inputs: {table: broken.parquet, key: id}", ["inputs-unreadable"]),
        ("inputs: {sql: SELECT 1 AS id; SELECT 2, key: id}", ["bad-sql"]),
        ("inputs: {sql: SELECT nope, key: id}", ["bad-sql"]),
        ("inputs: {sql: 'SELECT 1 AS id, 2 AS id', key: id}", ["duplicate-column"]),
        ("inputs: {sql: 'SELECT 1 AS id, 2 AS ID', key: id}", ["duplicate-column"]),
        ("inputs: {sql: \"SELECT 'x'::INT AS id\", key: id}", ["inputs-unreadable"]),
        ("inputs: {sql: {file: none.sql}, key: id}", ["input-file-refused"]),
        ("inputs: {sql: {file: latin.csv}, key: id}", ["input-file-refused"]),
        ("inputs: {sql: {file: bad.sql}, key: id}", ["bad-sql"]),
        ("inputs: {rows: [{}], key: id}", ["empty-table"]),
        ("inputs: {rows: [{id: 1}, {id: a}], key: id}", ["mixed-types"]),
        ("inputs: {rows: [{id: 1}, {id: 1}], key: id}", ["key-not-unique"]),
    ],
)
def test_unusable_inputs_are_problems(
    write: Write, open_text: Open, text: str, found: list[str]
) -> None:
    """Every way in which inputs can be wrong has its code, and gives no table."""
    root = write(
        {
            "a.csv": "id,n,g,e\n1,1.5,x,\n2,2.5,x,\n3,3.5,y,z\n4,3.5,y,z\n",
            "a.xlsx": "",
            "empty.csv": "",
            "empty.jsonl": "",
            "twice.csv": "id,x,ID\n1,2,3\n",
            "ragged.csv": "id,x\n1,a\n2,b,c\n",
            "short.csv": "id,x\n1,a\n2\n",
            "late.csv": "id,x\n" + "".join(f"{n},a\n" for n in range(30_000)) + "x,a,b\n",
            "latin.csv": b"id,x\n1,\xe9\n",
            "broken.jsonl": '{"id": 1}\n{"id": \n',
            "broken.csv.gz": "not packed",
            "broken.csv.zst": "not packed",
            "broken.parquet": "not parquet",
            "bad.sql": "SELECT 1,\n  nope",
            ".git/a.csv": "id\n1\n",
        }
    )
    (root.parent / "out.csv").write_text("id\n1\n")
    (root / "link.csv").symlink_to(root.parent / "out.csv")
    assert codes(open_text(text)) == found


def test_null_keys_show_their_rows(write: Write, open_text: Open) -> None:
    """Rows without a key are shown by their first columns, at most five."""
    lines = "".join(f",name {number}\n" for number in range(7))
    write({"a.csv": f"id,name\n1,fine\n{lines}"})
    _, (problem,) = open_text("inputs:\n  table: a.csv\n  key: id\n")
    assert problem.summary == "7 rows have no value in the key (id)"
    assert "id = NULL, name = name 0; id = NULL, name = name 1" in problem.detail
    assert "name 5" not in problem.detail
    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == (3, 8)


def test_duplicate_keys_are_named(write: Write, open_text: Open) -> None:
    """Shared keys are named with their counts, at most five, control characters made harmless."""
    write({"a.csv": "id\n" + "".join(f"{number % 7}\n" for number in range(21))})
    _, (problem,) = open_text("inputs: {table: a.csv, key: id}")
    assert problem.summary == "7 values are not unique in the key (id)"
    assert "Shared: 0 (3 rows), 1 (3 rows), 2 (3 rows), 3 (3 rows), 4 (3 rows), …" in problem.detail


def test_a_near_column_is_suggested(write: Write, open_text: Open) -> None:
    """A misspelled key column names the nearest one and all there are."""
    write({"a.csv": "ticket_id,x\n1,a\n"})
    _, (problem,) = open_text("inputs: {table: a.csv, key: tiket_id}")
    expected = 'Did you mean "ticket_id"? The columns are: ticket_id, x.'
    assert problem.detail == expected


def test_bad_sql_is_placed_in_the_block(open_text: Open) -> None:
    """A mistake in a literal block is reported at its own line and column of the YAML file."""
    _, (problem,) = open_text("inputs:\n  key: id\n  sql: |\n    SELECT 1 AS id,\n      nope\n")
    assert problem.where is not None
    assert (problem.where.file, problem.where.line, problem.where.column) == ("specs/a.yaml", 5, 7)
    assert problem.where.source == "      nope"


def test_bad_sql_is_placed_in_its_file(write: Write, open_text: Open) -> None:
    """A mistake in a file is reported in that file."""
    write({"q/a.sql": "SELECT 1 AS id,\n  nope\n"})
    _, (problem,) = open_text("inputs: {sql: {file: q/a.sql}, key: id}")
    assert problem.where is not None
    assert (problem.where.file, problem.where.line, problem.where.column) == ("q/a.sql", 2, 3)
    assert problem.where.source == "  nope"


def test_empty_inputs_are_a_warning(open_text: Open) -> None:
    """No rows is unusual but can be right."""
    table, problems = open_text("inputs: {sql: SELECT 1 AS id WHERE false, key: id}")
    assert table is not None
    assert table.count == 0
    assert [(problem.code, problem.severity) for problem in problems] == [
        ("empty-inputs", Severity.WARNING)
    ]


def test_unstable_sql_is_a_warning(open_text: Open) -> None:
    """A query that may differ each time is named, and its inputs are not certain."""
    table, problems = open_text("inputs: {sql: 'SELECT 1 AS id, random() AS r', key: id}")
    assert table is not None
    assert not table.certain
    assert [(problem.code, problem.severity) for problem in problems] == [
        ("unstable-sql", Severity.WARNING)
    ]
    assert "random()" in problems[0].summary


def test_the_folder_of_the_project_leaves_no_trace(
    tmp_path: Path, write: Write, engine: Engine, open_text: Open, load: Load
) -> None:
    """The same data in two places have the same keys and digests."""
    files = {"d/a.csv": "id,x\n1,a\n"}
    write(files)
    text = "inputs: {sql: \"FROM read_csv('d/a.csv', filename = true)\", key: [id, filename]}"
    here = rows_of(engine, open_text(text))
    other = tmp_path / "other"
    (other / "d").mkdir(parents=True)
    (other / "d" / "a.csv").write_text(files["d/a.csv"])
    with Engine.open(root=other, temp=tmp_path / "tmp2") as second:
        assert rows_of(second, open_inputs(second, other, load(text), {})) == here
