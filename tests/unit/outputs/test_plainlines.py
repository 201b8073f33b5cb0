"""Reading many lines at once comes to the same rows as reading them one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchspec.outputs.lines import is_text
from batchspec.outputs.rows import (
    AnswerWriter,
    Judge,
    Oddity,
    PlainAnswers,
    RawAnswer,
    read_line,
    read_plain,
)

DIGEST = bytes(range(16))
TEXT = st.text(max_size=6) | st.sampled_from(
    ["2026-11-23", "12", "null", "a\x00b", "😀", '"\\ud83d']
)
ODD = st.sampled_from([None, True, -1, 0.5, 2**32, "7", [], {}, [None], {"a": [1e300]}])
COUNT = st.integers(0, 2**32 - 1) | st.sampled_from([None, 0, 2**32 - 1])
SPLIT = {"ephemeral_5m_input_tokens": COUNT, "ephemeral_1h_input_tokens": COUNT}
USAGE: dict[str, st.SearchStrategy[Any]] = {
    "input_tokens": COUNT,
    "output_tokens": COUNT,
    "cache_creation_input_tokens": COUNT,
    "cache_read_input_tokens": COUNT,
    "cache_creation": st.none() | st.fixed_dictionaries({}, optional=SPLIT),
    "output_tokens_details": st.none() | st.fixed_dictionaries({"thinking_tokens": COUNT}),
    "inference_geo": st.none() | TEXT,
    "server_tool_use": st.none()
    | st.fixed_dictionaries({}, optional={"web_search_requests": COUNT, "more": ODD}),
    "speed": ODD,
}
BLOCK = {"type": st.just("text"), "text": TEXT, "citations": st.none(), "more": ODD}
CONTENT = {"content": st.fixed_dictionaries(BLOCK).map(lambda block: [block])}
MESSAGE: dict[str, st.SearchStrategy[Any]] = {
    "id": TEXT,
    "model": TEXT,
    "stop_reason": st.none() | st.sampled_from(["end_turn", "max_tokens", "refusal"]),
    "usage": st.none() | st.fixed_dictionaries({}, optional=USAGE),
    "container": ODD,
}


@st.composite
def a_line(draw: st.DrawFn) -> bytes:
    """Draw a result line that is plain, or plain but for one value somewhere."""
    message = draw(st.fixed_dictionaries(CONTENT, optional=MESSAGE))
    record = {"custom_id": draw(TEXT), "result": {"type": "succeeded", "message": message}}
    if draw(st.integers(0, 3)) == 0:
        part: Any = record
        while True:
            names = [name for name in part if isinstance(part, dict)] or list(range(len(part)))
            if not names:
                break
            name = draw(st.sampled_from(names))
            if not isinstance(part[name], dict | list) or draw(st.booleans()):
                part[name] = draw(ODD)
                break
            part = part[name]
    return orjson.dumps(record)


def said(answer: RawAnswer) -> dict[str, Any]:
    """Return what an answer says, by column."""
    names = ("stop_reason", "text", "model", "message_id")
    return {name: getattr(answer, name) for name in names} | answer.usage._asdict()


def rows(plain: PlainAnswers) -> list[dict[str, Any]]:
    """Return what answers say, by column."""
    columns = {name: column.to_pylist() for name, column in plain.columns.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@given(st.lists(a_line(), min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_any_lines(lines: list[bytes]) -> None:
    """Either all of a piece is read as line by line, or none of it."""
    plain = read_plain(b"".join(line + b"\n" for line in lines))
    if plain is None:
        return
    answers = [read_line(line) for line in lines]
    assert [(a.custom_id, a.kind, is_text(a)) for a in answers if isinstance(a, RawAnswer)] == [
        (name, "succeeded", True) for name in plain.custom_ids
    ]
    assert rows(plain) == [said(a) for a in answers if isinstance(a, RawAnswer)]


def line(**changes: object) -> bytes:
    """Return a line of a plain answer whose message has some other values."""
    message = {
        "id": "msg_1",
        "model": "m",
        "content": [{"type": "text", "text": "hi", "citations": None}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "cache_creation_input_tokens": 4, "output_tokens": 5},
    }
    result = {"type": "succeeded", "message": message | changes}
    return orjson.dumps({"custom_id": "a", "result": result}) + b"\n"


@pytest.mark.parametrize(
    "piece",
    [
        b"\n",
        b"[]\n",
        b'{"custom_id":"a","result":{"type":"expired"}}\n',
        line() + b'{"custom_id":"a","result":{"type":"canceled"}}\n',
        line() + b"\n",
        line(content=[]),
        line(content=[{"type": "text", "text": "hi"}, {"type": "text", "text": "ho"}]),
        line(content=[{"type": "tool_use", "text": "hi"}]),
        line(content=[{"type": "text", "text": "hi", "citations": [{"cited_text": "h"}]}]),
        line(usage={"input_tokens": -1}),
        line(usage={"input_tokens": 1.5}),
        line().replace(b'"hi"', b'"\\ud83d"'),
        line().replace(b'"hi"', b'"hi","text":"ho"'),
        line().replace(b'"custom_id":"a"', b'"custom_id":"a","custom_id":"b"'),
        line().replace(b'"custom_id":"a"', b'"custom_id":null'),
        line()[:-1],
        line()[:-1] + line() + b"\n",
        line()[:-1] + b" " + line() + b"\n",
        line().replace(b'"result"', b'\n"result"') + line()[:-1] + line(),
        line().replace(b'{"type":"succeeded"', b'\n{"type":"succeeded"') + line()[:-1] + line(),
        line().replace(b'"hi"', b'"\n"'),
        line().replace(b'"hi"', b'"\xff"'),
        b"\xef\xbb\xbf" + line(),
        line()[:-1] + b"\r\n",
        line()[:-2] + b"\n",
        line()[:-1] + b"}\n",
    ],
)
def test_what_is_read_line_by_line(piece: bytes) -> None:
    """Anything that is not one text, and anything that could be understood in two ways."""
    assert read_plain(piece) is None


def test_plain_answers_are_the_rows_that_lines_are(tmp_path: Path) -> None:
    """Both ways leave the same table, also when they follow each other."""
    piece = line() + line(stop_reason=None, usage=None) + line(container={"id": 1})
    plain = read_plain(piece)
    assert plain is not None
    one, many = tmp_path / "one.parquet", tmp_path / "many.parquet"
    judge = Judge()
    for path in (one, many):
        with AnswerWriter(path, submission="abcdefgh", batch_id="b", ended_at=None) as writer:
            for text in piece.splitlines() * (1 if path == many else 2):
                answer = read_line(text)
                assert not isinstance(answer, Oddity)
                writer.add(answer, judge.outcome(answer), digest=DIGEST, attempt=1)
            if path == many:
                digests, attempts, outcomes = [DIGEST] * 3, [1] * 3, [1] * 3
                writer.add_plain(plain, digests=digests, attempts=attempts, outcomes=outcomes)
    assert pq.read_table(many) == pq.read_table(one)
