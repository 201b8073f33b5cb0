"""The note outside the project tells a lost or rolled-back state from a new one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from batchspec.state.mirror import Note, note_path, read_note, state_moved_back, write_note

NOTE = Note(lineage="abc", serial=7, armed_at=dt.datetime(2026, 11, 23, tzinfo=dt.UTC))


def test_the_note_comes_back(tmp_path: Path) -> None:
    """What is written is read, and each state folder has its own."""
    path = note_path(tmp_path / "state", {"XDG_STATE_HOME": str(tmp_path)})
    write_note(path, NOTE)
    assert read_note(path) == NOTE
    other = note_path(tmp_path / "other", {"XDG_STATE_HOME": str(tmp_path)})
    assert read_note(other) is None


@pytest.mark.parametrize(
    ("lineage", "serial", "moved"),
    [("abc", 7, False), ("abc", 9, False), ("abc", 6, True), ("new", 9, True)],
)
def test_a_ledger_behind_its_note_is_recognised(lineage: str, serial: int, *, moved: bool) -> None:
    """Another lineage, or a smaller serial, is behind; no note says nothing."""
    assert state_moved_back(NOTE, lineage, serial) is moved
    assert not state_moved_back(None, lineage, serial)


def test_a_home_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    """The note is extra safety; without it the run goes on."""
    (tmp_path / "batchspec").write_text("in the way")
    path = note_path(tmp_path / "state", {"XDG_STATE_HOME": str(tmp_path)})
    write_note(path, NOTE)
    assert read_note(path) is None


def test_a_garbled_note_is_no_note(tmp_path: Path) -> None:
    """A half-written or foreign file is ignored."""
    path = tmp_path / "note.json"
    path.write_text('{"lineage": 1}')
    assert read_note(path) is None
