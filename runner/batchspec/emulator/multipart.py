"""Reads ``multipart/form-data`` while it arrives; one part goes to disk, the others are small."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import Message
from typing import TYPE_CHECKING, BinaryIO

from batchspec.emulator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MOST_FIELD_BYTES = 64 * 1024
_MOST_HEADER_BYTES = 16 * 1024


@dataclass(slots=True, kw_only=True)
class Form:
    """What a form held."""

    fields: dict[str, str] = field(default_factory=dict)
    """Small fields by name."""
    filename: str | None = None
    """Filename of the file part; ``None`` when there was no file part."""
    mime_type: str | None = None
    """Content type of the file part."""
    size: int = 0
    """Bytes of the file part."""


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type header names.

    Raises:
        ApiError: 400 when it is not multipart/form-data with a boundary.
    """
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise ApiError(400, "Expected a multipart/form-data body with a boundary.")
    return boundary.encode(errors="replace")


class FormReader:
    """Takes the pieces of a form; the part named ``file`` is written to ``out``.

    Args:
        boundary: the boundary of the form.
        out: where the file part goes.
        most: the largest file taken.
    """

    def __init__(self, boundary: bytes, out: BinaryIO, most: int) -> None:
        self.form = Form()
        self._delimiter = b"\r\n--" + boundary
        # The first delimiter stands at the very beginning, without the line end before it.
        self._buffer = bytearray(b"\r\n")
        self._out = out
        self._most = most
        self._part: str | None = None
        self._text = bytearray()
        self._stage = "delimiter"

    def feed(self, piece: bytes) -> None:
        """Take more bytes.

        Raises:
            ApiError: 400 or 413 when the form is malformed or too large.
        """
        self._buffer += piece
        while self._step():
            pass
        if self._stage in ("after", "headers") and len(self._buffer) > _MOST_HEADER_BYTES:
            raise ApiError(400, "A part of the form has headers that are too long.")

    def finish(self) -> Form:
        """Say that the body is complete and return the form.

        Raises:
            ApiError: 400 when the form has no end or no file.
        """
        if self._stage != "end":
            raise ApiError(400, "The form ends before its last boundary.")
        if self.form.filename is None:
            raise ApiError(400, "file: Field required")
        return self.form

    def _step(self) -> bool:
        """Do one step of the current stage; return whether to go on."""
        if self._stage in ("delimiter", "body"):
            return self._read_body()
        if self._stage == "after":
            return self._read_after_delimiter()
        if self._stage == "headers":
            return self._read_headers()
        return False

    def _read_body(self) -> bool:
        position = self._buffer.find(self._delimiter)
        if position < 0:
            self._emit(max(0, len(self._buffer) - len(self._delimiter)))
            return False
        self._emit(position)
        del self._buffer[: len(self._delimiter)]
        if self._stage == "body":
            self._end_part()
        self._stage = "after"
        return True

    def _read_after_delimiter(self) -> bool:
        if self._buffer.startswith(b"--"):
            self._stage = "end"
            return False
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        del self._buffer[:end]
        self._stage = "headers"
        return True

    def _read_headers(self) -> bool:
        # The buffer begins with the line end of the delimiter, so empty headers end at once.
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        headers = Message()
        for line in bytes(self._buffer[:end]).decode(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip():
                headers[name.strip()] = value.strip()
        del self._buffer[: end + 4]
        self._begin_part(headers)
        self._stage = "body"
        return True

    def _begin_part(self, headers: Message) -> None:
        name = headers.get_param("name", header="content-disposition")
        self._part = str(name)
        self._text.clear()
        if self._part == "file":
            self.form.filename = headers.get_filename() or ""
            self.form.mime_type = headers.get_content_type() if "content-type" in headers else None

    def _emit(self, count: int) -> None:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        if self._stage == "delimiter" or not data:
            return
        if self._part == "file":
            self.form.size += len(data)
            if self.form.size > self._most:
                raise ApiError(413, f"File exceeds the maximum size of {self._most} bytes")
            self._out.write(data)
            return
        self._text += data
        if len(self._text) > _MOST_FIELD_BYTES:
            raise ApiError(400, f"{self._part}: the field is too long.")

    def _end_part(self) -> None:
        if self._part != "file":
            self.form.fields[str(self._part)] = self._text.decode(errors="replace")


async def read_form(
    body: AsyncIterator[bytes], content_type: str, out: BinaryIO, most: int
) -> Form:
    """Read a form to its end, and its file part to ``out``.

    Raises:
        ApiError: 400 or 413; the body is read to its end all the same, so that the client can
            read the answer.
    """
    refusal: ApiError | None = None
    reader: FormReader | None = None
    try:
        reader = FormReader(boundary_of(content_type), out, most)
    except ApiError as error:
        refusal = error
    async for piece in body:
        if refusal is None and reader is not None:
            try:
                reader.feed(piece)
            except ApiError as error:
                refusal = error
    if refusal is not None or reader is None:
        raise refusal or ApiError(400)
    return reader.finish()
