"""How many tokens a picture or a PDF counts as, by the documented formulas (fact sheet §6.5)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

UNKNOWN_TOKENS = 1500
"""Of media whose content the emulator does not see: addresses and uploaded files."""
CHARS_PER_TOKEN = 4
"""Of a text."""
PAGE_TOKENS = 2250
"""The middle of the documented 1,500 to 3,000 per page."""
_TILE = 28
_LONGEST_SIDE = 8000
_MOST_IMAGE_CHARS = 10_000_000
_MOST_PDF_BYTES = 32_000_000
_MOST_IMAGES = {True: 600, False: 100}
"""Of one request, by whether the window of the model is large."""
_MOST_PAGES = {True: 600, False: 100}
"""Of one PDF, likewise."""
_PAGE = re.compile(rb"/Type\s*/Page\b(?!s)")
_JPEG_FRAME = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]..\x08(....)", re.DOTALL)


Measure = Callable[[str], int | None]
"""Returns the tokens of an uploaded file by its id, or ``None`` when it cannot be read."""


def media_fault(params: dict[str, Any], *, large: bool) -> str | None:
    """Return the first fault of pictures and PDFs sent as base64, and of how many there are.

    Args:
        params: params whose blocks have passed the checks.
        large: whether the model has a window of one million tokens.
    """
    pictures = 0
    for number, message in enumerate(params["messages"]):
        content = message["content"]
        for position, block in enumerate(() if isinstance(content, str) else content):
            pictures += block["type"] == "image"
            fault = _block_fault(block, large=large)
            if fault is not None:
                return f"messages.{number}.content.{position}.{block['type']}.source: {fault}"
    most = _MOST_IMAGES[large]
    return None if pictures <= most else f"messages: at most {most} images, not {pictures}"


def _block_fault(block: dict[str, Any], *, large: bool) -> str | None:
    source: Any = block.get("source")
    if block["type"] not in ("image", "document") or source.get("type") != "base64":
        return None
    try:
        data = base64.b64decode(source["data"], validate=True)
    except (TypeError, ValueError):
        return "the data are not valid base64"
    if block["type"] == "image":
        return _image_fault(len(source["data"]), _pixels(data))
    if source["media_type"] == "application/pdf":
        return _pdf_fault(data, _MOST_PAGES[large])
    return None


def _image_fault(characters: int, size: tuple[int, int] | None) -> str | None:
    if characters > _MOST_IMAGE_CHARS:
        return f"image exceeds the maximum of {_MOST_IMAGE_CHARS} characters of base64"
    if size is not None and max(size) > _LONGEST_SIDE:
        return f"image dimensions exceed the maximum of {_LONGEST_SIDE} pixels a side"
    return None


def _pdf_fault(data: bytes, most: int) -> str | None:
    if len(data) > _MOST_PDF_BYTES:
        return f"PDF exceeds the maximum of {_MOST_PDF_BYTES} bytes"
    pages = len(_PAGE.findall(data))
    return None if pages <= most else f"at most {most} PDF pages, not {pages}"


def media_tokens(source: dict[str, Any], measure: Measure) -> int:
    """Return the tokens of an image's or a document's source."""
    if source.get("type") == "file":
        tokens = measure(str(source.get("file_id")))
        return UNKNOWN_TOKENS if tokens is None else tokens
    if source.get("type") != "base64":
        return UNKNOWN_TOKENS
    try:
        data = base64.b64decode(source["data"])
    except (KeyError, TypeError, binascii.Error):
        return UNKNOWN_TOKENS
    if source.get("media_type") == "application/pdf":
        return _page_tokens(data)
    return _pixel_tokens(data)


def file_tokens(data: bytes) -> int:
    """Return the tokens of a file's bytes: of a PDF, a text, or a picture."""
    if b"%PDF-" in data[:1024]:
        return _page_tokens(data)
    try:
        return max(1, -(-len(data.decode("utf-8")) // CHARS_PER_TOKEN))
    except UnicodeDecodeError:
        return _pixel_tokens(data)


def _page_tokens(data: bytes) -> int:
    return PAGE_TOKENS * max(1, len(_PAGE.findall(data)))


def _pixel_tokens(data: bytes) -> int:
    size = _pixels(data)
    return UNKNOWN_TOKENS if size is None else _tiles(size[0]) * _tiles(size[1])


def _tiles(side: int) -> int:
    return max(1, -(-side // _TILE))


def _pixels(data: bytes) -> tuple[int, int] | None:
    """Return both sides of a PNG, GIF or JPEG image."""
    if data[:4] == b"\x89PNG":
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data[:3] == b"GIF":
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    frame = _JPEG_FRAME.search(data) if data[:2] == b"\xff\xd8" else None
    if frame is None:
        return None
    return int.from_bytes(frame[1][:2], "big"), int.from_bytes(frame[1][2:], "big")
