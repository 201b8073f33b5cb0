"""Segments: immutable, named by content, every flipped bit found."""

from __future__ import annotations

import datetime as dt
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from batchspec.errors import DiskFailure, StateFailure
from batchspec.state.segments import FRAME_LINES, FolderSegments

LINES = [b'{"n":%d}' % n for n in range(FRAME_LINES * 2 + 7)]


@given(st.lists(st.binary(min_size=1).filter(lambda line: b"\n" not in line), max_size=30))
@settings(max_examples=50, deadline=None)
def test_lines_come_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    """Whatever lines are written, the same lines are read."""
    segments = FolderSegments(tmp_path_factory.mktemp("segments"))
    assert list(segments.lines(segments.write("res", lines))) == lines


def test_frames_of_a_long_segment_join(tmp_path: Path) -> None:
    """A segment of several frames reads as one sequence of lines."""
    segments = FolderSegments(tmp_path)
    assert list(segments.lines(segments.write("req", LINES))) == LINES


def test_blocks_are_the_same_as_lines(tmp_path: Path) -> None:
    """A block ends where a line ends, also when a line is longer than what is read at once."""
    segments = FolderSegments(tmp_path)
    lines = [*LINES, b"x" * (3 << 20), b"last"]
    blocks = list(segments.blocks(segments.write("req", lines)))
    assert len(blocks) > 1
    assert all(block.endswith(b"\n") for block in blocks)
    assert b"".join(blocks) == b"\n".join([*lines, b""])


def test_any_zstd_reader_reads_it(tmp_path: Path) -> None:
    """The index at the end is a frame that other readers skip."""
    segments = FolderSegments(tmp_path)
    name = segments.write("req", LINES)
    with (
        segments.path(name).open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader,
    ):
        assert reader.read() == b"\n".join(LINES) + b"\n"


def test_the_same_lines_are_one_segment(tmp_path: Path) -> None:
    """Writing again gives the same name and leaves one file, read-only."""
    segments = FolderSegments(tmp_path)
    first = segments.write("req", LINES)
    assert segments.write("req", LINES) == first
    assert segments.names() == (first,)
    assert segments.path(first).stat().st_mode & 0o222 == 0


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    """Two hundred single-bit flips: each one is noticed by `complaint`."""
    segments = FolderSegments(tmp_path)
    name = segments.write("res", LINES[:200])
    path = segments.path(name)
    whole = path.read_bytes()
    path.chmod(0o644)
    draw = random.Random(1)  # noqa: S311 - a seeded choice of bits
    for _ in range(200):
        position, bit = draw.randrange(len(whole)), draw.randrange(8)
        damaged = bytearray(whole)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        assert segments.complaint(name) is not None, (position, bit)
    path.write_bytes(whole)
    assert segments.complaint(name) is None


def test_a_damaged_frame_is_a_state_failure(tmp_path: Path) -> None:
    """Reading a damaged segment says what is wrong and how to get the answers back."""
    segments = FolderSegments(tmp_path)
    name = segments.write("res", LINES[:50])
    path = segments.path(name)
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[20] ^= 4
    path.write_bytes(data)
    with pytest.raises(StateFailure, match="damaged") as caught:
        list(segments.lines(name))
    assert "recover" in caught.value.hint


def test_a_missing_segment_is_a_state_failure(tmp_path: Path) -> None:
    """A segment that is gone is named."""
    with pytest.raises(StateFailure, match="res-00 is missing"):
        list(FolderSegments(tmp_path).lines("res-00"))


def test_a_folder_that_cannot_be_written_is_a_disk_failure(tmp_path: Path) -> None:
    """A file where the folder should be: the failure says what was being written."""
    (tmp_path / "segments").write_text("in the way")
    with pytest.raises(DiskFailure, match="segment"):
        FolderSegments(tmp_path / "segments").write("req", LINES[:3])


def test_lines_that_end_in_an_error_leave_nothing(tmp_path: Path) -> None:
    """What was written of them takes no room on a disk that may be full."""

    def broken() -> Iterator[bytes]:
        yield from LINES
        raise KeyboardInterrupt

    segments = FolderSegments(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        segments.write("req", broken())
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    """Segments stay, and so does what somebody is writing now."""
    segments = FolderSegments(tmp_path)
    name = segments.write("req", LINES)
    left, now = tmp_path / ".req-1.part", tmp_path / ".res-2.part"
    for path in (left, now):
        path.write_bytes(b"half")
    os.utime(left, (1_000_000, 1_000_000))
    segments.sweep(dt.datetime.fromtimestamp(2_000_000, dt.UTC))
    assert set(tmp_path.iterdir()) == {now, segments.path(name)}
