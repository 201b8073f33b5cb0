"""Keys that were written into a file by mistake."""

from __future__ import annotations

from collections.abc import Iterator

from batchspec.problems import Problem
from batchspec.spec.document import Document


def secret_problems(document: Document) -> Iterator[Problem]:
    """Yield each API key in a document's file, comments included.

    The key itself is in no message: the lines of a source hold a mask in its place.
    """
    for line, column in document.source.secrets:
        yield Problem(
            code="secret-in-spec",
            summary="there is an API key in the file",
            detail="Whoever can read this repository can spend money with it. Revoke the key,"
            " remove it from the file and its history, and set the new one in the environment"
            " variable ANTHROPIC_API_KEY.",
            where=document.source.at(line, column),
        )
