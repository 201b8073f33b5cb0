"""Values as text: hostile ones come back unchanged, and equal ones are equal bytes."""

# ruff: noqa: S608 - the SQL is the tests' own.
# ruff: noqa: RUF001 - spreadsheets know wide forms, so the cases do.

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchspec.errors import DiskFailure
from batchspec.inputs.engine import AuthorSqlError, Column, Engine
from batchspec.outputs.cells import csv_cell, json_cell, parquet_cell, text_type
from batchspec.outputs.formats import ENDINGS, write_part
from batchspec.outputs.projection import Projection

HOSTILE = [
    "",
    " ",
    "plain",
    "\x01\x02\x1b[31mred\x1b[0m\x7f\x80\x9f",
    "a\nb\r\nc\rd\te\vf\fg\bh",
    "line\u2028separator\u2029paragraph\u0085next",
    '"quoted", comma; semicolon',
    "back\\slash \\u0041 \\n",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＋1",
    "－1",
    "＠a",
    "'=1",
    "=cmd|' /C calc'!A0",
    "</script><script>alert(1)</script>",
    "{{ 7 * 7 }} {% raw %}",
    "emoji 😀👩‍👩‍👧 \U0010ffff",
    "עברית \u202eevil\u202c العربية",
    "e\u0301 é \ufeff\ufffd\ufffe",
    "NULL",
    "null",
    "NaN",
    "1e309",
    "007",
    "x" * 100_000,
    '"' * 50,
    "," * 50,
    "::warning file=a::b",
]
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Yield one engine for all cases."""
    folder = tmp_path_factory.mktemp("cells")
    with Engine.open(root=folder, temp=folder / "tmp") as opened:
        yield opened


def texts(engine: Engine, values: Sequence[str | None], cell: str) -> list[str]:
    """Return the cell of each text, in order."""
    engine.register(
        "t", pa.table({"n": range(len(values)), "x": pa.array(list(values), pa.string())})
    )
    return [row[0] for row in engine.rows(f"SELECT {cell} FROM t ORDER BY n")]


def read_csv(lines: list[str]) -> list[str]:
    """Read one-cell records as any reader of RFC 4180 does."""
    rows = csv.reader(io.StringIO("".join(f"{line}\n" for line in lines), newline=""))
    return [row[0] for row in rows]


def guarded(text: str) -> str:
    """Return what a spreadsheet should see of a text."""
    return f"'{text}" if text[:1] in set("=+-@\t\r\n＝＋－＠") else text


def test_hostile_texts_as_json(engine: Engine) -> None:
    """Every text comes back unchanged, in one line, and unescaped where JSON allows."""
    cells = texts(engine, [*HOSTILE, None], json_cell(Column(name="x", type="VARCHAR")))
    assert [json.loads(cell) for cell in cells] == [*HOSTILE, None]
    assert [orjson.loads(cell) for cell in cells] == [*HOSTILE, None]
    assert not any("\n" in cell or "\r" in cell for cell in cells)
    assert cells[HOSTILE.index("line\u2028separator\u2029paragraph\u0085next")].count("\u2028") == 1


def test_hostile_texts_as_csv(engine: Engine) -> None:
    """Every text comes back from a CSV reader; what looks like a formula is text."""
    cells = texts(engine, HOSTILE, csv_cell(Column(name="x", type="VARCHAR"), alone=True))
    assert read_csv(cells) == [guarded(text) for text in HOSTILE]
    assert cells[0] == '""'


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(values=st.lists(TEXT, min_size=1))
def test_any_text_round_trips(engine: Engine, values: list[str]) -> None:
    """JSON keeps every text; CSV keeps every text but NUL and the mark before a formula."""
    column = Column(name="x", type="VARCHAR")
    assert [json.loads(cell) for cell in texts(engine, values, json_cell(column))] == values
    cells = texts(engine, values, csv_cell(column, alone=True))
    assert read_csv(cells) == [guarded(text.replace("\0", "\ufffd")) for text in values]


VALUES: list[tuple[str, str, Any, str]] = [
    ("NULL::INTEGER", "INTEGER", None, ""),
    ("-5", "INTEGER", -5, "-5"),
    ("18446744073709551615::UBIGINT", "UBIGINT", 2**64 - 1, "18446744073709551615"),
    ("170141183460469231731687303715884105727::HUGEINT", "HUGEINT", 2**127 - 1, str(2**127 - 1)),
    ("1.50::DECIMAL(5,2)", "DECIMAL(5,2)", 1.5, "1.50"),
    ("0.1::FLOAT", "FLOAT", 0.1, "0.1"),
    ("0.1::DOUBLE", "DOUBLE", 0.1, "0.1"),
    ("1e300::DOUBLE", "DOUBLE", 1e300, "1e+300"),
    ("'NaN'::DOUBLE", "DOUBLE", None, "nan"),
    ("'-inf'::FLOAT", "FLOAT", None, "-inf"),
    ("true", "BOOLEAN", True, "true"),
    ("'\\x00\\xFF'::BLOB", "BLOB", "00ff", "00ff"),
    ("DATE '2024-02-29'", "DATE", "2024-02-29", "2024-02-29"),
    ("TIME '23:59:59.5'", "TIME", "23:59:59.5", "23:59:59.5"),
    (
        "TIMESTAMPTZ '2024-02-29 23:00:00-05'",
        "TIMESTAMP WITH TIME ZONE",
        "2024-03-01 04:00:00+00",
        "2024-03-01 04:00:00+00",
    ),
    ("INTERVAL 3 DAY", "INTERVAL", "3 days", "3 days"),
    ("'b'::ENUM('a','b')", "ENUM('a', 'b')", "b", "b"),
    ("'=b'::ENUM('a','=b')", "ENUM('a', '=b')", "=b", "'=b"),
    ('\'{"b": 1, "a":\n2}\'::JSON', "JSON", {"b": 1, "a": 2}, '"{""b"":1,""a"":2}"'),
    ("'-5'::JSON", "JSON", -5, "-5"),
    (
        "{'a': 1, 'b': [NULL, 'é']}",
        "STRUCT(a INTEGER, b VARCHAR[])",
        {"a": 1, "b": [None, "é"]},
        '"{""a"":1,""b"":[null,""é""]}"',
    ),
    ("MAP {'k': 1.5::DOUBLE}", "MAP(VARCHAR, DOUBLE)", {"k": 1.5}, '"{""k"":1.5}"'),
    ("[]::INTEGER[]", "INTEGER[]", [], "[]"),
    ("NULL", '"NULL"', None, ""),
]


@pytest.mark.parametrize(("sql", "duckdb_type", "as_json", "as_csv"), VALUES)
def test_values_of_every_type(
    engine: Engine, sql: str, duckdb_type: str, as_json: Any, as_csv: str
) -> None:
    """Each type has one text in JSON and one in CSV."""
    (column,) = engine.names(f"SELECT {sql} AS x")
    assert column.type == duckdb_type
    json_found, csv_found = engine.one(
        f"SELECT {json_cell(column)}, {csv_cell(column)} FROM (SELECT {sql} AS x)"
    )
    assert json.loads(json_found) == as_json
    assert csv_found == as_csv


@pytest.mark.parametrize(
    "sql",
    [
        "{'a': 'NaN'::DOUBLE}",
        "[1.0::FLOAT, '-inf'::FLOAT]",
        "['\"a\\\\\"'::JSON, to_json('NaN'::DOUBLE)]",
        "to_json('inf'::DOUBLE)",
    ],
)
def test_nested_numbers_that_json_lacks_are_refused(engine: Engine, sql: str) -> None:
    """NaN inside a nested value is an error with the column's name, never broken JSON."""
    (column,) = engine.names(f"SELECT {sql} AS x")
    for cell in (json_cell(column), csv_cell(column)):
        with pytest.raises(AuthorSqlError, match="A value of x holds NaN or an infinity"):
            engine.one(f"SELECT {cell} FROM (SELECT {sql} AS x)")


def test_texts_about_nan_are_texts(engine: Engine) -> None:
    """The words stand in strings as any others do, whatever is around them."""
    sql = """'{"a":"x,NaN,\\"y","b":["Infinity"],"c":"\\\\"}'::JSON"""
    column = Column(name="x", type="JSON")
    (found,) = engine.one(f"SELECT {json_cell(column)} FROM (SELECT {sql} AS x)")
    assert json.loads(found) == {"a": 'x,NaN,"y', "b": ["Infinity"], "c": "\\"}


@pytest.mark.parametrize(
    ("duckdb_type", "expected"),
    [
        ("HUGEINT", '"x"::DECIMAL(38,0)'),
        ("UUID", '"x"::VARCHAR'),
        ("INTERVAL", '"x"::VARCHAR'),
        ("STRUCT(a ENUM('x'))", 'to_json("x")'),
        ("STRUCT(a INTEGER)", '"x"'),
        ("TIMESTAMP WITH TIME ZONE", '"x"'),
    ],
)
def test_parquet_types(duckdb_type: str, expected: str) -> None:
    """What Parquet or its readers would round, or not know, is text."""
    assert parquet_cell(Column(name="x", type=duckdb_type)) == expected


@pytest.mark.parametrize(
    ("duckdb_type", "expected"),
    [
        ("BIGINT", "BIGINT"),
        ("DECIMAL(5,2)", "DECIMAL(5,2)"),
        ("BLOB", "VARCHAR"),
        ("ENUM('a')", "VARCHAR"),
        ("JSON", "JSON"),
        ("INTEGER[]", "JSON"),
        ("TIMESTAMP_NS", "TIMESTAMP_NS"),
        ("INTERVAL", "VARCHAR"),
    ],
)
def test_types_that_text_is_read_back_as(duckdb_type: str, expected: str) -> None:
    """Checks see the types that went in, as far as text carries them."""
    assert text_type(Column(name="x", type=duckdb_type)) == expected


def test_a_csv_of_one_column_has_no_blank_lines(engine: Engine) -> None:
    """A NULL alone in its record would be a blank line, which readers skip."""
    column = Column(name="x", type="VARCHAR")
    assert texts(engine, [None], csv_cell(column, alone=True)) == ['""']
    assert texts(engine, [None], csv_cell(column)) == [""]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_disk_that_refuses_is_no_mistake_of_the_author(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, ending: str
) -> None:
    """Whoever writes the file, DuckDB or we: a failure of the disk is told as one."""
    projection = Projection(
        columns=(Column(name="x", type="INTEGER"),), sql="SELECT 1 AS x", order="x"
    )
    gone = tmp_path_factory.getbasetemp() / "cells0" / "gone" / f"a{ending}"
    with pytest.raises(DiskFailure, match=f"Could not write a{ending}"):
        write_part(engine, projection, ending, gone)


def test_files_of_hostile_rows_do_not_depend_on_threads(tmp_path: Path) -> None:
    """One and two threads, little and much memory: the same bytes, in every format."""
    found: dict[str, set[str]] = {}
    for threads, memory in ((1, 300), (2, 512), (2, 1000)):
        folder = tmp_path / f"{threads}-{memory}"
        folder.mkdir()
        with Engine.open(
            root=folder, temp=folder / "tmp", threads=threads, memory_mb=memory
        ) as opened:
            opened.execute(
                "CREATE TABLE t AS SELECT (i * 7919) % 60000 AS key, repeat('é\n', i % 9) AS text,"
                " CASE WHEN i % 3 = 0 THEN i / 7 END AS number FROM range(60000) r(i)"
            )
            columns = opened.names("FROM t")
            projection = Projection(columns=columns, sql="FROM t", order="key")
            for ending in ENDINGS:
                part = write_part(opened, projection, ending, folder / f"a{ending}")
                assert part.rows == 60_000
                found.setdefault(ending, set()).add(part.sha256)
    assert {ending: len(digests) for ending, digests in found.items()} == dict.fromkeys(ENDINGS, 1)
