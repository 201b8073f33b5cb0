"""Sends the results of a batch, whole or as the faults want them (fact sheet §1.7, §12.2)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response, StreamingResponse

from batchspec.emulator.answering import errored
from batchspec.emulator.wire import Unfinished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

    from batchspec.emulator.faults import Firing

MEDIA_TYPE = "application/x-jsonl"
"""Content type of results since August 2026 (fact sheet §1.3)."""
_BLOCK = 1 << 20
_TRUNCATIONS = (
    "truncate_content_length", "truncate_chunked", "truncate_at_line", "truncate_mid_line",
)  # fmt: skip
_LINE_FAULTS = (
    "drop_every", "duplicate_every", "blank_lines", "unknown_ids", "unknown_result_type",
    "unknown_error_type", "garbage_line", "line_separators", "byte_order_mark",
)  # fmt: skip


def results_response(path: Path, firing: Firing) -> Response:
    """Return the answer that sends a results file."""
    truncation = next(firing.of(*_TRUNCATIONS), None)
    if truncation is not None:
        return _unfinished(path, firing, truncation.kind, truncation.options["lines"])
    if any(True for _ in firing.of(*_LINE_FAULTS)):
        return StreamingResponse(_joined(faulty_lines(path, firing)), media_type=MEDIA_TYPE)
    return StreamingResponse(file_blocks(path), media_type=MEDIA_TYPE)


async def file_blocks(path: Path) -> AsyncIterator[bytes]:
    """Yield the bytes of a file; it is closed when the last of them are taken."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


async def _joined(lines: Iterable[bytes]) -> AsyncIterator[bytes]:
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size > _BLOCK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _unfinished(path: Path, firing: Firing, kind: str, wanted: int | None) -> Response:
    total = sum(1 for _ in faulty_lines(path, firing))
    keep = total // 2 if wanted is None else min(wanted, total)
    lines: Iterator[bytes] = itertools.islice(faulty_lines(path, firing), keep)
    if kind != "truncate_at_line":
        lines = itertools.chain(lines, _half_line(path, firing, keep))
    headers = {"content-type": MEDIA_TYPE}
    if kind == "truncate_content_length":
        headers["content-length"] = str(sum(len(line) for line in faulty_lines(path, firing)))
    return Unfinished(_joined(lines), headers, chunked=kind == "truncate_chunked")


def _half_line(path: Path, firing: Firing, number: int) -> Iterator[bytes]:
    for line in itertools.islice(faulty_lines(path, firing), number, number + 1):
        yield line[: len(line) // 2]


def faulty_lines(path: Path, firing: Firing) -> Iterator[bytes]:
    """Yield the lines of a results file as the line faults change them."""
    if firing.has("byte_order_mark"):
        yield b"\xef\xbb\xbf"
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            yield from _changed(line, number, firing)
    for number in range(firing.option("unknown_ids", "count") or 0):
        stranger = {"custom_id": f"unknown-{number}", "result": {"type": "canceled"}}
        yield _line(stranger)


def _changed(line: bytes, number: int, firing: Firing) -> Iterator[bytes]:
    if _strikes(firing, "drop_every", number):
        return
    out = _rewritten(line, number, firing)
    yield out
    if _strikes(firing, "duplicate_every", number):
        yield out
    if _strikes(firing, "blank_lines", number):
        yield b"\n"
    if _strikes(firing, "garbage_line", number):
        yield b'{"custom_id": <html>\n'


def _strikes(firing: Firing, kind: str, number: int) -> bool:
    every = firing.option(kind, "every")
    return every is not None and number % every == 0


def _rewritten(line: bytes, number: int, firing: Firing) -> bytes:
    if _strikes(firing, "unknown_result_type", number):
        return _line({**orjson.loads(line), "result": {"type": "emulated_future_result"}})
    if _strikes(firing, "unknown_error_type", number):
        fault = errored("emulated_future_error", "An error type that no client knows.")
        return _line({**orjson.loads(line), "result": fault})
    if firing.has("line_separators"):
        return _separated(orjson.loads(line))
    return line


def _separated(value: dict[str, Any]) -> bytes:
    for block in value["result"].get("message", {}).get("content", []):
        if "text" in block:
            block["text"] += "\u2028\u0085next"
    return _line(value)


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
