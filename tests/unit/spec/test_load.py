"""Reading YAML: what it means, where it stands, and what is refused before it can do harm."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml.error import StringMark
from ruamel.yaml.events import StreamStartEvent

from batchspec.spec.build import MAX_EVENTS, MAX_PROBLEMS, Builder, Stop
from batchspec.spec.document import Source
from batchspec.spec.load import MAX_BYTES, parse_yaml, read_yaml


def codes(text: str | bytes) -> list[str]:
    """Return the codes of a text's problems."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return [problem.code for problem in parse_yaml(raw, "x.yaml")[1]]


PLAIN: tuple[tuple[str, object], ...] = (
    ("yes", "yes"),
    ("off", "off"),
    ("true", True),
    ("False", False),
    ("~", None),
    ("", None),
    ("Null", None),
    ("12", 12),
    ("-12", -12),
    ("010", 10),
    ("0o17", 15),
    ("0x1F", 31),
    ("1_000", "1_000"),
    ("1.5", 1.5),
    (".5", 0.5),
    ("1e3", 1000.0),
    ("1.", 1.0),
    ("9223372036854775807", 9223372036854775807),
    ("-9223372036854775808", -9223372036854775808),
    ("2024-01-01", "2024-01-01"),
    ("12:30:45", "12:30:45"),
    ("=", "="),
    ("'12'", "12"),
    ('"true"', "true"),
    ("!!str 12", "12"),
    ("!!int '12'", 12),
    ("!!float 3", 3.0),
    ("!!null ''", None),
    ("! 12", "12"),
    ("<<", "<<"),
    ('"\\u2028"', "\u2028"),
    ("|\n  a\n  b", "a\nb\n"),
    (">-\n  a\n  b", "a b"),
    ("!!map {b: 1}", {"b": 1}),
    ("!!seq [1]", [1]),
)


@pytest.mark.parametrize(("written", "meant"), PLAIN)
def test_scalars_have_the_meaning_of_the_core_schema(written: str, meant: object) -> None:
    """YAML 1.2: no truth in yes, no dates, no octal by a zero, no underscores in numbers."""
    document, problems = parse_yaml(f"a: {written}\n".encode(), "x.yaml")
    assert problems == ()
    assert document is not None
    value = document.data["a"]
    assert (value, type(value)) == (meant, type(meant))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1\nb: *x\n", ["yaml-feature", "yaml-feature"]),
        ("a: {<<: {b: 1}}\n", ["yaml-feature"]),
        ("a: !!python/object/apply:os.system [ls]\n", ["yaml-feature"]),
        ("a: !local 1\n", ["yaml-feature"]),
        ("a: !!set {b}\n", ["yaml-feature"]),
        ("a: !!binary aGk=\n", ["yaml-feature"]),
        ("a: !!timestamp 2024-01-01\n", ["yaml-feature"]),
        ("%YAML 1.1\n---\na: yes\n", ["yaml-feature"]),
        ("%TAG ! tag:example.com,2000:\n---\na: 1\n", ["yaml-feature"]),
        ("a: 1\n...\n---\nb: 2\n", ["yaml-many-documents"]),
        ("a: " + "[" * 60 + "]" * 60, ["yaml-too-deep"]),
        ("[" * 900_000, ["yaml-too-deep"]),
        ("[{" * 2_400, ["bad-key"]),
        ("- " * 400_000, ["yaml-too-deep"]),
        ("? " * 400_000, ["bad-key"]),
        ("!" * 900_000, ["yaml-too-large"]),
        ("a: 1\n" + "#" * MAX_BYTES, ["yaml-too-large"]),
        ("a: !!int x\n", ["bad-number"]),
        ("a: !!int true\n", ["bad-number"]),
        ("a: " + "9" * 5_000, ["bad-number"]),
        ("a: 0x" + "f" * 17, ["bad-number"]),
        ("a: 1e999\n", ["bad-number"]),
        ("a: -.INF\n", ["bad-number"]),
        ('a: "\\0"\n', ["bad-character"]),
        ('a: "\\ud83d"\n', ["bad-character"]),
        ("a: \x00\n", ["bad-character"]),
        ("a: \x1b[31m\n", ["bad-character"]),
        ("a: \x85\n", ["bad-character"]),
        ("a: \ud800\n", ["not-utf8"]),
        (b"\xff\xfea\x00:\x00", ["not-utf8"]),
        ("a: 1\na: 2\na: 3\n", ["duplicate-key", "duplicate-key"]),
        ('a: 1\n"a": 2\n', ["duplicate-key"]),
        ("1: a\n", ["bad-key"]),
        ("[a]: b\n", ["bad-key"]),
        ("a:\n\t- b\n", ["yaml-tab"]),
        ("\ta: b\n", ["yaml-tab"]),
        ('a: "\\UFFFFFFFF"\n', ["yaml-syntax"]),
        ('a: "\\q"\n', ["yaml-syntax"]),
        ("a: ]\n", ["yaml-syntax"]),
        ("a: - b\n", ["yaml-syntax"]),
        ("a: {{ b }}\n", ["unquoted-template"]),
        ("a: 1\nb\nc: 1\n", ["yaml-syntax"]),
    ],
    ids=lambda value: (
        value[:24].encode("unicode_escape").decode() if isinstance(value, str) else None
    ),
)
def test_hostile_and_mistaken_text_is_refused(text: str | bytes, expected: list[str]) -> None:
    """Each gives its problems with a place, in little time, whatever the size."""
    started = time.process_time()
    assert codes(text) == expected
    assert time.process_time() - started < 5


def test_machine_made_files_do_not_bury_their_author() -> None:
    """Problems of one file are cut off at a number that can be read."""
    assert len(codes("".join(f"a{n}: *b{n}\n" for n in range(1000)))) == MAX_PROBLEMS


def test_too_many_parts_are_refused_before_all_are_read() -> None:
    """A file within the size limit can still be far more than a spec."""
    builder = Builder(Source(file="x.yaml", lines=("",)))
    mark = StringMark("x.yaml", 0, 0, 0, "", 0)
    event = StreamStartEvent(mark, mark)
    for _ in range(MAX_EVENTS):
        builder.take(event)
    with pytest.raises(Stop):
        builder.take(event)
    assert [problem.code for problem in builder.problems] == ["yaml-too-large"]


def test_line_endings_and_a_byte_order_mark_do_not_matter() -> None:
    """Files from other systems mean the same and have the same places."""
    unix = parse_yaml(b"a: 1\nb: |\n  x\n  y\n", "x.yaml")[0]
    windows = parse_yaml(b"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n  y\r\n", "x.yaml")[0]
    assert unix == windows
    assert unix is not None
    assert windows is not None
    assert windows.place(("b",)) == unix.place(("b",))


def test_of_a_repeated_key_the_first_value_is_kept() -> None:
    """Checking goes on, so that one mistake does not hide the others."""
    document, problems = parse_yaml(b"a: 1\nb: 2\na: {c: 3}\n", "x.yaml")
    assert document is not None
    assert document.data == {"a": 1, "b": 2}
    assert problems[0].where is not None
    assert (problems[0].where.line, problems[0].where.column) == (3, 1)


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    """What the system says of a file is told, not thrown."""
    document, problems = read_yaml(tmp_path / "none.yaml", tmp_path)
    assert document is None
    assert [(p.code, p.where and p.where.file) for p in problems] == [
        ("unreadable-file", "none.yaml")
    ]


def test_keys_are_masked_in_what_is_shown() -> None:
    """The line for the caret keeps its length, and loses the key."""
    key = "sk-ant-api03-" + "x" * 20
    document, _ = parse_yaml(f"a: {key} # and {key}\n".encode(), "x.yaml")
    assert document is not None
    line = document.place(("a",)).source
    assert line == f"a: sk-ant-{'*' * 26} # and sk-ant-{'*' * 26}"
    assert document.source.secrets == ((0, 3), (0, 43))


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            # YAML reads keys without a question mark up to 1,024 characters, escapes included.
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
@settings(deadline=None)
def test_json_is_yaml(value: object) -> None:
    """Every JSON value reads as itself, with a place for each of its parts."""
    document, problems = parse_yaml(json.dumps(value).encode(), "x.yaml")
    assert problems == ()
    assert document is not None
    assert document.data == value
    assert len(document.spots) == _parts(value)


def _parts(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_parts, inner))


_YAMLISH = st.text(
    st.sampled_from(list("ab:-?[]{},#&*!|>'\"%@`~\t\n 01.e<\\Uux\0\x85é😀")), max_size=60
)


@given(_YAMLISH | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
@settings(deadline=None, max_examples=400)
def test_no_text_is_a_bug(text: str) -> None:
    """Whatever stands in a file gives data or problems, never an exception."""
    document, problems = parse_yaml(text.encode(), "x.yaml")
    assert document is not None or problems
