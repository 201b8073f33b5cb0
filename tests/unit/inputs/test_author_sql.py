from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchspec.inputs.author_files import Edit, apply_edits
from batchspec.inputs.author_sql import AuthorSelect
from batchspec.inputs.engine import AuthorSqlError, Engine

FILES = {
    "data/a.csv": "id,x\n1,a\n2,b\n",
    "data/b.csv": "id,x\n3,c\n",
    "data/named.csv": "id,filename\n1,mine\n",
    "data/n.json": '{"n": 1}\n',
    ".git/c.csv": "id\n1\n",
    "über it's.csv": "id\n9\n",
}


@pytest.fixture(scope="module")
def root(shared_root: Path) -> Path:
    """Return the project folder with the files that queries read."""
    for name, content in FILES.items():
        (shared_root / name).parent.mkdir(exist_ok=True)
        (shared_root / name).write_text(content)
    return shared_root


@pytest.fixture(scope="module")
def engine(root: Path, shared: Engine) -> Engine:
    """Return the engine on that folder."""
    assert shared.root == root.resolve()
    return shared


def run(engine: Engine, sql: str) -> list[tuple[object, ...]]:
    """Return the sorted rows of author SQL."""
    return sorted(engine.rows(engine.select(sql).sql), key=repr)


@pytest.mark.parametrize(
    ("sql", "rows", "read"),
    [
        ("SELECT * FROM 'data/a.csv'", [(1, "a"), (2, "b")], ["data/a.csv"]),
        ('SELECT * FROM "data/b.csv"', [(3, "c")], ["data/b.csv"]),
        ("FROM './data/../data/b.csv'", [(3, "c")], ["data/b.csv"]),
        ("SELECT id FROM 'data/[ab].csv'", [(1,), (2,), (3,)], ["data/a.csv", "data/b.csv"]),
        ("SELECT id FROM read_csv(['data/b.csv'])", [(3,)], ["data/b.csv"]),
        ("SELECT id FROM read_csv($$data/b.csv$$, header = true)", [(3,)], ["data/b.csv"]),
        ("SELECT a.id FROM 'data/a.csv' WHERE id > 1", [(2,)], ["data/a.csv"]),
        ("WITH t AS (FROM 'data/a.csv') SELECT count(*) FROM t", [(2,)], ["data/a.csv"]),
        ("SELECT (SELECT max(id) FROM 'data/a.csv')", [(2,)], ["data/a.csv"]),
        ("SELECT n FROM read_json('data/n.json')", [(1,)], ["data/n.json"]),
        ("SELECT id FROM 'über it''s.csv'", [(9,)], ["über it's.csv"]),
        ("SELECT 1 -- 'data/a.csv'", [(1,)], []),
        ("SELECT 'data/a.csv'", [("data/a.csv",)], []),
        ("SELECT 1;", [(1,)], []),
        ("SELECT 1 ; -- done ;\n/* ; */", [(1,)], []),
        ("SELECT ';' AS a ;", [(";",)], []),
        ("VALUES (1), (2)", [(1,), (2,)], []),
        ("SELECT 1 UNION ALL SELECT 2", [(1,), (2,)], []),
        ("SELECT unnest([1, 2])", [(1,), (2,)], []),
        ("FROM range(2)", [(0,), (1,)], []),
        (
            "SELECT a.id, b.id FROM 'data/a.csv' a JOIN 'data/b.csv' b ON a.id + 1 = b.id",
            [(2, 3)],
            ["data/a.csv", "data/b.csv"],
        ),
        (
            "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t(v, k) PIVOT (sum(v) FOR k IN ('a', 'b'))",
            [(1, 2)],
            [],
        ),
        (
            "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 2) FROM r",
            [(1,), (2,)],
            [],
        ),
    ],
)
def test_queries_run_from_the_project_folder(
    engine: Engine, sql: str, rows: list[tuple[object, ...]], read: list[str]
) -> None:
    """Paths start at the project folder wherever the process stands; the files read are known."""
    assert Path.cwd() != engine.root
    select = engine.select(sql)
    assert run(engine, sql) == rows
    assert list(select.files) == read


def test_the_current_folder_does_not_matter(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the same name in the current folder is not the one that is read."""
    (tmp_path / "elsewhere" / "data").mkdir(parents=True)
    (tmp_path / "elsewhere" / "data" / "b.csv").write_text("id\n666\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(engine, "SELECT id FROM 'data/b.csv'") == [(3,)]
    assert [path.name for path in Path.cwd().iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("", "no statement"),
        ("-- nothing", "no statement"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("SELECT 1; DROP TABLE t", "not a plain SELECT"),
        ("COPY (SELECT 1) TO 'x.csv'", "not a plain SELECT"),
        ("COPY t FROM 'data/a.csv'", "not a plain SELECT"),
        ("EXPORT DATABASE 'x'", "not a plain SELECT"),
        ("CREATE TABLE t AS SELECT 1", "not a plain SELECT"),
        ("CREATE MACRO m() AS 1", "not a plain SELECT"),
        ("INSERT INTO t VALUES (1)", "not a plain SELECT"),
        ("UPDATE t SET a = 1", "not a plain SELECT"),
        ("DELETE FROM t", "not a plain SELECT"),
        ("DROP TABLE t", "not a plain SELECT"),
        ("ATTACH 'x.db'", "not a plain SELECT"),
        ("INSTALL httpfs", "not a plain SELECT"),
        ("LOAD httpfs", "not a plain SELECT"),
        ("SET threads = 1", "not a plain SELECT"),
        ("SET memory_limit = '100GB'", "not a plain SELECT"),
        ("RESET memory_limit", "not a plain SELECT"),
        ("PRAGMA version", "not a plain SELECT"),
        ("CALL pragma_version()", "not a plain SELECT"),
        ("EXPLAIN SELECT 1", "not a plain SELECT"),
        ("EXPLAIN ANALYZE SELECT 1", "not a plain SELECT"),
        ("BEGIN", "not a plain SELECT"),
        ("VACUUM", "not a plain SELECT"),
        ("PREPARE p AS SELECT 1", "not a plain SELECT"),
        ("DESCRIBE SELECT 1", "not queries"),
        ("SUMMARIZE 'data/a.csv'", "not queries"),
        ("SHOW TABLES", "not queries"),
        ("FROM (DESCRIBE SELECT 1)", "not queries"),
        ("WITH x AS (INSERT INTO t VALUES (1) RETURNING *) FROM x", "INSERT"),
        ("WITH x AS (DELETE FROM t RETURNING *) FROM x", "DELETE"),
        ("WITH x AS (UPDATE t SET a = 1 RETURNING *) FROM x", "UPDATE"),
        ("SELECT $1", "Parameters"),
        ("SELECT ?", "Parameters"),
        ("SELECT write_log('x')", "side effects"),
        ("SELECT sleep_ms(1000)", "side effects"),
        ("SELECT nextval('s')", "side effects"),
        ("FROM query('SELECT 1')", "not available"),
        ("FROM query_table('data/a.csv')", "not available"),
        ("FROM enable_logging()", "not available"),
        ("FROM arrow_scan(1, 2, 3)", "not available"),
        ("FROM duckdb_settings()", "not available"),
        ("FROM json_execute_serialized_sql('x')", "not available"),
        ("FROM read_duckdb('x.db')", "not available"),
        ("FROM sniff_csv('data/a.csv')", "not available"),
        ("FROM '/etc/passwd.csv'", "absolute"),
        ("FROM read_text('/etc/passwd')", "absolute"),
        ("FROM read_text(['/etc/passwd'])", "absolute"),
        ("FROM read_text('~/.ssh/id_rsa')", "absolute"),
        ("FROM read_text('C:/secret')", "absolute"),
        ("FROM '../a.csv'", "leads out"),
        ("FROM 'data/../../a.csv'", "leads out"),
        ("FROM read_blob('..')", "leads out"),
        ("FROM 'https://example.com/a.csv'", "not a file"),
        ("FROM read_parquet('s3://bucket/a.parquet')", "not a file"),
        ("FROM read_text('file:///etc/passwd')", "not a file"),
        ("FROM '.git/c.csv'", "never read"),
        ("FROM read_text('.env')", "never read"),
        ("FROM read_text('sub/.env.local')", "never read"),
        ("FROM read_csv('**/*.csv')", "never read"),
        ("FROM '.batchspec/state/x.parquet'", "never read"),
        ("FROM read_text('data/' || 'a.csv')", "written out"),
        ("FROM read_text(['data/a.csv', upper('x')])", "written out"),
        ("FROM 'data/a.csv' t, read_text(t.x)", "written out"),
        ("FROM read_csv()", "written out"),
        ("FROM 'data/none.csv'", "No file matches"),
        ("FROM read_csv('data/*.tsv')", "No file matches"),
        ("SELECT filename FROM 'data/a.csv'", "filename holds an absolute path"),
        ("SELECT a.filename FROM read_csv('data/a.csv') a", "filename holds an absolute path"),
        ("PIVOT 'data/a.csv' ON x", "PIVOT"),
        ("SELECT (", "cannot be parsed"),
        ("SELECT 'open", "cannot be parsed"),
    ],
)
def test_anything_but_one_select_below_the_project_is_refused(
    engine: Engine, sql: str, words: str
) -> None:
    """What writes, escapes, or hides which files it reads never reaches the database."""
    complaint = engine.check_select(sql)
    assert complaint is not None
    assert words in complaint


def test_a_link_is_refused_with_its_name(engine: Engine, root: Path) -> None:
    """A link inside the project that leads out of it is not followed."""
    (root.parent / "out.csv").write_text("id\n1\n")
    (root / "data" / "link.csv").symlink_to(root.parent / "out.csv")
    complaint = engine.check_select("FROM 'data/link.csv'")
    assert (
        complaint == '"data/link.csv" means a file behind a symbolic link, which is not followed.'
    )


def test_a_plain_select_has_no_complaint(engine: Engine) -> None:
    """The check of a good query returns None."""
    assert engine.check_select("SELECT * FROM 'data/a.csv' ORDER BY id") is None


@pytest.mark.parametrize(
    ("sql", "line", "column"),
    [
        ("SELECT nope FROM 'data/a.csv'", 1, 8),
        ("SELECT id,\n       nope\nFROM 'data/a.csv'", 2, 8),
        ("SELECT 'é', 'é',\n 'é', nope FROM 'data/a.csv'", 2, 7),
        ("SELECT * FROM 'data/a.csv' a WHERE a.nope = 1", 1, 36),
        ("SELECT *\nFROM 'data/a.csv' a\nJOIN 'data/b.csv' b ON a.id = b.nope", 3, 31),
        ("SELECT content, nope FROM read_text('data/a.csv')", 1, 17),
        ("SELECT content FROM read_text('data/a.csv') WHERE nope", 1, 51),
        ("SELECT (\nFROM", 2, 1),
        ("SELECT 1\nFROM '../x.csv'", 2, 6),
        ("SELECT 1,\n $1", 2, 2),
    ],
)
def test_mistakes_are_placed_in_the_authors_text(
    engine: Engine, sql: str, line: int, column: int
) -> None:
    """Line and column are those of the text as written, though paths were replaced in it."""
    with pytest.raises(AuthorSqlError) as caught:
        engine.names_of(engine.select(sql))
    assert (caught.value.line, caught.value.column) == (line, column)


def test_a_view_is_made_of_a_query_and_its_mistakes_are_placed(engine: Engine) -> None:
    """`create_view` keeps the author's positions too."""
    engine.create_view("v", engine.select("SELECT id FROM 'data/b.csv'; -- the end"))
    assert engine.one("SELECT id FROM v") == (3,)
    with pytest.raises(AuthorSqlError) as caught:
        engine.create_view("w", engine.select("SELECT\n nope FROM 'data/b.csv'"))
    assert (caught.value.line, caught.value.column) == (2, 2)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        (
            "SELECT id, filename FROM read_csv('data/b.csv', filename = true)",
            [(3, "data/b.csv")],
        ),
        ("SELECT src FROM read_csv('data/b.csv', filename := 'src')", [("data/b.csv",)]),
        ("SELECT id, filename FROM 'data/named.csv'", [(1, "mine")]),
        ("SELECT id FROM read_csv('data/b.csv', filename = false)", [(3,)]),
        (
            "SELECT filename, content FROM read_text('data/b.csv')",
            [("data/b.csv", "id,x\n3,c\n")],
        ),
        ("SELECT t.filename FROM read_blob('data/b.csv') t", [("data/b.csv",)]),
        ("SELECT read_text.filename FROM read_text('data/b.csv')", [("data/b.csv",)]),
        ("FROM glob('data/[ab].csv')", [("data/a.csv",), ("data/b.csv",)]),
        ("FROM glob('none/*.csv')", []),
    ],
)
def test_names_of_files_are_relative(
    engine: Engine, sql: str, rows: list[tuple[object, ...]]
) -> None:
    """The same data look the same on every machine."""
    assert run(engine, sql) == rows


def test_times_of_files_are_not_readable(engine: Engine) -> None:
    """A checkout's modification times would make every row look changed."""
    with pytest.raises(AuthorSqlError, match="last_modified"):
        engine.names_of(engine.select("SELECT last_modified FROM read_text('data/a.csv')"))


@pytest.mark.parametrize(
    ("sql", "unstable"),
    [
        ("SELECT * FROM 'data/a.csv' ORDER BY id LIMIT 1", []),
        ("SELECT string_agg(x, ',' ORDER BY id) FROM 'data/a.csv'", []),
        ("SELECT row_number() OVER (ORDER BY id) FROM 'data/a.csv'", []),
        ("SELECT DISTINCT ON (x) x, id FROM 'data/a.csv' ORDER BY id", []),
        ("SELECT random()", ["random()"]),
        ("SELECT now(), uuid(), random()", ["now()", "uuid()", "random()"]),
        ("SELECT current_date", ["current_date"]),
        ("SELECT * FROM 'data/a.csv' LIMIT 1", ["LIMIT without ORDER BY"]),
        ("(SELECT 1) LIMIT 2", ["LIMIT without ORDER BY"]),
        ("SELECT string_agg(x) FROM 'data/a.csv'", ["string_agg(…) without ORDER BY inside it"]),
        (
            "SELECT row_number() OVER () FROM 'data/a.csv'",
            ["a window function without ORDER BY"],
        ),
        ("FROM 'data/a.csv' USING SAMPLE 1", ["a SAMPLE clause (use inputs.sample)"]),
        ("SELECT DISTINCT ON (x) x, id FROM 'data/a.csv'", ["DISTINCT ON without ORDER BY"]),
        ("SELECT list(x) OVER (ORDER BY id) FROM 'data/a.csv'", []),
        ("SELECT mode(x) FROM 'data/a.csv'", ["mode(…) without ORDER BY inside it"]),
        ("SELECT sum(id), avg(id::DECIMAL(9, 2)), count(*) FROM 'data/a.csv'", []),
        ("SELECT sum(id / 3 ORDER BY id) FROM 'data/a.csv'", []),
        (
            "SELECT sum(id), round(Avg(id / 3), 2) FROM 'data/a.csv' WHERE 'é' <> x",
            ["avg(…) of floating-point numbers without ORDER BY inside it"],
        ),
        (
            "WITH a AS (SELECT id::FLOAT AS y FROM 'data/a.csv') SELECT sum(y) OVER () FROM a",
            ["sum(…) of floating-point numbers without ORDER BY inside it"],
        ),
        ("SELECT sum(nope), sum(x) FROM 'data/a.csv'", []),
    ],
)
def test_what_may_differ_between_runs_is_noted(
    engine: Engine, sql: str, unstable: list[str]
) -> None:
    """Randomness, clocks and missing orders are named; well-ordered queries are not."""
    assert list(engine.select(sql).unstable) == unstable


_TEXT = st.text(st.sampled_from("abé\n '"), max_size=30)


@given(st.data(), _TEXT)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_positions_survive_edits(data: st.DataObject, text: str) -> None:
    """A position behind, before or between replaced parts is found again in the author's text."""
    size = len(text.encode())
    marks = sorted(data.draw(st.lists(st.integers(0, size), max_size=6)))
    pairs = list(zip(marks[::2], marks[1::2], strict=False))
    edits = tuple(
        Edit(start=start, end=end, text=data.draw(st.sampled_from(["", "longer than it was"])))
        for start, end in pairs
        if _is_boundary(text, start) and _is_boundary(text, end)
    )
    select = AuthorSelect(
        text=text, sql=apply_edits(text, edits), edits=edits, files=(), unstable=()
    )
    kept = [at for at in range(size) if not any(e.start <= at < e.end for e in edits)]
    for at in kept:
        moved = at + sum(len(e.text.encode()) - (e.end - e.start) for e in edits if e.end <= at)
        error = select.translate(AuthorSqlError("x", position=moved))
        assert error.position == at


def _is_boundary(text: str, position: int) -> bool:
    return len(text.encode()[:position].decode(errors="ignore").encode()) == position
