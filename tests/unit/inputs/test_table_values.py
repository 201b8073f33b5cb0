from __future__ import annotations

import datetime as dt
import gzip
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

if TYPE_CHECKING:
    from tests.unit.inputs.conftest import Values, Write

CSV = "id,n,ok,d,t,x\n1,1.5,true,2026-01-02,2026-01-02 03:04:05,a\n2,,false,,,\n"


def test_a_csv_file_has_typed_columns(write: Write, values: Values) -> None:
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
        ("a.csv.gz", gzip.compress(b"id,x\n1,a\n", mtime=0), {"id": 1, "x": "a"}),
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
        ("a.jsonl.gz", gzip.compress(b'{"id": 1}\n', mtime=0), {"id": 1}),
    ],
)
def test_files_are_read_as_written(
    write: Write,
    values: Values,
    name: str,
    content: str | bytes,
    expected: dict[str, Any],
) -> None:
    """Quotes, separators, packed files and JSON values arrive as their author wrote them."""
    write({name: content})
    assert values(f"inputs: {{table: {name}, key: id}}") == [expected]


def test_a_late_value_changes_the_type_of_its_whole_column(write: Write, values: Values) -> None:
    """Types do not depend on a sample: one text in line 30,000 makes the column text."""
    lines = "".join(f"{number},{number}\n" for number in range(30_000))
    write({"a.csv": f"id,x\n{lines}30000,abc\n"})
    rows = values("inputs: {table: a.csv, key: id}")
    assert len(rows) == 30_001
    assert {type(row["x"]) for row in rows} == {str}


def test_a_late_field_of_json_is_not_lost(write: Write, values: Values) -> None:
    """A field that only the last of many records has is a column."""
    lines = "".join(f'{{"id": {number}}}\n' for number in range(30_000))
    write({"a.jsonl": f'{lines}{{"id": 30000, "late": "x"}}\n'})
    assert {row["late"] for row in values("inputs: {table: a.jsonl, key: id}")} == {None, "x"}


def test_several_files_are_joined_by_column_name(write: Write, values: Values) -> None:
    """Files with their columns in another order do not get mixed up."""
    write({"d/a.csv": "id,x\n1,a\n", "d/b.csv": "x,id,y\nb,2,c\n", "d/.c.csv": "id\n3\n"})
    rows = values("inputs: {table: 'd/*.csv', key: id}")
    assert rows == [{"id": 1, "x": "a", "y": None}, {"id": 2, "x": "b", "y": "c"}]


def test_parquet_values_are_plain_python(root: Path, values: Values) -> None:
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


def test_sql_values_are_plain_python(values: Values) -> None:
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


def test_the_types_of_columns_can_be_given(write: Write, values: Values) -> None:
    """What is text stays as it is written, and a later row cannot change it."""
    write({"a.csv": "id,zip,stars\n007,01.10,5\n8,true,4\n"})
    given = "inputs: {table: a.csv, key: id, types: {id: text, zip: text, stars: integer}}"
    assert values(given) == [
        {"id": "007", "zip": "01.10", "stars": 5},
        {"id": "8", "zip": "true", "stars": 4},
    ]
    assert [row["stars"] for row in values("inputs: {table: a.csv, key: id, types: text}")] == [
        "5",
        "4",
    ]
