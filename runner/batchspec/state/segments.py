"""Immutable segments: JSON lines in zstd frames, named by their content.

A segment is the record of what was sent (one request a line) or of what the server answered (its
lines, byte for byte). Frames hold `FRAME_LINES` lines and carry a checksum; a skippable frame at
the end says where each begins. Every zstd tool reads a segment as plain JSON lines.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import orjson
import zstandard

from batchspec.durable import PIECE, disk_errors, file_sha256, publish, whole_lines, write_all
from batchspec.errors import StateFailure

FRAME_LINES = 2000
LEVEL = 1
"""Level 3 takes half as long again for 3 % smaller segments."""
MAX_WINDOW = 1 << 27
"""Bytes; a shared bucket may hold hostile files, so a frame cannot ask for more memory."""
SKIPPABLE = (0x184D2A5E).to_bytes(4, "little")
"""Magic number of our skippable frame; zstd readers pass over it."""


class Segments(Protocol):
    """Where segments live. Names are ``<kind>-<sha256>``; writing one twice is one segment."""

    def write(self, kind: str, lines: Iterable[bytes]) -> str:
        """Store ``lines`` (without line ends) durably and return the segment's name."""
        ...

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines, without line ends.

        Raises:
            StateFailure: when the segment is missing or damaged.
        """
        ...

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the same as pieces of many whole lines, with their ends. Raises as `lines`."""
        ...

    def complaint(self, name: str) -> str | None:
        """Read all of a segment and say what is wrong with it, or None."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of all segments, sorted."""
        ...

    def names_here(self) -> tuple[str, ...]:
        """Return the names of those that are on this machine."""
        ...

    def file(self, name: str) -> Path:
        """Return a segment's file on this machine, fetched when it is elsewhere."""
        ...

    def discard(self, name: str) -> None:
        """Remove a segment that no submission names."""
        ...

    def sweep(self, before: dt.datetime) -> None:
        """Remove the unfinished files on this machine that nobody wrote to since ``before``."""
        ...


class FolderSegments:
    """Segments as files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return where a segment's file stands."""
        return self._folder / f"{name}.jsonl.zst"

    def write(self, kind: str, lines: Iterable[bytes]) -> str:
        """Store ``lines``; see `Segments.write`.

        Raises:
            DiskFailure: when the disk refuses; no segment is published then.
        """
        with disk_errors("write a segment of the state"):
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary = self._folder / f".{kind}-{os.getpid()}.part"
            try:
                size, digest = _write(temporary, lines)
                name = f"{kind}-{digest}"
                publish(temporary, self.path(name), size=size, mode=0o444)
            except BaseException:
                temporary.unlink(missing_ok=True)  # on a full disk its room is wanted
                raise
        return name

    def sweep(self, before: dt.datetime) -> None:
        """Remove what killed writers left; see `Segments.sweep`."""
        for path in self._folder.glob(".*.part"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < before.timestamp():
                    path.unlink()

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines; see `Segments.lines`."""
        for block in self.blocks(name):
            lines = block.split(b"\n")
            lines.pop()
            yield from lines

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield pieces of whole lines; see `Segments.blocks`."""
        try:
            for block in whole_lines(_decode(self.path(name))):
                if not block.endswith(b"\n"):
                    raise StateFailure(f"Segment {name} is cut short.", hint=REPAIR)
                yield block
        except FileNotFoundError as error:
            raise StateFailure(f"Segment {name} is missing from the state.", hint=REPAIR) from error
        except (zstandard.ZstdError, OSError) as error:
            raise StateFailure(f"Segment {name} is damaged: {error}.", hint=REPAIR) from error

    def complaint(self, name: str) -> str | None:
        """Compare the content with the name; see `Segments.complaint`."""
        try:
            found = file_sha256(self.path(name))
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"
        if found != name.rpartition("-")[2]:
            return f"its bytes do not match its name (found sha256 {found[:12]}…)"
        return None

    def names(self) -> tuple[str, ...]:
        """Return the names of all segments, sorted."""
        return tuple(
            sorted(p.name.removesuffix(".jsonl.zst") for p in self._folder.glob("*.jsonl.zst"))
        )

    def file(self, name: str) -> Path:
        """Return a segment's file."""
        return self.path(name)

    def names_here(self) -> tuple[str, ...]:
        """Return the names of all segments."""
        return self.names()

    def discard(self, name: str) -> None:
        """Remove a segment that no submission names."""
        self.path(name).unlink(missing_ok=True)


REPAIR = (
    "Run `batchspec recover` to read the answers again from the API (it keeps them for 29 days), "
    "or restore the segments from a backup."
)


def _write(path: Path, lines: Iterable[bytes]) -> tuple[int, str]:
    """Write a segment's file and read it back; return its bytes and its hex digest."""
    size, digest = 0, hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        for piece in _encode(lines):
            write_all(descriptor, piece)
            digest.update(piece)
            size += len(piece)
    finally:
        os.close(descriptor)
    if file_sha256(path) != digest.hexdigest():
        raise OSError("the segment read back differs from what was written")
    return size, digest.hexdigest()


def _encode(lines: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
    frames: list[list[int]] = []
    offset = count = 0
    iterator = iter(lines)
    while block := list(itertools.islice(iterator, FRAME_LINES)):
        frame = compressor.compress(b"\n".join(block) + b"\n")
        frames.append([offset, count])
        offset += len(frame)
        count += len(block)
        yield frame
    index = orjson.dumps({"format_version": 1, "lines": count, "frames": frames})
    yield SKIPPABLE + len(index).to_bytes(4, "little") + index


def _decode(path: Path) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    with (
        path.open("rb") as file,
        decompressor.stream_reader(file, read_across_frames=True) as reader,
    ):
        while piece := reader.read(PIECE):
            yield piece
