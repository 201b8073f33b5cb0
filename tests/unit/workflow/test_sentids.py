"""Ids of what was sent: a copy that may be missing or wrong, and then the segment says."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchspec.workflow.chunks import ids, sweep
from batchspec.workflow.context import Session
from batchspec.workflow.sentids import forget_ids, keep_ids, kept_ids

IDS = [f"abcdefgh-{'x' * 26}-tagtagta-a{number}" for number in range(5)]


def segment(session: Session) -> str:
    """Store a request segment of `IDS`, and what was kept of them."""
    lines = [b'{"custom_id":"%b","params":{"n":"\\""}}' % name.encode() for name in IDS]
    name = session.segments.write("req", lines)
    keep_ids(session, name, (one.encode() for one in IDS))
    return name


def copies(session: Session) -> list[Path]:
    """Return the files that hold copies."""
    return sorted(session.cache_dir.rglob("*.ids"))


def test_a_copy_is_what_the_segment_says(session: Session) -> None:
    """With it the segment is not even opened; without it the same is read from there."""
    name = segment(session)
    assert kept_ids(session, name) == list(ids(session, name)) == IDS
    hidden = session.segments.file(name).rename(session.state_dir / "elsewhere")
    assert list(ids(session, name)) == IDS
    hidden.rename(session.segments.file(name))
    forget_ids(session, name)
    assert kept_ids(session, name) is None
    assert list(ids(session, name)) == IDS


@pytest.mark.parametrize("damage", [b"", b"x", b"\n", b"0" * 64 + b"\n"])
def test_a_damaged_copy_is_not_believed(session: Session, damage: bytes) -> None:
    """A file that was cut off or is another's counts as none."""
    name = segment(session)
    (path,) = copies(session)
    path.write_bytes(damage + path.read_bytes()[len(damage) + 1 :])
    assert kept_ids(session, name) is None
    assert list(ids(session, name)) == IDS


def test_every_changed_byte_of_a_copy_is_found(session: Session) -> None:
    """The digest is over all ids."""
    name = segment(session)
    (path,) = copies(session)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert kept_ids(session, name) is None, at


def test_copies_that_nobody_waits_for_are_swept(session: Session) -> None:
    """The segment stays while a submission names it; its ids are wanted until it is collected."""
    with session:
        name = segment(session)
        sweep(session, {name}, {name})
        assert len(copies(session)) == 1
        sweep(session, {name}, set())
        assert copies(session) == []
        assert list(ids(session, name)) == IDS


def test_a_cache_that_cannot_be_written_is_done_without(session: Session) -> None:
    """It is a file where a folder should be: nothing fails, and the segment says."""
    session.cache_dir.parent.mkdir(parents=True)
    session.cache_dir.write_text("in the way")
    name = segment(session)
    assert kept_ids(session, name) is None
    assert list(ids(session, name)) == IDS
    forget_ids(session, name)
