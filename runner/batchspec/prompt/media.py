"""What a file's bytes are: the kinds the API takes, pixels of images, pages of PDFs.

Names and endings prove nothing; the API looks at the bytes, and so does this. Nothing is decoded:
headers are read, and of PDFs only the page tree's own count.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import zlib
from collections.abc import Iterator
from typing import Literal

from batchspec.records import frozen
from batchspec.spec.facts import PAGE_TOKENS

Kind = Literal["image", "pdf", "text"]

_PNG = b"\x89PNG\r\n\x1a\n"
_TILE = 28
"""Pixels of one visual token's side (fact sheet §6.5)."""
_MAX_INFLATED = 16 * 1024 * 1024
_HEAD = 1024
"""A PDF's header may stand behind some other bytes."""


@frozen
class Media:
    """What is known of a file's content."""

    kind: Kind
    media_type: str
    width: int | None = None
    height: int | None = None
    """Pixels of an image; None: its header does not say, or it is none."""
    pages: int | None = None
    """Pages of a PDF; None: not found, or it is none."""
    fault: str | None = None
    """Why the content cannot be used although its kind can, to stand after "it is"."""

    def tokens(self, page_tokens: int = PAGE_TOKENS) -> int | None:
        """Guess the tokens of an image or a PDF (fact sheet §6.5).

        Args:
            page_tokens: Those of a page of a PDF.

        Returns:
            The tokens; 0 for text, which is paid by its characters, and None for a file that does
            not say how large it is.
        """
        if self.kind == "text":
            return 0
        if self.kind == "pdf":
            return page_tokens * self.pages if self.pages else None
        if self.width is None or self.height is None:
            return None
        return tiles(self.width) * tiles(self.height)


def tiles(side: int) -> int:
    """Return how many visual tokens stand along so many pixels."""
    return -(-side // _TILE)


def examine(data: bytes) -> Media | None:
    """Return what a file's content is, or None when it is nothing that can be sent."""
    for magic, media_type, measure in _IMAGES:
        if data.startswith(magic):
            size = measure(data)
            fault = None if size is None or all(size) else "a picture without pixels"
            if size is None and media_type in {"image/png", "image/gif"}:
                fault = "cut off before its size"
            if media_type == "image/webp" and data[8:12] != b"WEBP":
                return None
            width, height = size or (None, None)
            return Media(
                kind="image", media_type=media_type, width=width, height=height, fault=fault
            )
    if b"%PDF-" in data[:_HEAD]:
        fault = "encrypted" if _ENCRYPTED.search(data) else None
        pages = _pdf_pages(data)
        return Media(kind="pdf", media_type="application/pdf", pages=pages, fault=fault)
    if b"\0" in data:
        return None
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return Media(kind="text", media_type="text/plain")


def _png(data: bytes) -> tuple[int, int] | None:
    if data[12:16] != b"IHDR" or len(data) < 24:  # noqa: PLR2004 - where the sizes end
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _gif(data: bytes) -> tuple[int, int] | None:
    if len(data) < 10:  # noqa: PLR2004 - where the sizes end
        return None
    return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")


_FILL = 0xFF
"""Begins every marker of a JPEG file, and pads between them."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset((0x01, _FILL, *range(0xD0, 0xDA)))
"""Markers without a length."""


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """Walk the segments up to the frame header, which holds height and width."""
    at = 2
    while at + 9 <= len(data) and data[at] == _FILL:
        marker = data[at + 1]
        if marker in _FRAMES:
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            return int.from_bytes(data[at + 7 : at + 9], "big"), height
        at += 1 if marker == _FILL else 2
        if marker not in _BARE:
            at += int.from_bytes(data[at : at + 2], "big")
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    form, body = data[12:16], data[20:30]
    if len(body) < 10:  # noqa: PLR2004 - where the sizes end
        return None
    if form == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if form == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        sizes = int.from_bytes(body[6:8], "little"), int.from_bytes(body[8:10], "little")
        return sizes[0] & 0x3FFF, sizes[1] & 0x3FFF
    if form == b"VP8L" and body[0] == 0x2F:  # noqa: PLR2004 - its signature
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


_IMAGES = (
    (_PNG, "image/png", _png),
    (b"\xff\xd8\xff", "image/jpeg", _jpeg),
    (b"GIF87a", "image/gif", _gif),
    (b"GIF89a", "image/gif", _gif),
    (b"RIFF", "image/webp", _webp),
)

_ENCRYPTED = re.compile(rb"/Encrypt\s+\d{1,9}\s+\d{1,5}\s+R\b")
"""The reference from a PDF's trailer to what one needs a password for."""
_PAGES = re.compile(rb"/Type\s*/Pages\b")
_COUNT = re.compile(rb"/Count\s+(\d{1,7})\b")
_OBJECTS = re.compile(rb"/Type\s*/ObjStm\b.{0,400}?stream\r?\n", re.DOTALL)
_REACH = 20_000
"""Bytes around a node of the page tree in which its count is looked for; its kids may be many."""
_MOST = 1000
"""So many nodes and compressed streams are looked at; a file could hold millions."""


def _pdf_pages(data: bytes) -> int | None:
    """Return the largest count of a page tree: the root's, since counts include all below.

    Page trees may stand in compressed object streams; those are inflated up to a bound.
    """
    found = list(_counts(data))
    left = _MAX_INFLATED
    view = memoryview(data)
    for match in itertools.islice(_OBJECTS.finditer(data), _MOST):
        if left <= 0:
            break
        with contextlib.suppress(zlib.error):
            text = zlib.decompressobj().decompress(view[match.end() :], left)
            left -= len(text)
            found += _counts(text)
    return max(found, default=None)


def _counts(text: bytes) -> Iterator[int]:
    """Yield the counts of the page tree's nodes, each from the mapping its type stands in."""
    for match in itertools.islice(_PAGES.finditer(text), _MOST):
        start = max(0, text.rfind(b"<<", match.start() - _REACH, match.start()))
        near = text.find(b">>", match.end(), match.end() + _REACH)
        far = text.find(b"endobj", match.end(), match.end() + _REACH)
        for end in (near, far):
            count = _COUNT.search(text, start, end) if end > 0 else None
            if count is not None:
                yield int(count[1])
                break
