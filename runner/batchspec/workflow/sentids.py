"""The custom_ids of request segments in small files of the cache: a segment is far larger.

Whatever is not there, or not whole, is read from the segment.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

from batchspec.workflow.context import Session

_SUFFIX: Final = ".ids"
_DIGEST: Final = 64
"""The file begins with the SHA-256 of the rest, in hexadecimal digits, and a line end."""


def keep_ids(session: Session, segment: str, ids: Iterable[bytes]) -> None:
    """Keep the ids of a segment, unless the disk refuses."""
    text = b"\n".join(ids)
    path = _path(session, segment)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sha256(text).hexdigest().encode() + b"\n" + text)
    except OSError:
        forget_ids(session, segment)  # half of a file takes room on a disk that is full


def kept_ids(session: Session, segment: str) -> list[str] | None:
    """Return the ids of a segment in their order, or None."""
    try:
        data = _path(session, segment).read_bytes()
    except OSError:
        return None
    text = data[_DIGEST + 1 :]
    if data[: _DIGEST + 1] != sha256(text).hexdigest().encode() + b"\n":
        return None
    return text.decode().split("\n")


def forget_ids(session: Session, segment: str) -> None:
    """Remove the ids of a segment whose answers are there, or that is gone."""
    with contextlib.suppress(OSError):
        _path(session, segment).unlink(missing_ok=True)


def sweep_ids(session: Session, wanted: Collection[str]) -> None:
    """Remove the ids of all segments but some."""
    for path in _folder(session).glob(f"*{_SUFFIX}"):
        if path.stem not in wanted:
            forget_ids(session, path.stem)


def _folder(session: Session) -> Path:
    return session.cache_dir / "sent"


def _path(session: Session, segment: str) -> Path:
    return _folder(session) / f"{segment}{_SUFFIX}"
