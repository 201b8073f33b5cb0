"""Rules about `api.headers`: what belongs to batchspec, and what must not stand in a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from batchspec.problems import Problem
from batchspec.spec.document import Document
from batchspec.spec.model import ProjectFile

_OURS = {
    "authorization": "The key travels in it. api.key_env names the variable that holds the key.",
    "x-api-key": "It is a key. api.key_env names the variable that holds the key.",
    "anthropic-version": "It is part of every question. Write api.anthropic_version.",
    "anthropic-beta": "It is part of every question. Write api.betas.",
    "anthropic-workspace-id": "Write api.workspace.",
}
"""Headers with settings of their own."""
_TRANSPORT = frozenset(
    {
        "accept", "accept-encoding", "connection", "content-encoding", "content-length",
        "content-type", "expect", "host", "idempotency-key", "keep-alive", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Headers that say how a call is sent; another value would break it, or repeat it."""
_SECRET_NAME = re.compile(r"auth|key|token|secret|cookie|passw|credential|signature", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"(?:bearer|basic)\s|sk-|(?=[^\s]*[0-9])(?=[^\s]*[A-Za-z])[A-Za-z0-9+/_=.-]{24,}", re.IGNORECASE
)
"""A scheme of authentication, or a long word of letters and digits, as nobody would think of."""

_REVOKE = (
    "Whoever can read this repository could use it. Revoke it if it is one, put the new one into an"
    " environment variable, and"
)


def header_problems(config: ProjectFile, document: Document | None) -> Iterator[Problem]:
    """Yield what is wrong with the headers of the project file; no message holds a value."""
    first: dict[str, str] = {}
    for name, value in config.api.headers.items():
        found = _complaint(name, value if isinstance(value, str) else None)
        if first.setdefault(name.lower(), name) != name:
            found = "bad-header", f"the header {name} is there twice", "Remove one."
        if found is not None and document is not None:
            code, summary, detail = found
            where = document.place(("api", "headers", name), key=True)
            yield Problem(
                code=code,
                summary=summary,
                detail=detail,
                where=replace(where, source=None),  # the line would show the value
            )


def _complaint(name: str, literal: str | None) -> tuple[str, str, str] | None:
    """Return code, summary and detail of what is wrong with one header."""
    if name.lower() in _OURS:
        return "bad-header", f"the header {name} has a setting of its own", _OURS[name.lower()]
    if name.lower() in _TRANSPORT:
        why = "It says how a call is sent, and batchspec does that. Remove it."
        return "bad-header", f"the header {name} cannot be set", why
    if literal is None:
        return None
    if not (literal.isascii() and literal.isprintable()) or literal != literal.strip():
        why = "A header holds ASCII text on one line, without blanks around it."
        return "bad-header", f"the value of the header {name} cannot be sent", why
    if _SECRET_NAME.search(name) or _SECRET_VALUE.search(literal):
        return (
            "secret-header",
            f"the value of the header {name} looks like a secret",
            f"{_REVOKE} write {name}: {{env: NAME_OF_THE_VARIABLE}}.",
        )
    return None
