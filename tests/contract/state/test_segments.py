"""Segments: whole or not there, whoever wrote them and wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from state_places import Place

from batchspec.errors import StateFailure
from batchspec.state.team import Team

LINES = [b'{"n":%d}' % number for number in range(50)]


def test_what_is_written_comes_back(place: Place) -> None:
    """Byte for byte, in order, under a name that its content gives."""
    segments = place.segments()
    name = segments.write("res", LINES)
    assert list(segments.lines(name)) == LINES
    assert segments.complaint(name) is None
    assert segments.names() == (name,)


def test_writing_twice_is_one_segment(place: Place) -> None:
    """Also when the second writer did not get the answer to its first attempt."""
    segments = place.segments()
    assert segments.write("req", LINES) == segments.write("req", LINES)
    assert len(segments.names()) == 1


def test_another_machine_reads_it(place: Place, tmp_path: Path) -> None:
    """It fetches a copy once; the file is the same."""
    name = place.segments().write("res", LINES)
    other = place.elsewhere(tmp_path / "other").segments()
    assert list(other.lines(name)) == LINES
    assert other.file(name).read_bytes() == place.segments().file(name).read_bytes()
    assert name in other.names_here()


def test_a_segment_that_is_not_named_can_go(place: Place) -> None:
    """Left by a crash before a submission named it."""
    segments = place.segments()
    name = segments.write("req", LINES)
    segments.discard(name)
    segments.discard(name)
    assert segments.names() == ()
    with pytest.raises(StateFailure, match="missing"):
        list(segments.lines(name))


def test_a_source_that_breaks_leaves_no_segment(place: Place) -> None:
    """Nothing half-written is ever named."""

    def broken() -> Iterator[bytes]:
        yield LINES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.segments().write("res", broken())
    assert place.segments().names() == ()


@pytest.fixture
def shared(place: Place) -> Place:
    """Return a place whose segments are not on this machine alone."""
    if place.team is None:
        pytest.skip("a local state has no copies")
    return place


def test_replaced_bytes_are_refused(shared: Place, tmp_path: Path) -> None:
    """A segment in the store that is not what its name says is never read."""
    assert shared.team is not None
    name = shared.segments().write("res", LINES)
    evil = tmp_path / "evil"
    evil.write_bytes(shared.segments().file(name).read_bytes()[:-1] + b"\0")
    objects = shared.team.objects()
    objects.discard(f"{name}.jsonl.zst")
    objects.put(f"{name}.jsonl.zst", evil, "0" * 64)
    other = shared.elsewhere(tmp_path / "other").segments()
    assert "not what its name says" in (other.complaint(name) or "")
    with pytest.raises(StateFailure, match="damaged or was replaced"):
        list(other.lines(name))
    assert other.names_here() == ()


def test_a_store_with_other_bytes_under_the_name_is_mended(shared: Place, tmp_path: Path) -> None:
    """Writing a segment makes sure of its bytes, where something stands under its name already."""
    assert shared.team is not None
    name = shared.segments().write("res", LINES)
    torn = tmp_path / "torn"
    torn.write_bytes(b"torn")
    shared.team.objects().discard(f"{name}.jsonl.zst")
    shared.team.objects().put(f"{name}.jsonl.zst", torn, "0" * 64)
    assert shared.segments().complaint(name) is not None
    assert shared.segments().write("res", LINES) == name
    assert shared.segments().complaint(name) is None


def test_a_damaged_copy_is_fetched_again(shared: Place) -> None:
    """A local copy is a copy: damage in it costs a download."""
    segments = shared.segments()
    name = segments.write("res", LINES)
    path = segments.file(name)
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    assert list(segments.lines(name)) == LINES
    assert segments.file(name).read_bytes() == data


def test_copies_are_bounded(make_team: Callable[..., Team | None], tmp_path: Path) -> None:
    """Those that were not used for longest go; what is gone is fetched again."""
    team = make_team(cache_mb=1)
    if team is None:
        pytest.skip("a local state has no copies")
    segments = team.segments(tmp_path / "copies")
    noise = [sha256(b"%d" % n).hexdigest().encode() for n in range(40_000)]
    names = [segments.write("res", noise[start::4]) for start in range(4)]
    assert set(segments.names()) == set(names)
    assert len(segments.names_here()) < len(names)
    assert names[-1] in segments.names_here()
    assert list(segments.lines(names[0])) == noise[0::4]


def test_all_threads_have_the_same_copies(
    make_team: Callable[..., Team | None], tmp_path: Path
) -> None:
    """What one of them has not uploaded yet, another does not delete to make room."""
    team = make_team()
    if team is None:
        pytest.skip("a local state has no copies")
    assert team.segments(tmp_path / "copies") is team.segments(tmp_path / "copies")


def test_a_note_comes_back(shared: Place) -> None:
    """The note beside the segments is no segment."""
    assert shared.team is not None
    objects = shared.team.objects()
    assert objects.read_note("note.json") == b""
    objects.write_note("note.json", b"one")
    objects.write_note("note.json", b"two")
    assert objects.read_note("note.json") == b"two"
    assert shared.segments().names() == ()
