"""Reading result lines: every paid answer comes through, nothing odd raises."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.outputs.rows import Oddity, RawAnswer, Usage, read_line


def succeeded(text: str = "yes", **message: Any) -> dict[str, Any]:
    """Return a succeeded line as the API writes it."""
    whole = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": text, "citations": None}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 11, "output_tokens": 36},
        **message,
    }
    return {"custom_id": "c1", "result": {"type": "succeeded", "message": whole}}


def answer(line: dict[str, Any] | bytes) -> RawAnswer:
    """Read a line that must be an answer."""
    found = read_line(line if isinstance(line, bytes) else orjson.dumps(line))
    assert isinstance(found, RawAnswer), found
    return found


def oddity(line: bytes) -> Oddity:
    """Read a line that must be odd."""
    found = read_line(line)
    assert isinstance(found, Oddity), found
    return found


def test_succeeded_line_with_full_usage() -> None:
    """Every billed category is read, with the cache writes split by lifetime."""
    usage = {
        "input_tokens": 18,
        "cache_creation_input_tokens": 5207,
        "cache_read_input_tokens": 9,
        "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 5200},
        "output_tokens": 37,
        "output_tokens_details": {"thinking_tokens": 5},
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1},
        "service_tier": "batch",
        "inference_geo": "us",
    }
    found = answer(succeeded("hi", usage=usage))
    assert found.usage == Usage(
        input_tokens=18,
        output_tokens=37,
        cache_write_5m=7,
        cache_write_1h=5200,
        cache_read=9,
        thinking_tokens=5,
        inference_geo="us",
        web_searches=3,
    )
    assert (found.kind, found.stop_reason, found.text) == ("succeeded", "end_turn", "hi")
    assert (found.model, found.message_id) == ("claude-haiku-4-5-20251001", "msg_1")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 11, "output_tokens": 36}, Usage(input_tokens=11, output_tokens=36)),
        (None, Usage()),
        ("much", Usage()),
        ({"input_tokens": None, "output_tokens": -1}, Usage()),
        ({"input_tokens": True, "output_tokens": 2**40}, Usage()),
        ({"cache_creation_input_tokens": 5, "cache_creation": None}, Usage(cache_write_5m=5)),
        ({"output_tokens": 9, "output_tokens_details": None}, Usage(output_tokens=9)),
    ],
)
def test_usage_fields_are_optional(usage: object, expected: Usage) -> None:
    """What the API leaves out, or sends in a strange shape, counts as 0 (fact sheet §1.8)."""
    assert answer(succeeded(usage=usage)).usage == expected


def test_text_blocks_are_joined_and_content_is_kept() -> None:
    """The text is that of all text blocks; other blocks stay in the content."""
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "x"},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t", "name": "n", "input": {}},
        {"type": "text", "text": "b"},
    ]
    found = answer(succeeded(content=content))
    assert found.text == "ab"
    assert found.content == tuple(content)


def test_refusal_keeps_its_details() -> None:
    """A refusal arrives as succeeded, without content, with a category (fact sheet §6.7)."""
    details = {"type": "refusal", "category": "cyber", "explanation": "no"}
    found = answer(succeeded(content=[], stop_reason="refusal", stop_details=details))
    assert (found.text, found.stop_reason, found.stop_details) == ("", "refusal", details)


def test_error_is_nested_twice() -> None:
    """Type, message, details and request id come from the two levels of fact sheet §1.7."""
    inner = {"type": "api_error", "message": "m", "details": {"error_visibility": "user_facing"}}
    error = {"type": "error", "error": inner, "request_id": "req_1"}
    found = answer({"custom_id": "c1", "result": {"type": "errored", "error": error}})
    assert (found.kind, found.error_type, found.error_message) == ("errored", "api_error", "m")
    assert found.error_details == {"error_visibility": "user_facing"}
    assert found.request_id == "req_1"


def test_unwrapped_error_is_understood() -> None:
    """A relay that unwraps the inner error loses nothing."""
    line = {"custom_id": "c", "result": {"type": "errored", "error": {"type": "api_error"}}}
    found = answer(line)
    assert (found.error_type, found.error_message) == ("api_error", "")


@pytest.mark.parametrize("kind", ["canceled", "expired"])
def test_unanswered_kinds(kind: str) -> None:
    """Canceled and expired lines carry nothing but their kind."""
    found = answer({"custom_id": "c", "result": {"type": kind}})
    assert (found.kind, found.error_type) == (kind, None)


def test_unknown_result_type_is_an_answer() -> None:
    """A result type from the future answers its question, as an error that names it."""
    found = answer({"custom_id": "c", "result": {"type": "postponed"}})
    assert (found.kind, found.error_type) == ("postponed", "unknown_result_type")
    assert "'postponed'" in (found.error_message or "")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "the line is blank"),
        (b" \r\n", "the line is blank"),
        (b"\x00", "the line is not JSON"),
        (b"<html>", "the line is not JSON"),
        (b'{"custom_id":"c","result":{"type":"succ', "the line is not JSON"),
        (b'{"custom_id":"\xff"}', "the line is not JSON"),
        (b'{"custom_id":"c","result":NaN}', "the line is not JSON"),
        (b"[" * 100_000, "the line is not JSON"),
        (b"[]", "the line is not a JSON object"),
        (b"3", "the line is not a JSON object"),
        (b"{}", "the line has no custom_id"),
        (b'{"custom_id":"","result":{}}', "the line has no custom_id"),
        (b'{"custom_id":7,"result":{}}', "the line has no custom_id"),
        (b'{"custom_id":"c"}', "the line has no result object"),
        (b'{"custom_id":"c","result":[]}', "the line has no result object"),
        (b'{"custom_id":"c","result":{}}', "the line's result has no type"),
        (b'{"custom_id":"c","result":{"type":["succeeded"]}}', "the line's result has no type"),
        (b'{"custom_id":"c","result":{"type":"succeeded"}}', "no message object"),
        (b'{"custom_id":"c","result":{"type":"succeeded","message":{}}}', "list of content"),
        (
            b'{"custom_id":"c","result":{"type":"succeeded","message":{"content":["x"]}}}',
            "list of content",
        ),
        (b'{"custom_id":"c","result":{"type":"errored"}}', "no error object"),
        (b'{"custom_id":"c","result":{"type":"errored","error":{}}}', "no error type"),
    ],
)
def test_odd_lines_are_values(line: bytes, reason: str) -> None:
    """What cannot be read is an oddity with its reason, never an exception."""
    found = oddity(line)
    assert reason in found.reason
    assert found.custom_id == ("c" if b'"c"' in line and "JSON" not in found.reason else None)


@given(st.binary())
def test_any_bytes_are_survived(line: bytes) -> None:
    """No sequence of bytes makes the reader raise."""
    assert isinstance(read_line(line), (RawAnswer, Oddity))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.sampled_from(["succeeded", "errored", "expired", "?"]), JSON)
def test_any_shape_of_result_is_survived(kind: str, payload: object) -> None:
    """No shape of message or error makes the reader raise."""
    line = {"custom_id": "c", "result": {"type": kind, "message": payload, "error": payload}}
    assert isinstance(read_line(json.dumps(line).encode()), (RawAnswer, Oddity))


@given(st.text())
def test_text_round_trips(text: str) -> None:
    """Any text comes through unchanged, however it was escaped."""
    line = succeeded(text)
    assert answer(orjson.dumps(line)).text == text
    assert answer(json.dumps(line).encode() + b"\n").text == text


def test_half_an_emoji_does_not_lose_the_answer() -> None:
    """A lone surrogate escape becomes U+FFFD; pairs and escaped backslashes stay as they are."""
    line = json.dumps(succeeded("TEXT")).encode()
    text = rb"a\ud83d b\ud83d\ude00 c\\ud83d d\ude00 \\\ud83d"
    assert answer(line.replace(b"TEXT", text)).text == "a� b😀 c\\ud83d d� \\�"


def test_byte_order_mark_is_tolerated() -> None:
    """A relay's byte order mark does not lose the first answer."""
    assert answer(b"\xef\xbb\xbf" + orjson.dumps(succeeded("x"))).text == "x"
