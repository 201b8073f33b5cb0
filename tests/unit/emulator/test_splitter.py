"""The incremental splitter agrees with a parser that sees the whole body."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.emulator.errors import ApiError
from batchspec.emulator.splitter import BodySplitter

TEXTS = st.text(alphabet=st.sampled_from('ab"\\{}[],: \n\u00e9\U0001f600'), max_size=20) | (
    st.sampled_from(['}, {"custom_id": "x"', '},{"params":', '"]}', "\\", '\\"', '{"custom_id":'])
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ROWS = st.fixed_dictionaries({}, optional={"custom_id": TEXTS, "params": VALUES, "other": VALUES})
STYLES: list[dict[str, Any]] = [
    {"separators": (",", ":")},
    {},
    {"indent": 2},
    {"ensure_ascii": False},
]


def split(body: bytes, step: int) -> list[Any]:
    """Feed a body in pieces of ``step`` bytes and check each element's place."""
    splitter = BodySplitter()
    values: list[Any] = []
    for start in range(0, len(body), step):
        for element in splitter.feed(body[start : start + step]):
            assert json.loads(body[element.offset : element.offset + element.length]) == (
                element.value
            )
            assert element.number == len(values)
            values.append(element.value)
    assert splitter.finish() == len(values)
    return values


@given(
    rows=st.lists(ROWS, max_size=6),
    style=st.sampled_from(STYLES),
    step=st.integers(1, 200),
    padding=st.sampled_from(["", " ", "\n\t "]),
)
def test_splits_as_a_whole_parser_does(
    rows: list[Any], style: dict[str, Any], step: int, padding: str
) -> None:
    """Whatever the strings hold, the spacing is, and the pieces are."""
    body = padding + json.dumps({"requests": rows}, **style) + padding
    assert split(body.encode(), step) == rows


@given(body=st.binary(max_size=60), step=st.integers(1, 60))
def test_any_bytes_are_split_or_refused(body: bytes, step: int) -> None:
    """Bytes give elements or an ApiError, never another exception."""
    with suppress(ApiError):
        split(b'{"requests":[' + body, step)


@given(
    rows=st.lists(ROWS, min_size=1, max_size=3),
    where=st.integers(0, 400),
    junk=st.sampled_from([b"{", b"}", b"[", b"]", b",", b'"', b"\\", b"\x00", b"1"]),
)
def test_a_damaged_body_gives_what_the_parser_gives(
    rows: list[Any], where: int, junk: bytes
) -> None:
    """With one byte put in, it is valid for both or for neither."""
    body = json.dumps({"requests": rows}).encode()
    position = where % (len(body) + 1)
    damaged = body[:position] + junk + body[position:]
    expected = parsed(damaged)
    if expected is None:
        with pytest.raises(ApiError):
            split(damaged, 7)
    else:
        assert split(damaged, 7) == expected


def parsed(body: bytes) -> list[Any] | None:
    """Return the requests that a whole parser finds, or None when the body is no create body."""
    try:
        value = orjson.loads(body)  # stricter than json: a lone surrogate is refused
    except ValueError:
        return None
    rows = value["requests"] if list(value) == ["requests"] else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    return rows


def test_long_strings_of_escapes_are_scanned_once() -> None:
    """A row that is one long string of escapes takes linear time in small pieces."""
    rows = [{"params": {"x": '"\\' * 500_000}}, {"custom_id": "b"}]
    assert split(json.dumps({"requests": rows}).encode(), 10_000) == rows


def test_rows_longer_than_the_limit_are_413() -> None:
    """Whether the row has ended or is still arriving."""
    for end in (b'"}}]}', b""):
        splitter = BodySplitter(max_row_bytes=100)
        with pytest.raises(ApiError) as caught:
            list(splitter.feed(b'{"requests":[{"params":{"x":"' + b"y" * 200 + end))
        assert caught.value.status == 413


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a\\"b": 1, "requests": []}', 'a"b: Extra inputs'),
        (b'{"requests": []' + b" " * 5000 + b"}", "not valid JSON"),
        (b" " * 1_100_000, "Field required as the first key"),
        (b'{"requests": [', "unexpected"),
        (b'{"requests": [{}', "unexpected end"),
        (b'{"requests": [{},', "unexpected end"),
    ],
)
def test_messages_say_where_it_is_wrong(body: bytes, message: str) -> None:
    """Each kind of refusal has its own words."""
    with pytest.raises(ApiError) as caught:
        split(body, len(body))
    assert message in caught.value.message
