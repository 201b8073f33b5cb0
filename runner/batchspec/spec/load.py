"""Read YAML safely, with positions: one pass over the event stream guards and builds.

Nothing of ruamel.yaml's constructors is used, so no tag can make an object and no alias can grow.
Each limit was tried against hostile files (docs/explanation/security.md).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from batchspec.problems import Place, Problem
from batchspec.spec.build import Builder, Stop, problem_at
from batchspec.spec.document import Document, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Document", "read_yaml"]

MAX_BYTES = 1_000_000
"""A spec is text that people review; data belongs into files beside it."""
MAX_BRACKETS = 5_000
"""Brackets open at once, counted on the raw text before any parsing."""

_BREAKS = "\x85\u2028\u2029"
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def read_yaml(path: Path, root: Path) -> tuple[Document | None, tuple[Problem, ...]]:
    """Read one YAML file below ``root``.

    Returns:
        The document, or None when the text could not be understood as a whole, and every problem.
        A document may come with problems: of a repeated key, the first value is kept.
    """
    file = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return None, (_unreadable(file, error),)
    return parse_yaml(raw, file)


def parse_yaml(raw: bytes, file: str) -> tuple[Document | None, tuple[Problem, ...]]:
    """Read YAML from bytes; ``file`` is only for places. See `read_yaml`."""
    text, problem = _decode(raw, file)
    if problem is not None:
        return None, (problem,)
    source = Source.of(file, text)
    problem = _bad_text(text, source)
    if problem is not None:
        return None, (problem,)
    builder = Builder(source)
    try:
        for event in _events(text):
            builder.take(event)
    except Stop:
        return None, builder.problems
    except YAMLError as error:
        return None, (*builder.problems, _syntax(error, text, source))
    except (ValueError, OverflowError):  # ruamel.yaml: chr() of an escape beyond Unicode
        return None, (*builder.problems, _escape(text, source))
    return builder.document(), builder.problems


def _events(text: str) -> Iterator[object]:
    yield from YAML(typ="safe", pure=True).parse(text)


def _unreadable(file: str, error: OSError) -> Problem:
    return Problem(
        code="unreadable-file",
        summary=f"the file {file} cannot be read",
        detail=f"The system says: {error.strerror}. Check its name and its permissions.",
        where=Place(file=file),
    )


def _decode(raw: bytes, file: str) -> tuple[str, Problem | None]:
    if len(raw) > MAX_BYTES:
        return "", Problem(
            code="yaml-too-large",
            summary=f"the file is larger than {MAX_BYTES:,} bytes",
            detail="A spec is read by people. Put the data into a CSV, JSONL or Parquet file and"
            " name it in inputs.table.",
            where=Place(file=file),
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return "", Problem(
            code="not-utf8",
            summary="the file is not UTF-8 text",
            detail=f"Byte {error.start + 1} cannot be read. Save the file as UTF-8.",
            where=Place(file=file, line=raw.count(b"\n", 0, error.start) + 1),
        )
    return text.replace("\r\n", "\n").replace("\r", "\n"), None


def _bad_text(text: str, source: Source) -> Problem | None:
    found = _FORBIDDEN.search(text)
    if found is not None:
        what = "a line separator" if found[0] in _BREAKS else "a control character"
        return problem_at(
            source,
            _position(text, found.start()),
            "bad-character",
            f"there is {what} (U+{ord(found[0]):04X}) in the file",
            "It cannot be seen in a review. Delete it, or write it as an escape inside double"
            f' quotes ("\\u{ord(found[0]):04x}").',
        )
    long_tag = re.search(r"!\S{100000}", text)
    if long_tag is not None:  # quadratic in ruamel.yaml, and nothing a person writes
        return problem_at(
            source,
            _position(text, long_tag.start()),
            "yaml-too-large",
            "an exclamation mark is followed by 100,000 characters without a space",
            "Such a file takes very long to read and is never a spec. Break the line.",
        )
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    if deepest > MAX_BRACKETS:
        return problem_at(
            source,
            (0, 0),
            "yaml-too-deep",
            f"more than {MAX_BRACKETS:,} brackets are open at once",
            "Such a file takes very long to read and is never a spec. Close the brackets.",
        )
    return None


def _position(text: str, index: int) -> tuple[int, int]:
    line = text.count("\n", 0, index)
    return line, index - (text.rfind("\n", 0, index) + 1)


def _escape(text: str, source: Source) -> Problem:
    found = re.search(r"\\U[0-9a-fA-F]{8}", text)
    return problem_at(
        source,
        _position(text, found.start() if found else 0),
        "yaml-syntax",
        "an escape names no Unicode character",
        "Escapes go from \\U00000000 to \\U0010FFFF. Write the character itself.",
    )


_WORDS = (
    ("mapping values are not allowed", "a colon stands where no key can be",
     "Quote the text if the colon belongs to it, or check the indentation of this line."),
    ("expected <block end>", "the indentation of this line fits no line above it",
     "Keys of one mapping, and items of one list, must begin in the same column."),
    ("could not find expected ':'", "a key without a colon",
     "A key needs `: ` after it. If the line belongs to a text above, indent it further."),
    ("quoted scalar found unexpected", "a quote is never closed",
     "Close it before the end of the file."),
    ("while parsing a flow", "a bracket is not closed where it should be",
     "Lists in brackets need `,` between items and `]` at the end, mappings need `}`."),
    ("cannot start any token", "a value begins with a character that YAML reserves",
     "Put the value into quotes. YAML reserves % @ ` & * ! | > at the beginning."),
    ("unknown escape character", "an unknown escape inside double quotes",
     "Double the backslash, or use single quotes."),
    ("sequence entries are not allowed", "a list item stands where no list can be",
     "Begin the list on its own line below the key."),
)  # fmt: skip


def _syntax(error: YAMLError, text: str, source: Source) -> Problem:
    """Put a parser's complaint into words that say what to change."""
    if not isinstance(error, MarkedYAMLError):
        return problem_at(
            source, (0, 0), "yaml-syntax", "this is not valid YAML", f"The parser says: {error}."
        )
    said = f"{error.context or ''} {error.problem or ''}".strip()
    unclosed = "quoted scalar" in said and error.context_mark is not None
    mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
    position = (mark.line, mark.column) if mark is not None else (0, 0)
    if _tab_before(text, position):
        return problem_at(
            source,
            position,
            "yaml-tab",
            "a tab is used for indentation",
            "YAML allows only spaces there, since tabs have no fixed width. Replace the tab.",
        )
    for pattern, summary, advice in _WORDS:
        if pattern in said:
            return problem_at(source, position, "yaml-syntax", summary, advice)
    return problem_at(
        source,
        position,
        "yaml-syntax",
        "this is not valid YAML",
        f"The parser says: {said}.",
    )


def _tab_before(text: str, position: tuple[int, int]) -> bool:
    line, column = position
    before = text.split("\n")[line][: column + 1] if line <= text.count("\n") else ""
    return "\t" in before[: len(before) - len(before.lstrip())]
