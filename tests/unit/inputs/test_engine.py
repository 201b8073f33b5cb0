from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from batchspec.errors import EnvironmentFailure
from batchspec.inputs.columns import Column, quote_identifier, quote_literal
from batchspec.inputs.engine import AuthorSqlError, Engine

ENDLESS = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 1"


@pytest.fixture(scope="module")
def outside(shared_root: Path) -> Path:
    """Return a file beside the project folder, and a link to it inside."""
    secret = shared_root.parent / "secret.csv"
    secret.write_text("id\ncanary\n")
    (shared_root / "link.csv").symlink_to(secret)
    (shared_root.parent / f"{shared_root.name}x").mkdir()
    (shared_root.parent / f"{shared_root.name}x" / "near.csv").write_text("id\ncanary\n")
    return secret


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_csv('{outside}')",
        "FROM read_text('{outside}')",
        "FROM read_blob('{outside}')",
        "FROM read_text(['{outside}'])",
        "FROM '{outside}'",
        "FROM '{root}/../secret.csv'",
        "FROM '{root}/link.csv'",
        "FROM '{root}x/near.csv'",
        "FROM glob('{parent}/*')",
        "FROM sniff_csv('{outside}')",
        "FROM read_text('/proc/self/environ')",
        "FROM read_text('~/.profile')",
        "FROM 'https://example.com/a.csv'",
        "FROM 's3://bucket/a.parquet'",
        "COPY (SELECT 1) TO '{parent}/stolen.csv'",
        "EXPORT DATABASE '{parent}/stolen'",
        "ATTACH '{parent}/other.db'",
        "ATTACH ':memory:' AS elsewhere; COPY (SELECT 1) TO '{parent}/stolen.csv'",
        "INSTALL httpfs",
        "LOAD '{parent}/evil.duckdb_extension'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET lock_configuration = false",
        "SET threads = 1",
        "PRAGMA enable_profiling = 'json'",
        "SET log_query_path = '{parent}/log'",
        "CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
        "SELECT getenv('HOME')",
    ],
)
def test_the_engine_reaches_nothing_outside(shared: Engine, outside: Path, sql: str) -> None:
    """Whatever SQL is run, even ours, the files outside the folders and the settings stay shut."""
    parent, root = str(outside.parent), str(shared.root)
    sql = sql.replace("{outside}", str(outside).replace("'", "''"))
    sql = sql.replace("{parent}", parent).replace("{root}", root.replace("'", "''"))
    with pytest.raises(AuthorSqlError):
        shared.execute(sql)
    assert not list(outside.parent.glob("stolen*"))


def test_python_variables_are_no_tables(shared: Engine) -> None:
    """A table name never means a variable of the program."""
    secret = pa.table({"id": [1]})
    with pytest.raises(AuthorSqlError):
        shared.execute("FROM secret")
    assert secret.num_rows == 1


def test_our_own_statements_write_below_the_root_and_the_extra_folders(
    root: Path, tmp_path: Path
) -> None:
    """COPY works inside the allowed folders, as baselines need it."""
    extra = tmp_path / "state"
    extra.mkdir()
    with Engine.open(root=root, extra=(extra,), temp=tmp_path / "tmp") as engine:
        for folder in (root, extra):
            target = quote_literal(str(folder / "a.parquet"))
            engine.execute(f"COPY (SELECT 7 AS n) TO {target}")
            assert list(engine.rows(f"FROM {target}")) == [(7,)]


def test_the_temporary_folder_is_gone_after_closing(root: Path, tmp_path: Path) -> None:
    """Closing leaves nothing behind in the folder for temporary files."""
    with Engine.open(root=root, temp=tmp_path / "tmp") as engine:
        assert list((tmp_path / "tmp").iterdir())
        engine.execute("SELECT 1")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_unusable_temporary_folder_is_a_failure_of_the_environment(
    root: Path, tmp_path: Path
) -> None:
    """A file in the place of the temporary folder is named in the message."""
    (tmp_path / "tmp").write_text("")
    with pytest.raises(EnvironmentFailure, match="cannot be used"):
        Engine.open(root=root, temp=tmp_path / "tmp")


def test_a_stream_survives_other_statements(engine: Engine) -> None:
    """Rows can be read while further statements run."""
    stream = engine.rows("SELECT * FROM range(20000) ORDER BY 1")
    first = next(stream)
    engine.execute("CREATE TABLE t AS SELECT 1 AS a")
    assert engine.one("SELECT a FROM t") == (1,)
    rest = [row[0] for row in stream]
    assert [first[0], *rest] == list(range(20000))


def test_tables_pass_through_arrow(engine: Engine) -> None:
    """What is registered and appended comes back, by column name."""
    engine.register("t", pa.table({"a": list(range(10)), "b": ["x"] * 10}))
    engine.append("t", pa.table({"b": ["y"], "a": [10]}))
    assert list(engine.rows("SELECT a, b FROM t ORDER BY a")) == [
        *((number, "x") for number in range(10)),
        (10, "y"),
    ]


def test_blocks_are_the_rows_in_pieces(shared: Engine) -> None:
    """Each holds so many rows that little time goes into pieces, and none is too large."""
    blocks = list(shared.blocks("SELECT * FROM range(3000) ORDER BY 1"))
    assert [len(block) for block in blocks] == [1024, 1024, 952]
    assert [row for block in blocks for (row,) in block] == list(range(3000))


def test_registering_again_replaces(engine: Engine) -> None:
    """A second table of the same name takes the first one's place."""
    engine.register("t", pa.table({"a": [1]}))
    engine.register("t", pa.table({"z": [2]}))
    assert engine.names("FROM t") == (Column(name="z", type="BIGINT"),)


def test_parameters_are_bound(shared: Engine) -> None:
    """Values travel beside the text of a statement."""
    assert shared.one("SELECT ? || '!', ?", ("it's", 3)) == ("it's!", 3)


def test_one_wants_a_row(shared: Engine) -> None:
    """A query without a row is a bug of ours and says which."""
    with pytest.raises(LookupError, match="no row"):
        shared.one("SELECT 1 WHERE false")


def test_a_query_that_takes_too_long_is_stopped(root: Path, tmp_path: Path) -> None:
    """The timer interrupts a query, and the engine works on."""
    with Engine.open(root=root, temp=tmp_path / "tmp", timeout=0.3) as engine:
        with pytest.raises(AuthorSqlError, match=r"longer than 0\.3 seconds"):
            engine.execute(ENDLESS)
        assert engine.one("SELECT 1") == (1,)
    assert not [thread for thread in threading.enumerate() if "Timer" in thread.name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_query_is_no_bug(shared: Engine, number: int) -> None:
    """A signal that asks the program to stop does so in the middle of a query too."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    former = signal.signal(number, stop)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), number))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            shared.execute("SELECT count(*) FROM range(1000000000000) WHERE range % 7 = 3")
        assert signal.getsignal(number) is stop
    finally:
        timer.join()
        signal.signal(number, former)
    assert shared.one("SELECT 1") == (1,)


def test_too_little_memory_is_a_failure_of_the_environment(root: Path, tmp_path: Path) -> None:
    """An aggregate that cannot spill ends with a hint, not with a crash."""
    with (
        Engine.open(root=root, temp=tmp_path / "tmp", memory_mb=64, threads=1) as engine,
        pytest.raises(EnvironmentFailure) as caught,
    ):
        engine.execute("SELECT string_agg(repeat('x', 1000), '') FROM range(1000000)")
    assert "memory_mb" in caught.value.hint


def test_work_begins_with_less_memory(root: Path, tmp_path: Path) -> None:
    """Where that does not suffice it is done again with all of it, which is there afterwards."""
    limits: list[str] = []

    def limit() -> str:
        return str(engine.one("SELECT current_setting('memory_limit')")[0])

    def work() -> int:
        limits.append(limit())
        if len(limits) == 1:
            engine.execute("SELECT string_agg(repeat('x', 1000), '') FROM range(1000000)")
        return len(limits)

    with Engine.open(root=root, temp=tmp_path / "tmp", memory_mb=100, threads=1) as engine:
        whole = limit()
        assert engine.frugally(work) == 2
        assert engine.frugally(lambda: limit() != whole)
        assert limit() == whole == limits[1] != limits[0]


def test_timestamps_are_utc(shared: Engine) -> None:
    """The session's time zone is UTC whatever the machine's is."""
    text = shared.one("SELECT (TIMESTAMPTZ '2026-01-01 12:00:00+02:00')::VARCHAR")
    assert text == ("2026-01-01 10:00:00+00",)


@pytest.mark.parametrize("name", ["a", 'a"b', "a b", "é", 'x" FROM y; --'])
def test_identifiers_are_quoted(shared: Engine, name: str) -> None:
    """Any text can be a column's name."""
    columns = shared.names(f"SELECT 1 AS {quote_identifier(name)}")
    assert [column.name for column in columns] == [name]


@pytest.mark.parametrize("text", ["", "it's", "a\\'b", "é\n", "'; DROP TABLE t; --"])
def test_literals_are_quoted(shared: Engine, text: str) -> None:
    """Any text can be a literal."""
    assert shared.one(f"SELECT {quote_literal(text)}") == (text,)


def test_a_cast_to_text_gives_the_value_not_the_file(engine: Engine, root: Path) -> None:
    """What DuckDB reads from a CSV file does not depend on how a query uses it."""
    (root / "a.csv").write_text("n\n1.10\n")
    source = f"FROM {quote_literal(str(root / 'a.csv'))}"
    with engine.without_optimizers("statistics_propagation"):
        engine.execute(f"CREATE TABLE t AS SELECT n::VARCHAR AS n {source}")
    engine.execute(f"INSERT INTO t SELECT n::VARCHAR AS n {source}")
    assert list(engine.rows("FROM t")) == [("1.1",), ("1.1",)]
