"""Files inside requests: named by their digest while planning, filled in when they are sent.

A rendered request holds, where the API wants a source, a reference to a file's content. The
question's identity is over the reference's digest and media type alone: neither the path, nor
whether the bytes go along as base64 or were uploaded before, changes what is asked.

A reference is an object, so no text of an item can look like one: inside a JSON text every quote
is escaped.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from batchspec.prompt.media import examine
from batchspec.prompt.unsized import NONE, SOURCE, Unsized, named
from batchspec.records import frozen
from batchspec.spec.facts import PAGE_TOKENS

NAME = "batchspec_content"
"""The reference's only key."""
MARK = f'{{"{NAME}":{{'.encode()
FILE_ID_ROOM = 64
"""Characters reserved for the id of an uploaded file: its length may change (fact sheet §6.5)."""

_REFERENCE = re.compile(
    rb'\{"' + NAME.encode() + rb'":(\{"chars":\d+,"media_type":"[a-z/]+","path":"(?:[^"\\]|\\.)*",'
    rb'"sha256":"([0-9a-f]{64})","size":\d+\})\}'
)
_MEDIA_TYPE = re.compile(rb'"media_type":"([a-z/]+)"')


@frozen
class Content:
    """One file that a request refers to."""

    path: str
    """Relative to the project root."""
    sha256: str
    """Hex digest of its bytes."""
    media_type: str
    size: int
    """Bytes."""
    chars: int
    """Characters of text that cost as many tokens, for the estimate; 0: its size is unknown."""

    def reference(self) -> dict[str, Any]:
        """Return what stands for it in a rendered request."""
        inner = {
            "chars": self.chars,
            "media_type": self.media_type,
            "path": self.path,
            "sha256": self.sha256,
            "size": self.size,
        }
        return {NAME: inner}


class Measured(NamedTuple):
    """What a plan keeps of a rendered request. A named tuple: a plan makes millions."""

    identity: bytes
    """What is hashed."""
    length: int
    """Bytes of the params as they are sent; with uploaded files, at most so many."""
    text: bytes
    """The part of it that is paid by its characters."""
    chars: int
    """Characters that its files are worth."""
    unsized: Unsized = NONE
    """Files of which nobody knows what they are worth."""


def measure(
    request: bytes, *, uploaded: bool, per_token: Decimal, page_tokens: int = PAGE_TOKENS
) -> Measured:
    """Return identity and sizes of a rendered request.

    Args:
        request: As `Renderer.render` returned it.
        uploaded: Whether files are sent as ids of uploaded files rather than as base64.
        per_token: Characters of text that cost a token.
        page_tokens: Tokens of a page of a PDF.
    """
    if SOURCE not in request:
        return Measured(request, len(request), request, 0)
    length, chars, unsized = len(request), 0, NONE
    for match in _REFERENCE.finditer(request):
        content = _content(match)
        sent = len(file_source("")) + FILE_ID_ROOM if uploaded else _encoded_length(content)
        length += sent - len(match[0])
        chars += content.chars
        if not content.chars:
            unsized = unsized.with_file(image=_is_image(content.media_type))
    # As `without_contents` leaves what was sent, so that both count the same characters.
    rest = without_contents(_REFERENCE.sub(b"{}", request), page_tokens)
    return Measured(
        identity=identity_of(request),
        length=length,
        text=rest.text,
        chars=chars + int(rest.tokens * per_token),
        unsized=Unsized(
            unsized.images + rest.unsized.images, unsized.documents + rest.unsized.documents
        ),
    )


def identity_of(request: bytes) -> bytes:
    """Return the part of a rendered request that decides which question it is."""
    return request if MARK not in request else _REFERENCE.sub(_identity, request)


def _identity(match: re.Match[bytes]) -> bytes:
    media_type = _MEDIA_TYPE.search(match[1])
    kind = media_type[1] if media_type else b""
    return b'{"%s":{"media_type":"%s","sha256":"%s"}}' % (NAME.encode(), kind, match[2])


def contents_of(request: bytes) -> Iterator[Content]:
    """Yield the files that a rendered request refers to, in order."""
    for match in _REFERENCE.finditer(request):
        yield _content(match)


def filled(request: bytes, source: Callable[[Content], bytes]) -> bytes:
    """Return the params as they are sent: each reference replaced by its ``source``'s JSON."""
    return _REFERENCE.sub(lambda match: source(_content(match)), request)


def shown(request: bytes) -> bytes:
    """Return a rendered request for people: each reference as path, type, size and digest."""

    def named(match: re.Match[bytes]) -> bytes:
        content = _content(match)
        file = {
            "file": content.path,
            "media_type": content.media_type,
            "sha256": content.sha256,
            "size": content.size,
        }
        return json.dumps(file, ensure_ascii=False).encode()

    return _REFERENCE.sub(named, request)


def base64_source(media_type: str, data: bytes) -> bytes:
    """Return the canonical JSON of a source that carries the bytes."""
    encoded = base64.b64encode(data)
    return b'{"data":"%s","media_type":"%s","type":"base64"}' % (encoded, media_type.encode())


def file_source(file_id: str) -> bytes:
    """Return the canonical JSON of a source that names an uploaded file."""
    return b'{"file_id":%s,"type":"file"}' % json.dumps(file_id).encode()


_SENT = re.compile(rb'\{"data":"([A-Za-z0-9+/=]+)","media_type":"([a-z/]+)","type":"base64"\}')
_UPLOADED = re.compile(rb'\{"file_id":"[^"\\]*","type":"file"\}')


class Rest(NamedTuple):
    """What is left of params without the bytes of their files."""

    text: bytes
    tokens: int
    """Tokens that those files are worth."""
    unsized: Unsized
    """Files that nothing is known of, those by id among them."""
    ids: bool
    """Files are named by ids, which may be those of the project's own uploads."""


def without_contents(params: bytes, page_tokens: int = PAGE_TOKENS) -> Rest:
    """Take the files out of params that were sent, and return what is left.

    Args:
        params: Their canonical JSON.
        page_tokens: Tokens of a page of a PDF.
    """
    unsized, tokens = named(params), 0
    for match in _SENT.finditer(params):
        media = examine(base64.b64decode(match[1]))
        worth = None if media is None else media.tokens(page_tokens)
        tokens += worth or 0
        if worth is None:
            unsized = unsized.with_file(image=_is_image(match[2].decode()))
    text = _SENT.sub(b"{}", params)
    return Rest(text, tokens, unsized, _UPLOADED.search(text) is not None)


def _is_image(media_type: str) -> bool:
    return media_type.startswith("image/")


def _encoded_length(content: Content) -> int:
    return len(base64_source(content.media_type, b"")) + 4 * -(-content.size // 3)


def _content(match: re.Match[bytes]) -> Content:
    return Content(**json.loads(match[1]))
