"""One line of a batch's results, read strictly and without ever raising.

A paid answer must not be lost to an oddity in its neighbour, so what cannot be read is an `Oddity`
value: the caller counts and reports it, and the raw line stays in the result segment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeGuard

import orjson

from batchspec.plan.cost import Usage

UNKNOWN_RESULT: Final = "unknown_result_type"
"""``error_type`` given to a result whose type this version does not know (fact sheet §1.7)."""


NO_USAGE: Final = Usage()


class RawAnswer(NamedTuple):
    """What the API said to one request, before anything is judged (fact sheet §1.7, §1.8).

    A named tuple, not a dataclass: collecting makes millions of them.
    """

    custom_id: str
    kind: str
    """``succeeded``, ``errored``, ``canceled``, ``expired``, or a type unknown to this version."""
    stop_reason: str | None = None
    stop_details: dict[str, Any] | None = None
    """Category and explanation of a refusal."""
    text: str = ""
    """The text blocks of the answer, joined without a separator."""
    content: tuple[dict[str, Any], ...] = ()
    """All blocks of the answer as the API sent them."""
    error_type: str | None = None
    error_message: str | None = None
    error_details: dict[str, Any] | None = None
    request_id: str | None = None
    """Only on errors, where the API gives one."""
    model: str | None = None
    """The model that answered; may be a dated id where an alias was asked for."""
    message_id: str | None = None
    usage: Usage = NO_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """A line that is no answer. Reported, never fatal."""

    reason: str
    """What is odd, as a clause, e.g. ``the line is blank``."""
    custom_id: str | None = None
    """The line's custom_id where that much could be read."""


def is_text(answer: RawAnswer) -> bool:
    """Tell whether an answer is its text and nothing more: no call, no thinking, no citation."""
    if len(answer.content) != 1:
        return not answer.content
    (block,) = answer.content
    return block.get("type") == "text" and not block.get("citations")


_ESCAPES: Final = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_LONE: Final = 6
"""Length of one ``\\uXXXX`` escape; a pair is twice that, an escaped backslash two."""
_BOM: Final = b"\xef\xbb\xbf"


def read_line(line: bytes) -> RawAnswer | Oddity:
    """Read one line of a results file, with or without its line end."""
    record = _parse(line)
    if isinstance(record, Oddity):
        return record
    custom_id, result = record.get("custom_id"), record.get("result")
    if type(custom_id) is not str or not custom_id:
        return Oddity(reason="the line has no custom_id")
    if type(result) is not dict:
        return Oddity(reason="the line has no result object", custom_id=custom_id)
    kind = result.get("type")
    if kind == "succeeded":
        return _succeeded(custom_id, result.get("message"))
    return _failed(custom_id, kind, result)


class Head(NamedTuple):
    """What a line is about."""

    custom_id: str
    paid: bool
    """It is an answer; only those are billed (fact sheet §1.7)."""


def read_head(line: bytes) -> Head | Oddity:
    """Return what a line that `read_line` can read is about, without taking it apart."""
    record = _parse(line)
    if isinstance(record, Oddity):
        return record
    custom_id, result = record.get("custom_id"), record.get("result")
    if type(custom_id) is str and custom_id and type(result) is dict:
        message = result.get("message")
        if result.get("type") == "succeeded" and type(message) is dict:
            content = message.get("content")
            if _is_blocks(content):
                return Head(custom_id, paid=True)
    answer = read_line(line)
    return answer if isinstance(answer, Oddity) else Head(answer.custom_id, paid=False)


def _failed(custom_id: str, kind: object, result: dict[str, Any]) -> RawAnswer | Oddity:
    if kind == "errored":
        return _errored(custom_id, result.get("error"))
    if type(kind) is not str or not kind:
        return Oddity(reason="the line's result has no type", custom_id=custom_id)
    if kind in {"canceled", "expired"}:
        return RawAnswer(custom_id=custom_id, kind=kind)
    return RawAnswer(
        custom_id=custom_id,
        kind=kind,
        error_type=UNKNOWN_RESULT,
        error_message=f"The API answered with the result type {kind!r}, which is not known "
        "here; it may have been paid.",
    )


def _parse(line: bytes) -> dict[str, Any] | Oddity:
    """Return the line's JSON object."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        if not line.strip():
            return Oddity(reason="the line is blank")
        try:
            record = orjson.loads(_repaired(line))
        except orjson.JSONDecodeError as error:
            return Oddity(reason=f"the line is not JSON ({error.msg} at byte {error.pos})")
    if type(record) is not dict:
        return Oddity(reason="the line is not a JSON object")
    return record


def _repaired(line: bytes) -> bytes:
    """Return the line without a byte order mark, lone surrogate escapes as U+FFFD.

    Some JSON writers escape half of an emoji that was cut; the answer is paid for and stays usable.
    """

    def replace(match: re.Match[bytes]) -> bytes:
        found = match.group()
        return b"\\ufffd" if len(found) == _LONE else found

    return _ESCAPES.sub(replace, line.removeprefix(_BOM))


def _succeeded(custom_id: str, message: object) -> RawAnswer | Oddity:
    if type(message) is not dict:
        return Oddity(reason="a succeeded line has no message object", custom_id=custom_id)
    content = message.get("content")
    if not _is_blocks(content):
        return Oddity(reason="a succeeded line has no list of content blocks", custom_id=custom_id)
    details = message.get("stop_details")
    return RawAnswer(
        custom_id=custom_id,
        kind="succeeded",
        stop_reason=_text(message.get("stop_reason")),
        stop_details=details if type(details) is dict else None,
        text=_joined(content),
        content=tuple(content),
        model=_text(message.get("model")),
        message_id=_text(message.get("id")),
        usage=_usage(message.get("usage")),
    )


def _errored(custom_id: str, error: object) -> RawAnswer | Oddity:
    """Read ``result.error``: the error is nested twice (fact sheet §1.7)."""
    if type(error) is not dict:
        return Oddity(reason="an errored line has no error object", custom_id=custom_id)
    inner = error.get("error")
    # Some relays unwrap the inner error; its type and message are as good there.
    cause = inner if type(inner) is dict else error
    kind = _text(cause.get("type"))
    if kind is None:
        return Oddity(reason="an errored line has no error type", custom_id=custom_id)
    details = cause.get("details")
    return RawAnswer(
        custom_id=custom_id,
        kind="errored",
        error_type=kind,
        error_message=_text(cause.get("message")) or "",
        error_details=details if type(details) is dict else None,
        request_id=_text(error.get("request_id")),
    )


def _is_blocks(content: object) -> TypeGuard[list[dict[str, Any]]]:
    if type(content) is not list:
        return False
    if len(content) == 1:
        return type(content[0]) is dict
    return all(type(block) is dict for block in content)


def _joined(content: list[dict[str, Any]]) -> str:
    if len(content) == 1 and content[0].get("type") == "text":
        return _text(content[0].get("text")) or ""
    texts = (block.get("text") for block in content if block.get("type") == "text")
    return "".join(text for text in texts if type(text) is str)


def _usage(usage: object) -> Usage:
    if type(usage) is not dict:
        return NO_USAGE
    split, details = usage.get("cache_creation"), usage.get("output_tokens_details")
    tools = usage.get("server_tool_use")
    if type(split) is dict:
        short = _count(split.get("ephemeral_5m_input_tokens"))
        long = _count(split.get("ephemeral_1h_input_tokens"))
    else:
        # Without the split it can only be the default lifetime, five minutes.
        short, long = _count(usage.get("cache_creation_input_tokens")), 0
    return Usage(
        input_tokens=_count(usage.get("input_tokens")),
        output_tokens=_count(usage.get("output_tokens")),
        cache_write_5m=short,
        cache_write_1h=long,
        cache_read=_count(usage.get("cache_read_input_tokens")),
        thinking_tokens=_count(details.get("thinking_tokens")) if type(details) is dict else 0,
        inference_geo=_text(usage.get("inference_geo")),
        web_searches=_count(tools.get("web_search_requests")) if type(tools) is dict else 0,
    )


def _text(value: object) -> str | None:
    return value if type(value) is str else None


_MOST: Final = 2**32 - 1
"""Counts are kept in 32 bits; no answer comes near it, a hostile relay's number might."""


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value <= _MOST else 0
