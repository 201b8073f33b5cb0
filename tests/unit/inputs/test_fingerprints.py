from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchspec.inputs.columns import Column, quote_identifier
from batchspec.inputs.engine import Engine
from batchspec.inputs.fingerprints import is_key_type, key_json, row_digest

SLOW_FIXTURE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@pytest.fixture(scope="module")
def engine(shared: Engine) -> Engine:
    """Return one engine for all tests here."""
    return shared


def only(engine: Engine, expression: str, relation: str) -> Any:
    """Return the value of an expression over a relation of one row."""
    return engine.one(f"SELECT {expression} FROM {relation}")[0]  # noqa: S608 - a test's own SQL


def digest_of(engine: Engine, query: str) -> bytes:
    """Return the row digest of a query's only row."""
    result: bytes = only(engine, row_digest(engine.names(query)), f"({query})")
    return result


def key_of(engine: Engine, query: str) -> str | None:
    """Return the key of a query's only row, all columns being the key."""
    result: str | None = only(engine, key_json(engine.names(query)), f"({query})")
    return result


@given(texts=st.lists(TEXTS, min_size=1, max_size=10))
@SLOW_FIXTURE
def test_text_keys_are_canonical_json(engine: Engine, texts: list[str]) -> None:
    """Every text, control characters included, is written as RFC 8785 says."""
    engine.register("t", pa.table({"k": texts}))
    column = Column(name="k", type="VARCHAR")
    for text, key in engine.rows(f"FROM t SELECT k, {key_json([column])}"):
        assert key.encode() == rfc8785.dumps(text)


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("SELECT 'T-17' AS a", '"T-17"'),
        ("SELECT 17 AS a", "17"),
        ("SELECT -5::TINYINT AS a", "-5"),
        ("SELECT 170141183460469231731687303715884105727 AS a", str(2**127 - 1)),
        ("SELECT true AS a", "true"),
        ("SELECT DATE '2026-11-23' AS a", '"2026-11-23"'),
        ("SELECT TIMESTAMP '2026-11-23 10:00:00' AS a", '"2026-11-23 10:00:00"'),
        ("SELECT TIMESTAMPTZ '2026-11-23 10:00:00+02' AS a", '"2026-11-23 08:00:00+00"'),
        ("SELECT TIME '10:00:00' AS a", '"10:00:00"'),
        ("SELECT 1.50::DECIMAL(9,2) AS a", '"1.50"'),
        (
            "SELECT '6a2f41a3-c54c-4ce8-a2d2-0324e1c32e22'::UUID AS a",
            '"6a2f41a3-c54c-4ce8-a2d2-0324e1c32e22"',
        ),
        ("SELECT 'x\"y'::ENUM('x\"y') AS a", '"x\\"y"'),
        ("SELECT 'a' AS a, 1 AS b", '["a",1]'),
        ("SELECT 1 AS a, 'a' AS b", '[1,"a"]'),
        ("SELECT NULL::VARCHAR AS a", None),
        ("SELECT 'a' AS a, NULL::INTEGER AS b", None),
        ("SELECT '' AS a", '""'),
    ],
)
def test_keys_keep_their_type(engine: Engine, query: str, key: str | None) -> None:
    """Numbers and booleans stay what they are, the rest is text, several columns are a list."""
    assert key_of(engine, query) == key
    if key is not None:
        json.loads(key)


@pytest.mark.parametrize(
    "kind",
    [
        "DOUBLE",
        "FLOAT",
        "BLOB",
        "INTERVAL",
        "JSON",
        "VARCHAR[]",
        "STRUCT(a INTEGER)",
        "BIT",
        "MAP(VARCHAR, INTEGER)",
        '"NULL"',
        "UNION(a INTEGER)",
        "VARIANT",
        "ENUM('a')[]",
    ],
)
def test_some_types_cannot_be_keys(kind: str) -> None:
    """Types whose equal values may look different, and nested ones, are refused."""
    assert not is_key_type(kind)
    with pytest.raises(ValueError, match="cannot name an item"):
        key_json([Column(name="a", type=kind)])


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("SELECT 'a|b' AS x, 'c' AS y", "SELECT 'a' AS x, 'b|c' AS y"),
        ("SELECT 'ab' AS x, 'c' AS y", "SELECT 'a' AS x, 'bc' AS y"),
        ("SELECT '1:a' AS x, '' AS y", "SELECT '1' AS x, 'a' AS y"),
        ("SELECT '' AS x", "SELECT NULL::VARCHAR AS x"),
        ("SELECT '-1:' AS x", "SELECT NULL::VARCHAR AS x"),
        ("SELECT NULL::VARCHAR AS x, 'a' AS y", "SELECT 'a' AS x, NULL::VARCHAR AS y"),
        ("SELECT 1 AS x", "SELECT 1 AS y"),
        ("SELECT 1 AS x", "SELECT '1' AS x"),
        ("SELECT 1 AS x", "SELECT 1 AS x, 2 AS y"),
        ("SELECT ['a', 'b'] AS x", "SELECT ['a, b'] AS x"),
        ("SELECT ['NULL'] AS x", "SELECT [NULL]::VARCHAR[] AS x"),
        ("SELECT {'a': 'x'} AS x", "SELECT {'a': NULL::VARCHAR} AS x"),
        ("SELECT {'a': 1, 'b': 2} AS x", "SELECT {'a': 2, 'b': 1} AS x"),
        ("SELECT '\\x41'::BLOB AS x", "SELECT '\\x42'::BLOB AS x"),
        ("SELECT '\\x5Cx41'::BLOB AS x", "SELECT '\\x41'::BLOB AS x"),
        ("SELECT 0.0::DOUBLE AS x", "SELECT '-0'::DOUBLE AS x"),
        ("SELECT 0.1::DOUBLE AS x", "SELECT 0.1::DOUBLE + 1e-17 + 2e-17 AS x"),
        ("SELECT ' ' AS x", "SELECT '' AS x"),
        ("SELECT 'é' AS x", "SELECT 'e' || chr(769) AS x"),
    ],
)
def test_different_rows_have_different_digests(engine: Engine, left: str, right: str) -> None:
    """Shifting text between columns, NULL against empty, names, types and nesting all count."""
    assert digest_of(engine, left) != digest_of(engine, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("SELECT 1 AS x, 'a' AS y", "SELECT 'a' AS y, 1 AS x"),
        ("SELECT 'a' AS \"é\", 'b' AS e", "SELECT 'b' AS e, 'a' AS \"é\""),
    ],
)
def test_the_order_of_columns_does_not_count(engine: Engine, left: str, right: str) -> None:
    """Reordered columns are the same row."""
    assert digest_of(engine, left) == digest_of(engine, right)


def test_the_digest_is_pinned(engine: Engine) -> None:
    """A new version of batchspec, DuckDB or Python must not make every row look changed."""
    query = "SELECT 1 AS id, 'é' AS \"it's\", NULL::VARCHAR AS n, [1, NULL] AS l, 1.5::DOUBLE AS d"
    assert digest_of(engine, query).hex() == "58f0ace8be0d5760032bd2eb99b0280d"


_ROWS = st.lists(
    st.tuples(st.one_of(st.none(), TEXTS), st.one_of(st.none(), st.integers(-9, 9)), TEXTS),
    min_size=2,
    max_size=12,
)


@given(rows=_ROWS)
@SLOW_FIXTURE
def test_digests_are_equal_exactly_when_rows_are(
    engine: Engine, rows: list[tuple[Any, ...]]
) -> None:
    """Among random rows no two different ones meet, and equal ones always do."""
    columns = {f"c{number}": [row[number] for row in rows] for number in range(3)}
    types = [pa.string(), pa.int64(), pa.string()]
    arrays = [pa.array(values, kind) for values, kind in zip(columns.values(), types, strict=True)]
    engine.register("t", pa.table(arrays, names=list(columns)))
    shown = ", ".join(quote_identifier(name) for name in columns)
    found = {
        row[:3]: row[3]
        for row in engine.rows(f"FROM t SELECT {shown}, {row_digest(engine.names('FROM t'))}")
    }
    assert len(set(found.values())) == len(set(rows))


def test_digests_do_not_depend_on_threads(root: Path, tmp_path: Path) -> None:
    """One thread and two give the same digests."""
    seen = set()
    for threads in (1, 2):
        with Engine.open(root=root, temp=tmp_path / "tmp", threads=threads) as engine:
            engine.execute("CREATE TABLE t AS SELECT i, 'x' || i AS s FROM range(5000) r(i)")
            digest = row_digest(engine.names("FROM t"))
            seen.add(only(engine, f"bit_xor(md5_number(hex({digest})))::VARCHAR", "t"))
    assert len(seen) == 1
