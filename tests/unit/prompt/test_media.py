"""Bytes are what they are, whatever a file is called."""

from __future__ import annotations

import zlib

import pytest

from batchspec.prompt.media import examine

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (300).to_bytes(4, "big") + (29).to_bytes(4, "big")
GIF = b"GIF89a" + (300).to_bytes(2, "little") + (29).to_bytes(2, "little")
FRAME = b"\xff\xc2\0\x11\x08" + (29).to_bytes(2, "big") + (300).to_bytes(2, "big")
JPEG = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xdb\0\x03a" + FRAME
VP8X = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\x2b\x01\0" + b"\x1c\0\0"
VP8 = b"RIFF\0\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a" + b"\x2c\x01\x1d\x00"
VP8L = b"RIFF\0\0\0\0WEBPVP8L\x0a\0\0\0\x2f" + (299 | 28 << 14).to_bytes(4, "little") + b"\0" * 5


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (GIF, "image/gif"),
        (JPEG, "image/jpeg"),
        (VP8X, "image/webp"),
        (VP8, "image/webp"),
        (VP8L, "image/webp"),
    ],
)
def test_images_say_their_size_in_their_header(data: bytes, media_type: str) -> None:
    """Type and pixels come from the first bytes; ceil(300/28) * ceil(29/28) = 22 visual tokens."""
    media = examine(data)
    assert media is not None
    assert (media.kind, media.media_type) == ("image", media_type)
    assert (media.width, media.height, media.tokens()) == (300, 29, 22)


@pytest.mark.parametrize("data", [PNG[:20], GIF[:8], b"\xff\xd8\xff", VP8[:24], JPEG[:9] + b"a"])
def test_a_cut_image_has_no_size(data: bytes) -> None:
    """Where the header must have one, it is told; of the others only the price is unknown."""
    media = examine(data)
    assert media is not None
    assert (media.width, media.height, media.tokens()) == (None, None, None)
    must = media.media_type in {"image/png", "image/gif"}
    assert media.fault == ("cut off before its size" if must else None)


def test_what_the_api_could_not_look_into_is_told() -> None:
    """A picture without pixels, and a PDF behind a password; the word alone is no encryption."""
    flat = PNG[:16] + (0).to_bytes(4, "big") + PNG[20:]
    locked = pdf(b"trailer <</Root 1 0 R /Encrypt 5 0 R>>")
    spoken = pdf(b"(/Encrypt means that) trailer <</Root 1 0 R>>")
    faults = [media and media.fault for media in map(examine, (PNG, flat, locked, spoken))]
    assert faults == [None, "a picture without pixels", "encrypted", None]


def pdf(body: bytes) -> bytes:
    """Return something with a PDF's header."""
    return b"%PDF-1.7\n" + body


STREAM = zlib.compress(b"1 0 <</Type/Pages/Kids[2 0 R 3 0 R]/Count 12>>")


@pytest.mark.parametrize(
    ("data", "pages"),
    [
        (pdf(b"<</Type /Pages /Kids [2 0 R] /Count 3>>"), 3),
        (pdf(b"<</Count 7/Type/Pages>> <</Type/Pages/Count 2>>"), 7),
        (pdf(b"1 0 obj <</Type/Pages /Resources <</A 1>> /Count 5>> endobj"), 5),
        (pdf(b"<</Type/ObjStm/Filter/FlateDecode>>stream\n" + STREAM + b"\nendstream"), 12),
        (pdf(b"<</Type/ObjStm>>stream\nnot compressed\nendstream"), None),
        (pdf(b"<</Type/Outlines/Count 99>>"), None),
        (pdf(b""), None),
    ],
)
def test_pages_are_counted_by_the_page_tree(data: bytes, pages: int | None) -> None:
    """The root's count is taken, also from compressed streams; nothing else is believed."""
    media = examine(data)
    assert media is not None
    assert (media.kind, media.media_type, media.pages) == ("pdf", "application/pdf", pages)
    assert media.tokens() == (3000 * pages if pages else None)


@pytest.mark.parametrize("data", [b"a\0b", b"\xe9t\xe9", b"RIFF\0\0\0\0WAVEfmt ", b"PK\x03\x04\0"])
def test_what_is_neither_picture_nor_document_nor_text_is_nothing(data: bytes) -> None:
    """Such a file would be refused by the API, so it is refused before."""
    assert examine(data) is None


def test_text_is_text() -> None:
    """UTF-8 without NUL, a byte order mark included."""
    media = examine("\ufeffé".encode())
    assert media is not None
    assert (media.kind, media.media_type, media.tokens()) == ("text", "text/plain", 0)


def test_a_hostile_pdf_is_read_in_bounded_time() -> None:
    """A million unfinished nodes and streams cost no more than some."""
    media = examine(pdf(b"/Type/Pages " * 500_000 + b"/Type/ObjStm stream\n" * 200_000))
    assert media is not None
    assert media.pages is None
