"""Takes a create body in: to disk, request by request, checked on the way (fact sheet §2.3)."""

from __future__ import annotations

import re
import shutil
import zlib
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from batchspec.emulator.errors import ApiError
from batchspec.emulator.params import Terms, params_fault, refused_in_batches
from batchspec.emulator.rowindex import Row, write_row
from batchspec.emulator.splitter import BodySplitter, Element, bad_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from batchspec.emulator.settings import EmulatorSettings

_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ID_PATTERN = "^[a-zA-Z0-9_-]{1,64}$"
_LONGEST_ID = 64
_BLOCK = 256 * 1024


class Intake:
    """One create body on its way in.

    Args:
        folder: an empty folder for the files of the batch.
        settings: limits and choices.
        terms: what the headers say about every row.
    """

    def __init__(self, folder: Path, settings: EmulatorSettings, terms: Terms) -> None:
        self.folder = folder
        self.total = 0
        self._settings = settings
        self._terms = terms
        self._seen: set[str] = set()
        self._splitter = BodySplitter(settings.limits.max_row_bytes)

    def discard(self) -> None:
        """Remove what has arrived."""
        shutil.rmtree(self.folder, ignore_errors=True)

    async def receive(self, body: AsyncIterator[bytes]) -> None:
        """Take the whole body.

        The body is read to its end even when its beginning is already refused: a client that is
        still sending would otherwise see a broken connection and not the answer.

        Raises:
            ApiError: 400 or 413 when the body is refused.
        """
        refusal: ApiError | None = None
        with (
            (self.folder / "body.json").open("wb") as spool,
            (self.folder / "rows.bin").open("wb") as rows,
        ):
            async for block in blocks(body):
                if refusal is not None:
                    continue
                spool.write(block)
                try:
                    self._take(block, spool.tell(), rows)
                except ApiError as error:
                    refusal = error
        if refusal is not None:
            raise refusal
        self._finish()

    def _take(self, block: bytes, size: int, rows: Any) -> None:
        most = self._settings.limits.max_body_bytes
        if size > most:
            raise ApiError(413, f"Request exceeds the maximum size of {most} bytes")
        for element in self._splitter.feed(block):
            custom_id, params = self._checked(element)
            try:
                canonical = orjson.dumps(params, option=orjson.OPT_SORT_KEYS)
            except TypeError as error:
                raise bad_json(f"request {element.number} is nested too deeply") from error
            digest = sha256(canonical).digest()
            write_row(rows, Row(element.offset, element.length, digest, custom_id))

    def _finish(self) -> None:
        self.total = self._splitter.finish()
        if self.total == 0:
            raise ApiError(
                400, "requests: List should have at least 1 item after validation, not 0"
            )

    def _checked(self, element: Element) -> tuple[str, dict[str, Any]]:
        place = f"requests.{element.number}"
        most = self._settings.limits.max_requests
        if element.number >= most:
            raise ApiError(400, f"requests: List should have at most {most} items")
        for key in element.value:
            if key not in ("custom_id", "params"):
                raise ApiError(400, f"{place}.{key}: Extra inputs are not permitted")
        custom_id = _checked_id(element.value, place)
        if custom_id in self._seen:
            raise ApiError(400, f"{place}.custom_id: '{custom_id}' is not unique in the batch")
        self._seen.add(custom_id)
        params = element.value.get("params")
        if not isinstance(params, dict):
            what = "Field required" if params is None else "Input should be a valid dictionary"
            raise ApiError(400, f"{place}.params: {what}")
        self._refuse_early(params, place)
        return custom_id, params

    def _refuse_early(self, params: dict[str, Any], place: str) -> None:
        """Refuse the batch for faults that the settings put at its creation."""
        choices = self._settings.unknowns
        fault = refused_in_batches(params) if choices.stream_refusal == "create" else None
        if fault is None and choices.row_errors == "create":
            fault = params_fault(params, self._terms)
        if fault is not None:
            raise ApiError(400, f"{place}.params.{fault}")


def _checked_id(value: dict[str, Any], place: str) -> str:
    custom_id = value.get("custom_id")
    if custom_id is None:
        raise ApiError(400, f"{place}.custom_id: Field required")
    if not isinstance(custom_id, str):
        raise ApiError(400, f"{place}.custom_id: Input should be a valid string")
    if len(custom_id) > _LONGEST_ID:
        raise ApiError(400, f"{place}.custom_id: String should have at most 64 characters")
    if not _CUSTOM_ID.fullmatch(custom_id):
        raise ApiError(400, f"{place}.custom_id: String should match pattern '{_ID_PATTERN}'")
    return custom_id


async def blocks(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join the pieces of a body to blocks of a size that is cheap to handle."""
    pieces: list[bytes] = []
    size = 0
    async for piece in body:
        pieces.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(pieces)
            pieces, size = [], 0
    if size:
        yield b"".join(pieces)


async def gunzipped(body: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """Decompress a gzip body (fact sheet §2.5).

    Raises:
        ApiError: 400 when it is not gzip, 413 when it is longer than ``most`` bytes unpacked.
    """
    unpack = zlib.decompressobj(wbits=31)
    size = 0
    async for piece in body:
        rest = piece
        while rest:
            try:
                block = unpack.decompress(rest, _BLOCK)
            except zlib.error as error:
                raise ApiError(
                    400, "The request body is not gzip.", code="request_body_encoding_invalid"
                ) from error
            size += len(block)
            if size > most:
                raise ApiError(
                    413,
                    "Request body is too large after decoding.",
                    kind="invalid_request_error",
                    code="request_body_too_large_after_decoding",
                )
            yield block
            rest = unpack.unconsumed_tail
    if not unpack.eof:
        raise ApiError(400, "The gzip body is cut.", code="request_body_encoding_invalid")
