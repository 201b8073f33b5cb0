"""Files that are either complete and durable, or not there.

The order is the one that survived the power-cut tests: temporary file, write all, size check,
fsync, rename, fsync of the folder. A short `write` at a full disk is an error, never a short file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from batchspec.errors import DiskFailure

PIECE = 1 << 20
"""Bytes per write and read; larger pieces were not faster."""


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data`` to an open file, however often `os.write` comes back short."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn an OSError into a `DiskFailure` that says what was being done.

    Raises:
        DiskFailure: for any OSError inside the block.
    """
    try:
        yield
    except OSError as error:
        raise DiskFailure(
            f"Could not {what}: {error.strerror or error}.",
            hint="Free space or fix the permissions, then run the same command again; "
            "nothing that was complete before is lost.",
        ) from error


def publish(temporary: Path, target: Path, *, size: int, mode: int | None = None) -> None:
    """Fsync ``temporary``, check that it has ``size`` bytes, and rename it to ``target``.

    Raises:
        OSError: when the size differs or the disk refuses.
    """
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        found = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    if found != size:
        raise OSError(f"{target.name} came out with {found} bytes instead of {size}")
    if mode is not None:
        temporary.chmod(mode)
    temporary.replace(target)
    sync_folder(target.parent)


def write_file(target: Path, pieces: Iterable[bytes]) -> int:
    """Write ``target`` atomically and durably; return its size in bytes.

    Raises:
        DiskFailure: when the disk refuses; ``target`` is then as it was before.
    """
    temporary = target.with_name(f".{target.name}.part")
    with disk_errors(f"write {target.name}"):
        target.parent.mkdir(parents=True, exist_ok=True)
        size = 0
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            for piece in pieces:
                write_all(descriptor, piece)
                size += len(piece)
        finally:
            os.close(descriptor)
        publish(temporary, target, size=size)
    return size


def read_pieces(path: Path) -> Iterator[bytes]:
    """Yield the file's bytes in pieces of at most `PIECE`."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file. Raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a byte stream in pieces of whole lines; only the last may lack its line end."""
    rest = b""
    for piece in pieces:
        cut = piece.rfind(b"\n") + 1
        if not cut:
            rest += piece
            continue
        yield rest + piece[:cut]
        rest = piece[cut:]
    if rest:
        yield rest
