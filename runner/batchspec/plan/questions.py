"""Questions to ask, and the file that holds their requests until they are sent."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple, Self

from batchspec.durable import PIECE, disk_errors, write_all
from batchspec.plan.model import JsonKey

_SIZE = struct.Struct(">I")
"""Stands before each request: what is sent may be longer than what is kept here."""


class Ask(NamedTuple):
    """What is needed to send one distinct question; a plan of a million items makes as many."""

    digest: bytes
    """The 32-byte request hash."""
    attempt: int
    """Which ask this will be; 1 for the first."""
    offset: int
    """Where it stands in the spool; -1 when the plan was made without one."""


class Question(NamedTuple):
    """What a plan knows of one distinct question that it would submit."""

    digest: bytes
    """The 32-byte request hash."""
    attempt: int
    """Which ask this will be; 1 for the first."""
    offset: int
    """Where it stands in the spool; -1 when the plan was made without one."""
    length: int
    """Bytes of the params as they are sent, files included."""
    chars: int
    """Basis of the token estimate."""
    key_json: JsonKey
    """The first item, in key order, that asks it."""
    images: int = 0
    documents: int = 0
    """Files of unknown size in it."""


class Spool:
    """Rendered requests one after the other in a temporary file, so that memory stays flat.

    Use it as a context manager: the file is gone afterwards.

    Raises:
        DiskFailure: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with disk_errors(f"write {path.name}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w+b", buffering=0)
        self._held: list[bytes] = []
        self._size = 0
        self._written = 0
        self._window = b""
        self._window_at = 0
        self._next = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, request: bytes) -> int:
        """Add a rendered request and return the offset to read it at. Raises DiskFailure."""
        offset = self._size
        self._held += (_SIZE.pack(len(request)), request)
        self._size = offset + _SIZE.size + len(request)
        if self._size - self._written >= PIECE:
            self._flush()
        return offset

    def read(self, offset: int) -> bytes:
        """Return the request that `append` placed at ``offset``.

        Reading on from where the last read ended, as questions in the order of the inputs do, is
        served from a window of the file.
        """
        # Nearly every request lies in the window whole: no call but the one for its length.
        begin = offset - self._window_at
        start = begin + _SIZE.size
        if begin >= 0 and start <= len(self._window):
            (length,) = _SIZE.unpack_from(self._window, begin)
            end = start + length
            if end <= len(self._window):
                self._next = self._window_at + end
                return self._window[start:end]
        (length,) = _SIZE.unpack(self._slice(offset, _SIZE.size))
        return self._slice(offset + _SIZE.size, length)

    def _slice(self, offset: int, length: int) -> bytes:
        begin, end = offset - self._window_at, offset + length
        if begin < 0 or begin + length > len(self._window):
            if self._file.closed:
                with disk_errors(f"read {self._path.name}"):
                    self._file = self._path.open("rb", buffering=0)
            if end > self._written:
                self._flush()
            ahead = max(length, PIECE) if offset == self._next else length
            self._window = os.pread(self._file.fileno(), ahead, offset)
            self._window_at, begin = offset, 0
            if len(self._window) < length:
                raise EOFError(f"{self._path.name} ends before {end}")
        self._next = end
        return self._window[begin : begin + length]

    def rest(self) -> None:
        """Take no further requests, and hold no open file until one is read: specs may be many."""
        self._flush()
        self._file.close()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _flush(self) -> None:
        with disk_errors(f"write {self._path.name}"):
            write_all(self._file.fileno(), b"".join(self._held))
        self._held.clear()
        self._written = self._size
