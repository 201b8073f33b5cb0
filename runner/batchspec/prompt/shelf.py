"""The files that blocks name: read below the project, recognised by their bytes, held to limits."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import Any, NoReturn

from batchspec.inputs.hardened import FileRefused, FileTooLarge, read_below
from batchspec.prompt.contents import Content
from batchspec.prompt.media import Media, examine, tiles
from batchspec.prompt.templates import ItemError
from batchspec.records import frozen
from batchspec.spec.facts import CHARS_PER_TOKEN, PAGE_TOKENS, ModelFacts

MAX_PIXELS = 8000
"""Longest side of an image (fact sheet §6.5)."""
MOST_IMAGE_TOKENS = tiles(MAX_PIXELS) ** 2
"""Of an image as large as the API takes it (fact sheet §6.5)."""
MAX_IMAGE_BASE64 = 10_000_000
"""Characters of one image sent as base64 (fact sheet §6.5)."""
MAX_PDF_BYTES = 32_000_000
LARGE_CONTEXT = 1_000_000
PDF_PAGES = {True: 600, False: 100}
"""Most pages, by whether the model has the large window (fact sheet §6.5)."""
IMAGES = {True: 600, False: 100}
"""Most images of one request, likewise."""
_REMEMBERED = 256
URL = ("https://", "http://")


def has_large_context(facts: ModelFacts | None) -> bool:
    """Tell which limits hold; an unknown model is given the benefit of the doubt."""
    return facts is None or facts.context >= LARGE_CONTEXT


@frozen
class ContentRules:
    """What decides whether a file may be sent."""

    facts: ModelFacts | None
    """None: nothing is known of the model."""
    uploaded: bool
    """Files are uploaded rather than sent as base64."""
    page_tokens: int = PAGE_TOKENS
    """Tokens that a page of a PDF is taken for."""


class Shelf:
    """Turns what a template wrote (a path, an address, base64) into the source of a block."""

    def __init__(self, root: Path, rules: ContentRules) -> None:
        self._root = root
        self._rules = rules
        self._known: OrderedDict[str, tuple[Media, Content]] = OrderedDict()

    def image(self, text: str) -> dict[str, Any]:
        """Return the source of an image block for a path or an address.

        Raises:
            ItemError: it cannot be read, is no image, or is too large.
        """
        place = text.strip()
        if place.startswith(URL):
            return {"type": "url", "url": place}
        media, content, _ = self._look(place)
        if media is None or media.kind != "image":
            _refuse_kind(place, media, "an image", "PNG, JPEG, GIF or WebP")
        self._check_image(place, media, content.size)
        return content.reference()

    def document(self, text: str) -> dict[str, Any]:
        """Return the source of a document block for a path or an address: PDF or text.

        Raises:
            ItemError: it cannot be read, is no document, or is too large.
        """
        place = text.strip()
        if place.startswith(URL):
            return {"type": "url", "url": place}
        media, content, data = self._look(place)
        if media is not None and media.kind == "text":
            return plain_text(data.decode("utf-8-sig"))
        if media is None or media.kind != "pdf":
            _refuse_kind(place, media, "a document", "PDF or text in UTF-8")
        self._check_pdf(place, media, content.size)
        return content.reference()

    def image_data(self, text: str) -> dict[str, Any]:
        """Return the source of an image block for base64. Raises as `image` does."""
        data = _decoded(text)
        media = examine(data)
        if media is None or media.kind != "image":
            _refuse_kind("the base64", media, "an image", "PNG, JPEG, GIF or WebP")
        _check_whole("the base64", media)
        self._check_image("the base64", media, len(data))
        return _inline(media, data)

    def document_data(self, text: str) -> dict[str, Any]:
        """Return the source of a document block for base64 of a PDF. Raises as `document` does."""
        data = _decoded(text)
        media = examine(data)
        if media is None or media.kind != "pdf":
            _refuse_kind("the base64", media, "a document", "PDF")
        _check_whole("the base64", media)
        self._check_pdf("the base64", media, len(data))
        return _inline(media, data)

    def _look(self, path: str) -> tuple[Media | None, Content, bytes]:
        """Return kind, record and bytes of a file; the bytes of one seen before are empty."""
        if not path:
            raise ItemError(
                "a block of the prompt names no file",
                "Its template wrote nothing for this item. Leave such items out of the inputs.",
                code="content-missing",
            )
        if path in self._known:
            self._known.move_to_end(path)
            return (*self._known[path], b"")
        try:
            data = read_below(self._root, path, limit=MAX_PDF_BYTES)
        except FileTooLarge as refused:
            raise ItemError(
                "a file of the prompt is too large",
                f"{path} has {refused.size:,} bytes, and the API takes documents of up to"
                f" {MAX_PDF_BYTES:,}. Make it smaller, or split it.",
                code="content-too-large",
            ) from None
        except FileRefused as refused:
            raise ItemError(
                "a file of the prompt cannot be read",
                f"The file {path} {refused.reason}. Paths start at the project folder.",
                code="content-missing",
            ) from None
        media = examine(data)
        _check_whole(path, media)
        content = self._content(path, data, media)
        if media is not None and media.kind != "text":
            self._known[path] = (media, content)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return media, content, data

    def _content(self, path: str, data: bytes, media: Media | None) -> Content:
        facts = self._rules.facts
        per_token = CHARS_PER_TOKEN["new" if facts is None else facts.tokenizer]
        tokens = None if media is None else media.tokens(self._rules.page_tokens)
        return Content(
            path=path,
            sha256=hashlib.sha256(data).hexdigest(),
            media_type="" if media is None else media.media_type,
            size=len(data),
            chars=int((tokens or 0) * per_token),
        )

    def _check_image(self, name: str, media: Media, size: int) -> None:
        side = max(media.width or 0, media.height or 0)
        if side > MAX_PIXELS:
            _refuse_size(
                f"{name} has {media.width:,} x {media.height:,} pixels, and the API takes images"
                f" of up to {MAX_PIXELS:,} pixels a side. Make it smaller."
            )
        encoded = 4 * -(-size // 3)
        if encoded > MAX_IMAGE_BASE64 and not self._rules.uploaded:
            _refuse_size(
                f"{name} has {encoded:,} characters as base64, and the API takes images of up to"
                f" {MAX_IMAGE_BASE64:,}. Make it smaller."
            )

    def _check_pdf(self, name: str, media: Media, size: int) -> None:
        facts = self._rules.facts
        if facts is not None and "pdf_input" in facts.missing:
            raise ItemError(
                "a PDF of the prompt is for a model that reads none",
                f"{facts.id} takes no PDFs. Send {name} as text, or use another model.",
                code="content-type",
            )
        if size > MAX_PDF_BYTES:
            _refuse_size(f"{name} has {size:,} bytes, and the API takes up to {MAX_PDF_BYTES:,}.")
        most = PDF_PAGES[has_large_context(facts)]
        if media.pages is not None and media.pages > most:
            _refuse_size(
                f"{name} has {media.pages:,} pages, and the API takes PDFs of up to {most} pages"
                " for this model. Split it."
            )


def _check_whole(name: str, media: Media | None) -> None:
    """Refuse what is of a kind that the API takes, and cannot be used all the same."""
    if media is not None and media.fault is not None:
        raise ItemError(
            "a file of the prompt cannot be used",
            f"{name} is {media.fault}. The API could not look into it; write the file anew.",
            code="content-type",
        )


def plain_text(text: str) -> dict[str, Any]:
    """Return the source of a document block for a text.

    Raises:
        ItemError: the text is blank.
    """
    if not text or text.isspace():
        raise ItemError(
            "a document of the prompt is empty",
            "The API refuses documents without text. Leave such items out.",
            code="content-missing",
        )
    return {"type": "text", "media_type": "text/plain", "data": text}


def _inline(media: Media, data: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {"type": "base64", "media_type": media.media_type, "data": encoded}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ItemError(
            "a block of the prompt is not base64",
            "The template of base64 must write base64 and nothing else.",
            code="content-type",
        ) from None


def _refuse_kind(name: str, media: Media | None, wanted: str, kinds: str) -> NoReturn:
    found = "of no kind that the API takes" if media is None else f"of the kind {media.media_type}"
    raise ItemError(
        f"a file of the prompt is not {wanted}",
        f"By its bytes {name} is {found}. The API takes {kinds} here.",
        code="content-type",
    )


def _refuse_size(detail: str) -> NoReturn:
    raise ItemError("a file of the prompt is too large", detail, code="content-too-large")
