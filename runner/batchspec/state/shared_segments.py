"""Segments that a team shares, with local copies of those that this machine has written or read."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from batchspec.durable import disk_errors, publish, write_all
from batchspec.errors import StateFailure
from batchspec.state.objects import Objects
from batchspec.state.segments import REPAIR, FolderSegments

SUFFIX = ".jsonl.zst"


class SharedSegments:
    """`state.segments.Segments` in a shared store.

    A segment is whole on this machine before it is uploaded, and uploaded before the ledger speaks
    of it. What comes back is compared with its name before a line of it is read.

    Args:
        cache: Local copies; each can be deleted at any time.
        objects: The store.
        limit: The most that the copies may take, in bytes.
    """

    def __init__(self, cache: FolderSegments, objects: Objects, limit: int) -> None:
        self._cache = cache
        self._objects = objects
        self._limit = limit
        self._writing = threading.Lock()
        """Held while a copy is whole and not yet uploaded: it must not be deleted then."""

    def write(self, kind: str, lines: Iterable[bytes]) -> str:
        """Store ``lines``; see `Segments.write`.

        Raises:
            DiskFailure: when the local disk refuses.
            StoreFailure: when the store does; the local copy stays, and storing it again is cheap.
        """
        with self._writing:
            name = self._cache.write(kind, lines)
            self.upload(name, self._cache.path(name))
            self._bound(name)
        return name

    def upload(self, name: str, file: Path) -> None:
        """Store a segment's file under its name."""
        self._objects.put(name + SUFFIX, file, _sha256_of(name))

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines; see `Segments.lines`."""
        for block in self.blocks(name):
            lines = block.split(b"\n")
            lines.pop()
            yield from lines

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield pieces of whole lines; a local copy that is damaged is fetched again."""
        self._fetch(name)
        done = 0
        try:
            for block in self._cache.blocks(name):
                yield block
                done += len(block)
        except StateFailure:
            self._cache.discard(name)
            self._fetch(name)
            # The same bytes come in the same pieces, so a piece is passed over as a whole.
            for block in self._cache.blocks(name):
                done -= len(block)
                if done < 0:
                    yield block

    def complaint(self, name: str) -> str | None:
        """Compare what the store holds with the name; see `Segments.complaint`."""
        digest = hashlib.sha256()
        try:
            for piece in self._objects.pieces(name + SUFFIX):
                digest.update(piece)
        except FileNotFoundError:
            return f"is missing from {self._objects.name}"
        found = digest.hexdigest()
        if found != _sha256_of(name):
            return f"is not what its name says in {self._objects.name} (sha256 {found[:12]}…)"
        return None

    def names(self) -> tuple[str, ...]:
        """Return the names of all segments, sorted."""
        found = (name.removesuffix(SUFFIX) for name in self._objects.names() if SUFFIX in name)
        return tuple(sorted(found))

    def names_here(self) -> tuple[str, ...]:
        """Return the names of the segments that this machine has copies of."""
        return self._cache.names_here()

    def file(self, name: str) -> Path:
        """Return a segment's local copy, fetched when there is none."""
        self._fetch(name)
        return self._cache.path(name)

    def discard(self, name: str) -> None:
        """Remove a segment that no submission names."""
        self._cache.discard(name)
        self._objects.discard(name + SUFFIX)

    def sweep(self, before: dt.datetime) -> None:
        """Remove unfinished local copies; see `Segments.sweep`."""
        self._cache.sweep(before)

    def _fetch(self, name: str) -> None:
        """Make sure that there is a local copy.

        Raises:
            StateFailure: the store lacks the segment, or holds something else under its name.
        """
        target = self._cache.path(name)
        with contextlib.suppress(FileNotFoundError):  # another thread may make room at any moment
            os.utime(target)
            return
        with disk_errors("copy a shared segment"):
            target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{name}.{os.getpid()}.part")
        try:
            size, found = self._copy(name, temporary)
            if found != _sha256_of(name):
                raise StateFailure(
                    f"Segment {name} in {self._objects.name} is damaged or was replaced: its bytes "
                    "do not match its name.",
                    hint=REPAIR,
                )
            with disk_errors("copy a shared segment"):
                publish(temporary, target, size=size, mode=0o444)
        finally:
            temporary.unlink(missing_ok=True)
        if self._writing.acquire(blocking=False):  # else whoever writes does it in the end
            try:
                self._bound(name)
            finally:
                self._writing.release()

    def _copy(self, name: str, target: Path) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        with disk_errors("copy a shared segment"):
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            for piece in self._objects.pieces(name + SUFFIX):
                with disk_errors("copy a shared segment"):
                    write_all(descriptor, piece)
                digest.update(piece)
                size += len(piece)
        except FileNotFoundError as error:
            raise StateFailure(
                f"Segment {name} is missing from {self._objects.name}.", hint=REPAIR
            ) from error
        finally:
            os.close(descriptor)
        return size, digest.hexdigest()

    def _bound(self, newest: str) -> None:
        """Delete the copies that were not used for longest, until the rest fits."""
        found = {}
        for name in self._cache.names_here():
            with contextlib.suppress(FileNotFoundError):  # another thread makes room, too
                path = self._cache.path(name)
                found[path] = path.stat()
        total = sum(stat.st_size for stat in found.values())
        found.pop(self._cache.path(newest), None)
        for path, stat in sorted(found.items(), key=lambda one: one[1].st_mtime_ns):
            if total <= self._limit:
                return
            path.unlink(missing_ok=True)
            total -= stat.st_size


def _sha256_of(name: str) -> str:
    return name.rpartition("-")[2]
