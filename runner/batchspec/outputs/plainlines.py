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
import pyarrow.compute as pc
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
    if not _is_regular(piece):
        return None
    options = pj.ReadOptions(use_threads=False, block_size=len(piece) + 1)
    try:
        table = pj.read_json(pa.BufferReader(piece), options, _PARSE)
    except pa.ArrowInvalid:
        return None
    table = table.combine_chunks()
    custom_ids: list[str] = table["custom_id"].to_pylist()
    if table.num_rows != piece.count(b"\n") or not all(custom_ids):
        return None
    result = table["result"].chunk(0)
    content = pc.struct_field(result, ["message", "content"])
    if not (
        _all(pc.struct_field(result, "type"), "succeeded")
        and _all(pc.list_value_length(content), 1)
    ):
        return None
    blocks = pc.list_flatten(content)
    texts = pc.struct_field(blocks, "text")
    if texts.null_count or not _all(pc.struct_field(blocks, "type"), "text"):
        return None
    return PlainAnswers(
        custom_ids=custom_ids,
        stop_reasons=pc.struct_field(result, ["message", "stop_reason"]).to_pylist(),
        columns={
            "stop_reason": pc.struct_field(result, ["message", "stop_reason"]),
            "text": texts,
            "model": pc.struct_field(result, ["message", "model"]),
            "message_id": pc.struct_field(result, ["message", "id"]),
            **_usage(result),
        },
    )


def _is_regular(piece: bytes) -> bool:
    """Tell whether each line is one object, if they are as many objects as lines.

    Arrow reads on over a line's end, and over what follows an object on its line. Between two
    objects, or two parts of one, no line end has a brace on both sides but where a line ends.
    """
    count = piece.count(b"\n")
    if not (
        piece.startswith(_BEGIN)
        and piece.endswith(_END)
        and piece.count(_END + _BEGIN) == count - 1
        and _SURROGATE.search(piece) is None
    ):
        return False
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def _usage(result: Any) -> dict[str, Any]:
    """Return the columns of the tokens; see `lines.read_line`."""

    def field(*path: str) -> Any:
        return pc.struct_field(result, ["message", "usage", *path])

    def count(*path: str) -> Any:
        return pc.fill_null(field(*path), pa.scalar(0, _COUNT))

    split = pc.is_valid(field("cache_creation"))
    undivided = count("cache_creation_input_tokens")
    return {
        "input_tokens": count("input_tokens"),
        "output_tokens": count("output_tokens"),
        "cache_write_5m": pc.if_else(
            split, count("cache_creation", "ephemeral_5m_input_tokens"), undivided
        ),
        "cache_write_1h": count("cache_creation", "ephemeral_1h_input_tokens"),
        "cache_read": count("cache_read_input_tokens"),
        "thinking_tokens": count("output_tokens_details", "thinking_tokens"),
        "inference_geo": field("inference_geo"),
        "web_searches": count("server_tool_use", "web_search_requests"),
    }


def _all(values: Any, wanted: object) -> bool:
    """Tell whether every value is the one that is wanted; a null is not."""
    return values.null_count == 0 and pc.all(pc.equal(values, wanted)).as_py() is True
