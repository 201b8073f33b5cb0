"""A note outside the project of how far its ledger had come.

A state folder that was deleted, or rolled back by a backup or a checkout, looks like one that never
submitted anything. The note, kept in the user's state folder, tells them apart, so that the
workspace is searched for paid answers before anything is asked again (crash matrix #19, #20).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Mapping
from pathlib import Path

import orjson

from batchspec.durable import write_file
from batchspec.errors import DiskFailure
from batchspec.records import frozen
from batchspec.state.objects import Objects


@frozen
class Note:
    """How far a ledger had come when it last armed or bound a submission."""

    lineage: str
    serial: int
    armed_at: dt.datetime | None
    """Server time of the last arming; a batch may appear up to U + L after it."""


@frozen
class Mirror:
    """Where the notes on one ledger are kept."""

    path: Path | None = None
    """The note in the user's state folder; None: none is kept, as for emulated work."""
    objects: Objects | None = None
    """Of a shared state: a note beside its segments, for machines that have none of their own."""

    def read(self) -> Note | None:
        """Return the note that goes furthest, or None when there is none."""
        notes = [] if self.path is None else [read_note(self.path)]
        if self.objects is not None:
            notes.append(_note_of(self.objects.read_note(SHARED_NOTE)))
        return max((n for n in notes if n is not None), key=lambda n: n.serial, default=None)

    def write(self, note: Note) -> None:
        """Keep the note in both places."""
        if self.path is not None:
            write_note(self.path, note)
        if self.objects is not None:
            self.objects.write_note(SHARED_NOTE, _bytes_of(note))


SHARED_NOTE = "note.json"


def shared_note_path(identity: str, environ: Mapping[str, str]) -> Path:
    """Return where this machine's note on a shared ledger is kept."""
    return _named(identity, environ)


def note_path(state_dir: Path, environ: Mapping[str, str]) -> Path:
    """Return where the note for a state folder is kept."""
    return _named(str(state_dir.resolve()), environ)


def _named(identity: str, environ: Mapping[str, str]) -> Path:
    home = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/tmp")) / ".local/state")  # noqa: S108 - without a home there is no better place
    digest = hashlib.sha256(identity.encode()).hexdigest()[:24]
    return Path(home) / "batchspec" / f"{digest}.json"


def read_note(path: Path) -> Note | None:
    """Return the note, or None when there is none that can be read."""
    try:
        return _note_of(path.read_bytes())
    except OSError:
        return None


def _note_of(data: bytes) -> Note | None:
    try:
        raw = orjson.loads(data)
        armed = raw["armed_at"]
        return Note(
            lineage=str(raw["lineage"]),
            serial=int(raw["serial"]),
            armed_at=None if armed is None else dt.datetime.fromisoformat(armed),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _bytes_of(note: Note) -> bytes:
    armed = None if note.armed_at is None else note.armed_at.isoformat()
    raw = {"lineage": note.lineage, "serial": note.serial, "armed_at": armed}
    return orjson.dumps(raw)


def write_note(path: Path, note: Note) -> None:
    """Keep the note. A home that cannot be written loses only the extra safety."""
    with contextlib.suppress(DiskFailure):
        write_file(path, [_bytes_of(note)])


def state_moved_back(note: Note | None, lineage: str, serial: int) -> bool:
    """Tell whether the ledger is not the one, or is older than, the note speaks of."""
    return note is not None and (note.lineage != lineage or note.serial > serial)
