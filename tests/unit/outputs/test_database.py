"""A DuckDB database as an output: compared by its content, for its bytes differ every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from batchspec.errors import Refused
from batchspec.outputs.checks import run_checks
from batchspec.outputs.database import content_digest
from batchspec.outputs.manifest import read_manifest, verify_output
from batchspec.outputs.writers import write_output

World = Any
"""The folder's conftest has it; test folders are no packages to import it from."""
OUTPUT = "outputs: {path: out/a.duckdb}\n"
HOSTILE = "a\n'b\" \\ 😀 =1+1"


def rows(path: Path, sql: str = "SELECT key, result FROM demo") -> list[Any]:
    """Return what a reader of the database sees."""
    with duckdb.connect(str(path), read_only=True) as database:
        return database.execute(sql).fetchall()


def release(world: World) -> None:
    """Close the databases that stay open for checks until the engine closes."""
    names = "SELECT database_name FROM duckdb_databases() WHERE database_name LIKE 'batchspec_%'"
    for (name,) in list(world.engine.rows(names)):
        world.engine.execute(f"DETACH {name}")


def test_the_table_has_the_rows(answered: World) -> None:
    """One table, named for the spec, with typed columns; hostile text as it is."""
    answered.say('"T-1"', HOSTILE)
    written, problems = answered.run(OUTPUT)
    assert problems == ()
    path = answered.root / "out/a.duckdb"
    assert rows(path) == [("T-1", HOSTILE), ("T-10", "answer 10"), ("T-2", "answer 2")]
    assert rows(path, "SELECT table_name FROM duckdb_tables()") == [("demo",)]
    assert (written.rows, written.changed) == (3, True)
    assert not list((answered.root / "out").glob(".*"))


def test_rows_stand_in_the_order_of_the_other_formats(answered: World) -> None:
    """A projection without ORDER BY is sorted by its columns, as in every other format."""
    select = "SELECT -length(result) AS n, key, result FROM results"
    _, problems = answered.run(f'outputs: {{path: out/a.duckdb, select: "{select}"}}\n')
    assert problems == ()
    found = rows(answered.root / "out/a.duckdb", "FROM demo")
    assert [key for _, key, _ in found] == ["T-10", "T-1", "T-2"]


def test_equal_content_is_not_written_again(answered: World) -> None:
    """The digest is of the content, so a second run leaves the file and the manifest alone."""
    first, _ = answered.run(OUTPUT)
    path = answered.root / "out/a.duckdb"
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    again, _ = answered.run(OUTPUT)
    assert (again.changed, again.digest) == (False, first.digest)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    path.unlink()
    third, _ = answered.run(OUTPUT)
    assert third.digest == first.digest
    answered.say('"T-2"', "new")
    fourth, _ = answered.run(OUTPUT)
    assert fourth.changed
    assert rows(path)[2] == ("T-2", "new")


def test_a_projection_keeps_its_types(answered: World) -> None:
    """What SQL gives is what the table has, and checks read it back."""
    select = "SELECT id, DATE '2026-11-23' AS day, 1.50::DECIMAL(5,2) AS price, [1, 2] AS list"
    loaded = answered.load(
        f'outputs: {{path: out/a.duckdb, select: "{select} FROM results"}}\n'
        "checks: [{range: {column: day, min: '2026-11-24'}}, {row_count: {min: 3, max: 3}}]\n"
    )
    with answered.results(loaded) as opened:
        written, problems = write_output(answered.engine, opened, answered.job(loaded))
        assert written is not None, problems
        table = opened.sources.table
        found, problems = run_checks(answered.engine, loaded, [written], table)
    assert problems == ()
    assert [result.verdict for result in found] == ["error", "pass"]
    assert found[0].failures == 3
    types = rows(answered.root / "out/a.duckdb", "SELECT typeof(COLUMNS(*)) FROM demo LIMIT 1")
    assert types == [("VARCHAR", "DATE", "DECIMAL(5,2)", "INTEGER[]")]


def test_nothing_foreign_is_replaced(answered: World) -> None:
    """Neither another database nor one of ours that somebody added a table to."""
    path = answered.root / "out/a.duckdb"
    answered.write("out/a.duckdb", "not ours")
    with pytest.raises(Refused, match="was not written by batchspec"):
        answered.run(OUTPUT)
    path.unlink()
    answered.run(OUTPUT)
    release(answered)
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE TABLE mine AS SELECT 1 AS one")
    answered.say('"T-2"', "new")
    with pytest.raises(Refused, match=r"holds tables that batchspec did not write \(mine\)"):
        answered.run(OUTPUT)
    assert rows(path, "SELECT one FROM mine") == [(1,)]


def test_verify_compares_the_content(answered: World) -> None:
    """The manifest's digest is that of the content, which damage changes."""
    answered.run(OUTPUT)
    path = answered.root / "out/a.duckdb"
    manifest = read_manifest(answered.root / "out/a.duckdb.manifest.json")
    assert manifest is not None
    content = content_digest(answered.engine, path)
    assert content is not None
    assert (content.sha256, content.rows) == (manifest.output.sha256, manifest.output.rows)

    def digest(file: Path) -> str | None:
        found = content_digest(answered.engine, file)
        return None if found is None else found.sha256

    assert verify_output(answered.root, "out/a.duckdb", digest_of=digest) == ()
    path.write_bytes(b"torn")
    (complaint,) = verify_output(answered.root, "out/a.duckdb", digest_of=digest)
    assert not complaint.stale


def test_numbers_that_json_does_not_have_stand_in_a_database(answered: World) -> None:
    """NaN inside a list is no mistake here, unlike in JSON, and a second run finds it again."""
    select = "SELECT key, ['nan'::DOUBLE, 1] AS list FROM results"
    tail = f'outputs: {{path: out/a.duckdb, select: "{select}"}}\n'
    written, problems = answered.run(tail)
    assert problems == ()
    assert str(rows(answered.root / "out/a.duckdb", "SELECT list FROM demo")[0][0]) == "[nan, 1.0]"
    again, _ = answered.run(tail)
    assert (again.changed, again.digest) == (False, written.digest)
