"""Places: where a value, a key, or a line of a text stands in its file."""

from __future__ import annotations

import pytest

from batchspec.problems import Place
from batchspec.spec.document import Document, NodePath, dotted, shown
from batchspec.spec.load import parse_yaml

TEXT = """\
# A comment first.
prompt:
  user: |
    Subject: {{ subject }}

    {{ body }}
  system: 'Be {{ tone }}'
  folded: >
    one
    two
  indented: |2
      deep
  plain: Hello {{ name }}
  escaped: "tab\\t{{ x }}"
checks:
  - name: a
    sql: SELECT 1
"""


@pytest.fixture
def document() -> Document:
    """Return the text above, read."""
    found, problems = parse_yaml(TEXT.encode(), "specs/a.yaml")
    assert problems == ()
    assert found is not None
    return found


def at(place: Place) -> tuple[int | None, int | None]:
    """Return line and column."""
    return place.line, place.column


@pytest.mark.parametrize(
    ("path", "key", "expected"),
    [
        ((), False, (2, 1)),
        (("prompt",), False, (3, 3)),
        (("prompt",), True, (2, 1)),
        (("prompt", "user"), False, (3, 9)),
        (("prompt", "user"), True, (3, 3)),
        (("checks", 0), False, (16, 5)),
        (("checks", 0), True, (16, 5)),
        (("checks", 0, "sql"), False, (17, 10)),
        (("checks", 3, "sql"), False, (15, 1)),
        (("prompt", "nothing"), False, (2, 1)),
        (("nothing",), False, (2, 1)),
    ],
)
def test_a_path_has_a_place(
    document: Document, path: NodePath, *, key: bool, expected: tuple[int, int]
) -> None:
    """A value and its key have theirs; what is missing has that of what it is missing from."""
    place = document.place(path, key=key)
    assert at(place) == expected
    assert place.file == "specs/a.yaml"
    assert place.source == TEXT.splitlines()[expected[0] - 1]


@pytest.mark.parametrize(
    ("name", "line", "column", "expected"),
    [
        ("user", 1, 13, (4, 17)),
        ("user", 2, None, (5, 1)),
        ("user", 3, 4, (6, 8)),
        ("user", 9, 1, (3, 9)),
        ("system", 1, 7, (7, 18)),
        ("folded", 1, 5, (8, 11)),
        ("indented", 1, 3, (12, 7)),
        ("plain", 1, 7, (13, 16)),
        ("escaped", 1, 5, (14, 12)),
        ("nothing", 1, 1, (2, 1)),
    ],
)
def test_a_line_of_a_text_has_a_place(
    document: Document, name: str, line: int, column: int | None, expected: tuple[int, int]
) -> None:
    """A template's error points into the YAML file; where that is unsure, to the value."""
    assert at(document.inside(("prompt", name), line, column)) == expected


def test_get_goes_through_mappings_and_lists(document: Document) -> None:
    """A step that cannot be taken gives None, whatever is in the way."""
    assert document.get("checks", 0, "sql") == "SELECT 1"
    assert document.get("checks", "name") is None
    assert document.get("checks", 7) is None
    assert document.get("prompt", "user", "x") is None
    assert document.get("prompt", 0) is None


def test_a_document_without_places_gives_its_file() -> None:
    """An empty file has nothing to point at."""
    found, _ = parse_yaml(b"", "a.yaml")
    assert found is not None
    assert found.place(("model",)) == Place(file="a.yaml")


def test_values_are_shown_short_and_harmless() -> None:
    """Messages carry no control characters, no keys, and no pages of text."""
    assert shown("a\x1b[2Jb\n") == "a·[2Jb·"
    assert shown("sk-ant-api03-" + "a" * 9) == "sk-ant-" + "*" * 15
    assert len(shown("x" * 1000)) == 60
    assert shown(True) == "true"
    assert shown([1, None]) == "[1, null]"


def test_paths_are_written_as_people_do() -> None:
    """Keys have dots between them, positions brackets."""
    assert dotted(("checks", 2, "name")) == "checks[2].name"
    assert dotted(()) == ""
