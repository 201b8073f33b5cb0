"""Temporary files of one command, gone when it ends, and after a crash when the next one begins."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from batchspec.errors import EnvironmentFailure

_LOCK: Final = ".lock"
"""Beside each folder stands a file of its name with this ending, locked while its process lives."""


@contextmanager
def scratch_below(parent: Path) -> Iterator[Path]:
    """Make a folder for temporary files, and sweep those that processes left that are no more.

    Args:
        parent: Where such folders are; made when missing.

    Raises:
        EnvironmentFailure: The folder cannot be made.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        sweep(parent)
        descriptor, lock = _locked(parent)
        folder = lock.with_suffix("")
        folder.mkdir()
    except OSError as error:
        raise EnvironmentFailure(
            f"The folder for temporary files, {parent}, cannot be used: {error.strerror}.",
            hint="Check its permissions and the free space.",
        ) from None
    try:
        yield folder
    finally:
        _remove(folder, lock)
        os.close(descriptor)


def sweep(parent: Path) -> None:
    """Remove the folders below ``parent`` whose processes are no more."""
    for lock in parent.glob(f"*{_LOCK}"):
        with suppress(OSError):
            descriptor = os.open(lock, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(lock.with_suffix(""), lock)
            finally:
                os.close(descriptor)


def _locked(parent: Path) -> tuple[int, Path]:
    """Make a lock file and lock it; one that is swept away before it is locked is made anew."""
    while True:
        descriptor, name = tempfile.mkstemp(suffix=_LOCK, prefix="run-", dir=parent)
        # Where locks are not known nobody can lock the file for a sweep either.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)


def _remove(folder: Path, lock: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        lock.unlink(missing_ok=True)
