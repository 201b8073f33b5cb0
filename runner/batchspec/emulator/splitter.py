r"""Cuts a create body into its requests while it arrives, without ever holding it whole.

The body is ``{"requests": [{…}, {…}]}``. JSON objects are prefix-free: no proper beginning of a
valid object is a valid object. So when the bytes between the start of an element and a likely
separator (``}, {"custom_id":``) parse as an object, that *is* the element, whatever else the
body holds. Only when the guess fails, or nothing to guess from has arrived yet, is the element
scanned token by token, each byte once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson

from batchspec.emulator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = re.compile(rb'\s*\{\s*"requests"\s*:\s*\[\s*')
_SEPARATOR = re.compile(rb'\}\s*,\s*\{\s*"(?:custom_id|params)"\s*:')
_SPACE = re.compile(rb"\s*")
_COMMA = re.compile(rb"\s*,\s*")
_TAIL = re.compile(rb"\]\s*\}\s*\Z")
_EXTRA_KEY = re.compile(rb'\]\s*,\s*"([^"\\]{0,100})"')
_STRUCTURE = re.compile(rb'["{}\[\]]')
# Possessive: a long run of escapes must not leave a trail of backtracking points in memory.
_STRING_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)

_DIAGNOSIS_BYTES = 1_000_000
_LONGEST_TAIL = 4096
_LOOK_BACK = 64
_QUOTE, _OPENING, _BRACE, _BRACKET_END = 0x22, b"{[", 0x7B, 0x5D


Stage = Literal["head", "element", "after", "tail"]


class Element(NamedTuple):
    """One element of ``requests``."""

    number: int
    """Position in the list, from 0."""
    offset: int
    """Where its first byte stands in the body."""
    length: int
    """How many bytes it has."""
    value: Any
    """The same, parsed: a JSON object."""


def bad_json(reason: str) -> ApiError:
    """Return the refusal of a body that is not JSON."""
    return ApiError(400, f"The request body is not valid JSON: {reason}")


class BodySplitter:
    """Feed it the body in pieces; it yields each request as soon as it is complete.

    Args:
        max_row_bytes: the longest request taken; ``None`` for any length.
    """

    def __init__(self, max_row_bytes: int | None = None) -> None:
        self._max_row = max_row_bytes
        self._buffer = bytearray()
        self._base = 0
        self._index = 0
        self._stage: Stage = "head"
        self._searched = 0
        self._scanned = 0
        self._depth = 0
        self._in_string = False
        self._guess_failed = False

    def feed(self, piece: bytes) -> Iterator[Element]:
        """Take more bytes and yield the requests they complete.

        Raises:
            ApiError: 400 or 413 when the body can no longer become a valid create body.
        """
        self._buffer += piece
        start = 0
        if self._stage == "head":
            self._stage, start = self._read_head()
        elif self._stage == "after":
            self._stage, start = self._read_after(0)
        while self._stage == "element":
            found = self._element(start)
            if found is None:
                break
            self._check_length(found[0] - start)
            yield Element(self._index, self._base + start, found[0] - start, found[1])
            self._index += 1
            self._stage, start = self._read_after(found[0])
        self._drop(start)
        self._check_room()

    def finish(self) -> int:
        """Say that the body is complete, and return how many requests it held.

        Raises:
            ApiError: 400 when the body is not a complete create body.
        """
        if self._stage == "head":
            raise _diagnose(bytes(self._buffer))
        if self._stage != "tail":
            raise bad_json("unexpected end of data")
        if not _TAIL.match(self._buffer):
            raise _diagnose_tail(bytes(self._buffer))
        return self._index

    def _read_head(self) -> tuple[Stage, int]:
        match = _HEAD.match(self._buffer)
        if match is None or match.end() == len(self._buffer):
            if len(self._buffer) > _DIAGNOSIS_BYTES:
                raise _diagnose(bytes(self._buffer))
            return "head", 0
        empty = self._buffer[match.end()] == _BRACKET_END
        return "tail" if empty else "element", match.end()

    def _read_after(self, end: int) -> tuple[Stage, int]:
        """Move over what stands behind an element; stay there when it has not arrived."""
        comma = _COMMA.match(self._buffer, end)
        if comma is not None:
            if comma.end() == len(self._buffer):
                return "after", end
            self._begin_element()
            return "element", comma.end()
        space = _SPACE.match(self._buffer, end)
        position = end if space is None else space.end()
        if position == len(self._buffer):
            return "after", position
        if self._buffer[position] != _BRACKET_END:
            raise bad_json(f"expected ',' or ']' after request {self._index - 1}")
        return "tail", position

    def _element(self, start: int) -> tuple[int, Any] | None:
        """Return the end and the value of the element at ``start``, or None: not all here."""
        if self._buffer[start] != _BRACE:
            raise self._not_an_object(start)
        guess = None if self._guess_failed else self._guess(start)
        if guess is not None:
            return guess
        end = self._scan(start)
        if end is None:
            return None
        try:
            return end, orjson.loads(self._buffer[start:end])
        except orjson.JSONDecodeError as error:
            raise bad_json(f"request {self._index}: {error.msg}") from error

    def _guess(self, start: int) -> tuple[int, Any] | None:
        match = _SEPARATOR.search(self._buffer, start + self._searched)
        if match is None:
            self._searched = max(0, len(self._buffer) - start - _LOOK_BACK)
            return None
        end = match.start() + 1
        try:
            return end, orjson.loads(self._buffer[start:end])
        except orjson.JSONDecodeError:
            self._guess_failed = True
            return None

    def _scan(self, start: int) -> int | None:
        """Walk on over brackets and strings; return where the element ends, if it does here."""
        buffer, size, position = self._buffer, len(self._buffer), start + self._scanned
        while position < size:
            if self._in_string:
                rest = _STRING_REST.match(buffer, position)
                position = position if rest is None else rest.end()
                if position == size or buffer[position] != _QUOTE:
                    break
                self._in_string = False
                position += 1
                continue
            token = _STRUCTURE.search(buffer, position)
            if token is None:
                position = size
                break
            position = token.end()
            self._count(buffer[position - 1])
            if self._depth == 0:
                return position
        self._scanned = position - start
        return None

    def _count(self, byte: int) -> None:
        if byte == _QUOTE:
            self._in_string = True
        elif byte in _OPENING:
            self._depth += 1
        else:
            self._depth -= 1

    def _begin_element(self) -> None:
        self._searched = 0
        self._scanned = 0
        self._depth = 0
        self._in_string = False
        self._guess_failed = False

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._base += count

    def _check_room(self) -> None:
        held = len(self._buffer)
        if self._stage == "tail" and held > _LONGEST_TAIL:
            raise _diagnose_tail(bytes(self._buffer[:_LONGEST_TAIL]))
        if self._stage == "element":
            self._check_length(held)

    def _check_length(self, length: int) -> None:
        if self._max_row is not None and length > self._max_row:
            raise ApiError(413, f"requests.{self._index}: longer than {self._max_row} bytes")

    def _not_an_object(self, start: int) -> ApiError:
        if self._buffer[start] == _BRACKET_END:
            return bad_json(f"a comma without a request behind it, after {self._index} requests")
        return ApiError(
            400, f"requests.{self._index}: Input should be a valid dictionary or object"
        )


def _diagnose(start: bytes) -> ApiError:
    """Return why a body that does not begin as a create body is refused."""
    if len(start) > _DIAGNOSIS_BYTES:
        return ApiError(400, "requests: Field required as the first key of the body")
    try:
        value = orjson.loads(start)
    except orjson.JSONDecodeError as error:
        return bad_json(error.msg)
    if not isinstance(value, dict):
        return ApiError(400, "Input should be a valid dictionary or object")
    for key in value:
        if key != "requests":
            return ApiError(400, f"{key}: Extra inputs are not permitted")
    if "requests" not in value:
        return ApiError(400, "requests: Field required")
    return ApiError(400, "requests: Input should be a valid list")


def _diagnose_tail(tail: bytes) -> ApiError:
    extra = _EXTRA_KEY.match(tail)
    if extra is not None:
        name = extra.group(1).decode(errors="replace")
        return ApiError(400, f"{name}: Extra inputs are not permitted")
    return bad_json("unexpected characters after the list of requests")
