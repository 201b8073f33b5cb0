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
from dataclasses import dataclass
from pathlib import Path

import orjson

from batchspec.durable import write_file
from batchspec.errors import DiskFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """How far a ledger had come when it last armed or bound a submission."""

    lineage: str
    serial: int
    armed_at: dt.datetime | None
    """Server time of the last arming; a batch may appear up to U + L after it."""


def note_path(state_dir: Path, environ: Mapping[str, str]) -> Path:
    """Return where the note for a state folder is kept."""
    home = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/tmp")) / ".local/state")  # noqa: S108 - without a home there is no better place
    digest = hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:24]
    return Path(home) / "batchspec" / f"{digest}.json"


def read_note(path: Path) -> Note | None:
    """Return the note, or None when there is none that can be read."""
    try:
        raw = orjson.loads(path.read_bytes())
        armed = raw["armed_at"]
        return Note(
            lineage=str(raw["lineage"]),
            serial=int(raw["serial"]),
            armed_at=None if armed is None else dt.datetime.fromisoformat(armed),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_note(path: Path, note: Note) -> None:
    """Keep the note. A home that cannot be written loses only the extra safety."""
    armed = None if note.armed_at is None else note.armed_at.isoformat()
    raw = {"lineage": note.lineage, "serial": note.serial, "armed_at": armed}
    with contextlib.suppress(DiskFailure):
        write_file(path, [orjson.dumps(raw)])


def state_moved_back(note: Note | None, lineage: str, serial: int) -> bool:
    """Tell whether the ledger is not the one, or is older than, the note speaks of."""
    return note is not None and (note.lineage != lineage or note.serial > serial)
