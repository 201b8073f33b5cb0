"""What DuckDB says of a CSV file that it cannot read, in words for the file's author.

Its own message goes on with options of a reader that a spec does not have, and with paths of the
machine.
"""

from __future__ import annotations

import re
from typing import Final

_LINE: Final = re.compile(r"CSV Error on Line: (?P<line>\d+)\n(?P<rest>.*)", re.DOTALL)
_FILE: Final = re.compile(r"^\s*file = (?P<path>.*)$", re.MULTILINE)
_COLUMNS: Final = re.compile(r"Expected Number of Columns: (?P<wanted>\d+) Found: (?P<found>\d+)")
_CONVERT: Final = re.compile(
    r'Error when converting column "(?P<column>.*?)"\. Could not convert string "(?P<text>.*?)"'
    r" to '(?P<type>\w+)'",
    re.DOTALL,
)
_SNIFF: Final = re.compile(r'Error when sniffing file "(?P<path>.*?)"')
_INVALID: Final = "state machine reached an invalid state"
_UNEVEN: Final = (
    "a line has more fields or fewer than the header, a quote is not closed, or some lines end in"
    " CR LF and others in LF. A field that holds the separator or a line break stands in quotes,"
    ' a quote inside is written "", and all lines end alike.'
)
_ENDS: Final = re.compile(r"\n\s*\n|\nPossible |\n {2}file = ")
_LONGEST: Final = 200


def csv_words(message: str) -> str:
    """Return a message of DuckDB; of a CSV file, in our own words."""
    sniffed = _SNIFF.search(message)
    if sniffed is not None:
        return f"{_name(sniffed['path'])} is not a CSV file as RFC 4180 has it: {_UNEVEN}"
    path = _FILE.search(message)
    name = "the file" if path is None else _name(path["path"])
    if _INVALID in message:
        return f"{name} is not a CSV file as RFC 4180 has it: {_UNEVEN}"
    found = _LINE.search(message)
    if found is None:
        return message
    return f"Line {int(found['line']):,} of {name} cannot be read: {_reason(found['rest'])}"


def _reason(rest: str) -> str:
    columns, convert = _COLUMNS.search(rest), _CONVERT.search(rest)
    if columns is not None:
        return f"it has {columns['found']} fields, and {columns['wanted']} are expected."
    if convert is not None:
        text = convert["text"][:_LONGEST]
        return f'"{text}" in the column {convert["column"]} is no {convert["type"]}.'
    if "unterminated quote" in rest:
        return "a quote is not closed."
    if "utf-8" in rest:
        return "it is not UTF-8 text. Save the file as UTF-8."
    after = rest.split("\n", 1)[1] if rest.startswith("Original Line:") and "\n" in rest else rest
    return " ".join(_ENDS.split(after.lstrip("\n"), maxsplit=1)[0].split())[:_LONGEST]


def _name(path: str) -> str:
    return path.strip().rsplit("/", 1)[-1]
