from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from batchspec.inputs.engine import Engine
from batchspec.inputs.hardened import MAX_FILE_BYTES
from batchspec.inputs.tables import InputTable, row_select
from batchspec.problems import Problem

Open = Callable[[str], tuple[InputTable | None, tuple[Problem, ...]]]
Write = Callable[[Mapping[str, str | bytes]], Path]


def values(engine: Engine, table: InputTable | None) -> list[dict[str, Any]]:
    """Return the rows of a table by key."""
    assert table is not None
    return [row.values for row in sorted(row_select(engine, table, None))]


def test_each_file_is_an_item(write: Write, engine: Engine, open_text: Open) -> None:
    """A file's columns say where it is, how large, and what is in it; the key is its path."""
    write({"docs/b.tar.md": "é\r\n", "docs/a.md": "\ufeffhi", "docs/x.txt": "no"})
    table, problems = open_text("inputs: {files: 'docs/*.md'}")
    assert problems == ()
    first, second = values(engine, table)
    assert first["text"] == "hi"
    assert second == {
        "path": "docs/b.tar.md",
        "name": "b.tar.md",
        "stem": "b.tar",
        "suffix": ".md",
        "size": 4,
        "sha256": hashlib.sha256("é\r\n".encode()).hexdigest(),
        "text": "é\r\n",
    }
    assert table is not None
    assert (table.key, table.sources) == (("path",), ("docs/a.md", "docs/b.tar.md"))


@pytest.mark.parametrize("content", [b"\x89PNG\x00", b"\xff\xfe", b"a\x00b", b"caf\xe9"])
def test_binary_files_have_no_text(
    write: Write, engine: Engine, open_text: Open, content: bytes
) -> None:
    """What holds a NUL or is not UTF-8 is an item without text, told apart by its digest."""
    write({"a.bin": content})
    (row,) = values(engine, open_text("inputs: {files: a.bin}")[0])
    assert row["text"] is None
    assert row["sha256"] == hashlib.sha256(content).hexdigest()


def test_patterns_may_overlap(write: Write, open_text: Open) -> None:
    """A file that two patterns mean is one item."""
    write({"a.md": "1", "b.md": "2"})
    table, problems = open_text("inputs: {files: ['*.md', a.md]}")
    assert problems == ()
    assert table is not None
    assert table.count == 2


def test_another_key_can_be_chosen(write: Write, open_text: Open) -> None:
    """Equal stems in two folders are not unique."""
    write({"x/a.md": "1", "y/a.md": "2"})
    _, (problem,) = open_text("inputs: {files: '*/a.md', key: stem}")
    assert problem.code == "key-not-unique"


def test_many_files_arrive_in_pieces(write: Write, engine: Engine, open_text: Open) -> None:
    """More text than one piece holds arrives whole."""
    write({f"d/{number}.txt": str(number) * 2_000_000 for number in range(6)})
    table, problems = open_text("inputs: {files: 'd/*.txt'}")
    assert problems == ()
    assert [len(row["text"]) for row in values(engine, table)] == [2_000_000] * 6


def test_files_that_cannot_be_read_are_all_named(write: Write, open_text: Open) -> None:
    """Links, large files and patterns without a file are reported together."""
    root = write({"a.md": "fine"})
    (root / "link.md").symlink_to(root / "a.md")
    with (root / "large.md").open("wb") as large:
        large.truncate(MAX_FILE_BYTES + 1)
    table, problems = open_text("inputs:\n  files:\n    - '*.md'\n    - '*.txt'\n    - ../x\n")
    assert table is None
    assert [problem.code for problem in problems] == [
        "no-input-files",
        "input-file-refused",
        "input-file-refused",
        "input-file-refused",
    ]
    assert [problem.where.line for problem in problems if problem.where] == [4, 5, 3, 3]
    assert "large.md has 33,554,433 bytes" in problems[2].summary
    assert "link.md goes through the symbolic link" in problems[3].summary


def test_names_beyond_utf8_are_refused(root: Path, open_text: Open) -> None:
    """A file whose name is no text cannot be an item."""
    try:
        Path(f"{root}/a\udcff.md").write_text("x")
    except OSError:
        pytest.skip("this file system keeps names in UTF-8")
    _, (problem,) = open_text("inputs: {files: '*.md'}")
    assert problem.summary == "the input a\\udcff.md has a name that is not UTF-8"


def test_rows_keep_their_types(engine: Engine, open_text: Open) -> None:
    """Literal rows arrive as written; what a row lacks is NULL."""
    table, problems = open_text(
        "inputs:\n  key: id\n  rows:\n"
        "    - {id: 1, t: '1', f: 1.5, b: true, l: [1, a, {x: null}], m: {z: 1, a: 2}, n: null}\n"
        "    - {id: 2, late: x}\n"
    )
    assert problems == ()
    first, second = values(engine, table)
    assert first == {
        "id": 1,
        "t": "1",
        "f": 1.5,
        "b": True,
        "l": [1, "a", {"x": None}],
        "m": {"z": 1, "a": 2},
        "n": None,
        "late": None,
    }
    assert list(first["m"]) == ["z", "a"]
    assert second["late"] == "x"
    assert second["m"] is None


@pytest.mark.parametrize(
    ("rows", "summary"),
    [
        (
            "[{id: a, x: 1}, {id: b, x: one}]",
            "the column x holds a whole number in row 1 and text in row 2",
        ),
        (
            "[{id: a, x: 1}, {id: b}, {id: c, x: 1.5}]",
            "the column x holds a whole number in row 1 and a number with a fraction in row 3",
        ),
        (
            "[{id: a, x: true}, {id: b, x: 1}]",
            "the column x holds true or false in row 1 and a whole number in row 2",
        ),
        (
            "[{id: a, x: [1]}, {id: b, x: {a: 1}}]",
            "the column x holds a list in row 1 and a mapping in row 2",
        ),
    ],
)
def test_mixed_rows_are_problems(open_text: Open, rows: str, summary: str) -> None:
    """A column with two kinds of values names both rows."""
    _, (problem,) = open_text(f"inputs: {{key: id, rows: {rows}}}")
    assert problem.summary == summary
    assert problem.where is not None
    assert problem.where.line == 1


def test_column_names_of_rows_clash_by_case(open_text: Open) -> None:
    """Two columns that differ by case only could not be told apart in SQL."""
    _, (problem,) = open_text("inputs: {key: id, rows: [{id: 1, x: a, X: b}]}")
    assert problem.code == "duplicate-column"
