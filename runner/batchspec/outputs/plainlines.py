"""Many result lines at once, in the common case that each answer is its text and nothing more.

Arrow reads a piece of lines in a fifth of the time that they take one by one. It is asked for
exactly what `lines.read_line` makes a row of; where a line of the piece is anything else (an error,
a tool call, thinking, a count that is no count) there is no fast way, and the piece is read line by
line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.json as pj

_COUNT: Final = pa.uint32()
_USAGE: Final = pa.struct(
    {
        "input_tokens": _COUNT,
        "output_tokens": _COUNT,
        "cache_creation_input_tokens": _COUNT,
        "cache_read_input_tokens": _COUNT,
        "cache_creation": pa.struct(
            {"ephemeral_5m_input_tokens": _COUNT, "ephemeral_1h_input_tokens": _COUNT}
        ),
        "output_tokens_details": pa.struct({"thinking_tokens": _COUNT}),
        "inference_geo": pa.string(),
        "server_tool_use": pa.struct({"web_search_requests": _COUNT}),
    }
)
_BLOCK: Final = pa.struct({"type": pa.string(), "text": pa.string(), "citations": pa.null()})
_MESSAGE: Final = pa.struct(
    {
        "id": pa.string(),
        "model": pa.string(),
        "content": pa.list_(_BLOCK),
        "stop_reason": pa.string(),
        "usage": _USAGE,
    }
)
_RESULT: Final = pa.struct({"type": pa.string(), "message": _MESSAGE})
_LINE: Final = pa.schema({"custom_id": pa.string(), "result": _RESULT})
_PARSE: Final = pj.ParseOptions(explicit_schema=_LINE, unexpected_field_behavior="ignore")
_BEGIN: Final = b'{"'
_END: Final = b"}\n"
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
"""Half of an emoji may have been cut, which `lines` repairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainAnswers:
    """Answers that succeeded and are one text each, in the order of their lines."""

    custom_ids: list[str]
    stop_reasons: list[str | None]
    columns: dict[str, Any]
    """Arrow arrays of what the answers say, named as in `answers.ANSWER_SCHEMA`."""

    @property
    def size(self) -> int:
        """Bytes of all texts, about."""
        return int(self.columns["text"].nbytes)


def read_plain(piece: bytes) -> PlainAnswers | None:
    """Read whole lines; None: they have to be read one by one, for one of them may be odd."""
    count = _regular_lines(piece)
    if not count:
        return None
    options = pj.ReadOptions(use_threads=False, block_size=len(piece) + 1)
    try:
        table = pj.read_json(pa.BufferReader(piece), options, _PARSE)
    except pa.ArrowInvalid:
        return None
    table = table.combine_chunks()
    custom_ids: list[str] = table["custom_id"].to_pylist()
    if table.num_rows != count or not all(custom_ids):
        return None
    said = _fields(table["result"].chunk(0))
    message = _fields(said["message"])
    blocks = message["content"]
    if set(said["type"].to_pylist()) != {"succeeded"} or not _one_each(blocks):
        return None
    block = _fields(blocks.values.slice(blocks.offsets[0].as_py(), len(blocks)))
    if block["text"].null_count or set(block["type"].to_pylist()) != {"text"}:
        return None
    return PlainAnswers(
        custom_ids=custom_ids,
        stop_reasons=message["stop_reason"].to_pylist(),
        columns={
            "stop_reason": message["stop_reason"],
            "text": block["text"],
            "model": message["model"],
            "message_id": message["id"],
            **_usage(message["usage"]),
        },
    )


def _regular_lines(piece: bytes) -> int:
    """Return how many lines there are; 0: one of them may be something else than one object.

    None is where they are as many objects as lines. Arrow reads on over a line's end, and over what
    follows an object on its line. Between two objects, or two parts of one, no line end has a brace
    on both sides but where a line ends.
    """
    count = piece.count(b"\n")
    if not (
        piece.startswith(_BEGIN)
        and piece.endswith(_END)
        and piece.count(_END + _BEGIN) == count - 1
        and _SURROGATE.search(piece) is None
    ):
        return 0
    try:
        piece.decode()
    except UnicodeDecodeError:
        return 0
    return count


def _usage(usage: Any) -> dict[str, Any]:
    """Return the columns of the tokens; see `lines.read_line`."""
    told = _fields(usage)
    split = told["cache_creation"]
    written, details = _fields(split), _fields(told["output_tokens_details"])
    short = _count(written["ephemeral_5m_input_tokens"])
    if split.null_count:
        undivided = _count(told["cache_creation_input_tokens"]).to_pylist()
        known = zip(split.to_pylist(), short.to_pylist(), undivided, strict=True)
        short = pa.array([whole if lives is None else one for lives, one, whole in known], _COUNT)
    return {
        "input_tokens": _count(told["input_tokens"]),
        "output_tokens": _count(told["output_tokens"]),
        "cache_write_5m": short,
        "cache_write_1h": _count(written["ephemeral_1h_input_tokens"]),
        "cache_read": _count(told["cache_read_input_tokens"]),
        "thinking_tokens": _count(details["thinking_tokens"]),
        "inference_geo": told["inference_geo"],
        "web_searches": _count(_fields(told["server_tool_use"])["web_search_requests"]),
    }


def _fields(struct: Any) -> dict[str, Any]:
    """Return the fields of records; one that is null has only nulls."""
    names = [field.name for field in struct.type]
    return dict(zip(names, struct.flatten(), strict=True))


def _count(numbers: Any) -> Any:
    """Return numbers with 0 for what is null."""
    if not numbers.null_count:
        return numbers
    if numbers.null_count == len(numbers):
        return pa.repeat(pa.scalar(0, _COUNT), len(numbers))
    return pa.array([number or 0 for number in numbers.to_pylist()], _COUNT)


def _one_each(lists: Any) -> bool:
    """Tell whether every list is there and has one element."""
    if lists.null_count:
        return False
    first, *others = lists.offsets.to_pylist()
    return bool(others == list(range(first + 1, first + len(lists) + 1)))
