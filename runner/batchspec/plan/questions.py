"""Questions to ask, and the file that holds their params until they are packed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, Self

from batchspec.durable import disk_errors
from batchspec.plan.model import JsonKey

_BUFFER = 1 << 20


class Question(NamedTuple):
    """One distinct question that a plan would submit.

    A named tuple rather than a dataclass: a plan makes a million of them.
    """

    digest: bytes
    """The 32-byte request hash."""
    digest16: bytes
    """Its first 16 bytes: the ledger's key."""
    attempt: int
    """Which ask this will be; 1 for the first."""
    offset: int
    """Where its params begin in the spool; -1 when the plan was made without one."""
    length: int
    """Bytes of the canonical params."""
    chars: int
    """Basis of the token estimate."""
    key_json: JsonKey
    """The first item, in key order, that asks it."""


class Spool:
    """Canonical params one after the other in a temporary file, so that memory stays flat.

    Use it as a context manager: the file is gone afterwards.

    Raises:
        DiskFailure: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with disk_errors(f"write {path.name}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w+b", buffering=_BUFFER)
        self._size = 0
        self._flushed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, params: bytes) -> int:
        """Add params and return the offset to read them at. Raises DiskFailure."""
        offset = self._size
        with disk_errors(f"write {self._path.name}"):
            self._file.write(params)
        self._size += len(params)
        return offset

    def read(self, offset: int, length: int) -> bytes:
        """Return the params that `append` placed at ``offset``."""
        if offset + length > self._flushed:
            with disk_errors(f"write {self._path.name}"):
                self._file.flush()
            self._flushed = self._size
        data = os.pread(self._file.fileno(), length, offset)
        if len(data) != length:
            raise EOFError(f"{self._path.name} ends before {offset + length}")
        return data

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)
