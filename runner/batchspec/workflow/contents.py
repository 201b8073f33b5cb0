"""Filling a chunk's files in: its requests refer to them until the moment before they are sent."""

from __future__ import annotations

import hashlib
from pathlib import Path

from batchspec.errors import EnvironmentFailure
from batchspec.inputs.hardened import FileRefused, read_below
from batchspec.prompt.contents import Content, base64_source, filled
from batchspec.prompt.shelf import MAX_PDF_BYTES
from batchspec.workflow.chunks import WrittenChunk, refilled
from batchspec.workflow.context import Session

_AGAIN = "Nothing of it was sent. Run the command again when the file stays as it is."


class ContentChanged(EnvironmentFailure):
    """A file is no longer what the plan saw; the spec has to be planned again."""


def with_contents(session: Session, chunk: WrittenChunk) -> WrittenChunk:
    """Return the chunk with its files as base64, in a segment of its own.

    Raises:
        ContentChanged: a file is not what it was when the plan was made.
        DiskFailure: the segment cannot be written.
    """
    root = session.project.root
    return refilled(session, chunk, lambda line: complete(root, line))


def complete(root: Path, request: bytes) -> bytes:
    """Return a rendered request with its files as base64.

    Raises:
        ContentChanged: a file is not what it was when the request was rendered.
    """
    return filled(
        request, lambda content: base64_source(content.media_type, unchanged(root, content))
    )


def unchanged(root: Path, content: Content) -> bytes:
    """Return a file's bytes.

    Raises:
        ContentChanged: they are not those that the question is about.
    """
    try:
        data = read_below(root, content.path, limit=MAX_PDF_BYTES)
    except FileRefused as refused:
        raise ContentChanged(
            f"The file {content.path} {refused.reason}; it was there a moment ago.", hint=_AGAIN
        ) from None
    if hashlib.sha256(data).hexdigest() != content.sha256:
        raise ContentChanged(
            f"The file {content.path} was changed while it was planned.", hint=_AGAIN
        )
    return data
