"""What is wrong with a CSV file, by line and in words for its author."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchspec.inputs.csv_errors import csv_words
from batchspec.inputs.engine import AuthorSqlError, Engine

MANY = "".join(f"{n},a\n" for n in range(30_000))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            f"id,text\n{MANY}2,b,c\n".encode(),
            "Line 30,002 of d.csv cannot be read: it has 3 fields,",
        ),
        (f'id,text\n{MANY}2,"b\n'.encode(), "Line 30,002 of d.csv cannot be read: a quote is not"),
        (b"id,text\n1,a\n2,\xff\xfe\n", " of d.csv cannot be read: it is not UTF-8 text."),
        (
            f"id,text\n{MANY}x,b\n".encode(),
            'Line 30,002 of d.csv cannot be read: "x" in the column id is no BIGINT.',
        ),
        (b"id,text\r\n1,a\n2,b\r\n", "d.csv is not a CSV file as RFC 4180 has it: "),
        (f"id,text\n{MANY}2,b\r\n".encode(), "some lines end in CR LF and others in LF."),
    ],
    ids=["fields", "quote", "encoding", "type", "line ends", "late line end"],
)
def test_a_broken_csv_file_is_told_of_in_plain_words(
    tmp_path: Path, data: bytes, words: str
) -> None:
    """No options of a reader that a spec does not have, and no paths of the machine."""
    (tmp_path / "d.csv").write_bytes(data)
    options = "header = true, delim = ',', quote = '\"', escape = '\"', strict_mode = true"
    options += ", comment = '', null_padding = false"
    query = f"SELECT sum(hash(COLUMNS(*))) FROM read_csv('{tmp_path}/d.csv', {options})"  # noqa: S608 - ours
    opened = Engine.open(root=tmp_path, temp=tmp_path / "tmp")
    with opened as engine, pytest.raises(AuthorSqlError) as caught:
        engine.one(query)
    message = caught.value.message
    assert words in message
    assert not any(word in message for word in ("Possible", "strict_mode", str(tmp_path)))


def test_what_no_dialect_fits_is_told_without_the_search() -> None:
    """DuckDB says where it searched, and which options would hide the mistake."""
    message = (
        'Error when sniffing file "/home/me/data/d.csv".\nIt was not possible to automatically '
        "detect the CSV parsing dialect\nThe search space used was:\nDelimiter Candidates: ','\n"
        "Possible fixes:\n* Enable ignore errors (ignore_errors=true)"
    )
    words = csv_words(message)
    assert words.startswith("d.csv is not a CSV file as RFC 4180 has it: ")
    assert not any(word in words for word in ("Possible", "ignore_errors", "/home"))


def test_other_messages_are_left_alone() -> None:
    """Most of them are about SQL."""
    assert csv_words('Table "d" does not exist.') == 'Table "d" does not exist.'
