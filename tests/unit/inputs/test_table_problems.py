from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchspec.problems import Severity

if TYPE_CHECKING:
    from tests.unit.inputs.conftest import Open, Opened, Write


def codes(opened: Opened) -> list[str]:
    """Return the codes of inputs that must have been refused."""
    table, problems = opened
    assert table is None
    return [problem.code for problem in problems]


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


def test_a_missing_table_is_named_with_what_is_there(write: Write, open_text: Open) -> None:
    """The message has the path that was looked for, and the data files of its folder."""
    write({"data/b.csv": "id\n1\n", "data/notes.txt": "", "data/c.jsonl": ""})
    _, (problem,) = open_text("inputs: {table: data/a.csv, key: id}")
    assert problem.summary == 'no file matches "data/a.csv"'
    there = "The data files in the folder data of the project are data/b.csv, data/c.jsonl."
    assert problem.detail == f"Paths start at the project folder. {there}"
    _, (bare,) = open_text("inputs: {table: none/*.csv, key: id}")
    assert bare.detail == "Paths start at the project folder."


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
