"""Keeps batches on disk: objects in SQLite, bodies and results in files.

A batch exists if and only if its row is committed. Its files are complete before that, so a
kill -9 leaves a batch that is there entirely, or no batch.

.. code-block:: text

    store.db                     batches, meta values
    incoming/<n>/                bodies that are still arriving; emptied at every start
    batches/<id>/body.json       the create body
    batches/<id>/rows.bin        where each request stands in it: the paid log reads from here
    batches/<id>/results.jsonl   written once, when somebody first looks after the end
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import orjson

from batchspec.emulator.draws import make_id
from batchspec.emulator.lifecycle import BatchRecord, Counts

if TYPE_CHECKING:
    from pathlib import Path

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
  seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, workspace TEXT NOT NULL,
  created REAL NOT NULL, duration REAL NOT NULL, total INTEGER NOT NULL,
  version TEXT NOT NULL, betas TEXT NOT NULL, profile TEXT,
  cancelled REAL, cancel_end REAL, counts TEXT, deleted INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS files (
  seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, workspace TEXT NOT NULL, created REAL NOT NULL,
  filename TEXT NOT NULL, mime_type TEXT NOT NULL, size INTEGER NOT NULL, expires REAL);
"""
_COLUMNS = tuple(field.name for field in fields(BatchRecord))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM batches"  # noqa: S608  (names of our own record)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A batch that is about to be committed."""

    workspace: str
    """Id of its workspace."""
    created: float
    """Emulated time of the commit."""
    duration: float
    """Seconds until it ends."""
    total: int
    """Number of requests."""
    version: str
    """``anthropic-version`` of the create call."""
    betas: tuple[str, ...]
    """``anthropic-beta`` values of the create call."""
    profile: str | None
    """``anthropic-user-profile-id`` of the create call."""


class Store:
    """The store of one emulator. Used from one thread at a time.

    Args:
        folder: the data folder; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "batches").mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / "incoming", ignore_errors=True)
        (folder / "incoming").mkdir()
        (folder / "files").mkdir(exist_ok=True)
        self._incoming = 0
        self._db = sqlite3.connect(
            folder / "store.db", check_same_thread=False, isolation_level=None
        )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_TABLES)
        self.nonce = self.meta("nonce") or self.set_meta("nonce", os.urandom(16).hex())
        self._forget_unfinished()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, for the parts of the emulator that keep their own tables."""
        return self._db

    def meta(self, name: str) -> str | None:
        """Return a stored value."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, name: str, value: str) -> str:
        """Store a value and return it."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
        return value

    def incoming(self) -> Path:
        """Return a new empty folder for a body that is arriving."""
        self._incoming += 1
        folder = self.folder / "incoming" / str(self._incoming)
        folder.mkdir()
        return folder

    def files_of(self, record: BatchRecord) -> Path:
        """Return the folder of a batch."""
        return self.folder / "batches" / record.id

    def commit(self, batch: NewBatch, folder: Path) -> BatchRecord:
        """Make the batch whose files are complete in ``folder`` exist, and return its record."""
        seq = 1 + int(self._db.execute("SELECT coalesce(max(seq), 0) FROM batches").fetchone()[0])
        record = BatchRecord(
            seq=seq,
            id=make_id("msgbatch", self.nonce, seq),
            workspace=batch.workspace,
            created=batch.created,
            duration=batch.duration,
            total=batch.total,
            version=batch.version,
            betas=batch.betas,
            profile=batch.profile,
        )
        folder.rename(self.files_of(record))
        self._db.execute(
            "INSERT INTO batches (seq, id, workspace, created, duration, total, version, betas,"
            " profile) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                seq, record.id, batch.workspace, batch.created, batch.duration, batch.total,
                batch.version, ",".join(batch.betas), batch.profile,
            ),
        )  # fmt: skip
        return record

    def batch(self, workspace: str, batch_id: str) -> BatchRecord | None:
        """Return a batch of a workspace that is not deleted."""
        row = self._db.execute(
            f"{_SELECT} WHERE id = ? AND workspace = ? AND NOT deleted", (batch_id, workspace)
        ).fetchone()
        return None if row is None else _record(row)

    def listing(self, workspace: str, created_until: float) -> list[str]:
        """Return the ids of batches that are not deleted, newest first, created by then."""
        rows = self._db.execute(
            "SELECT id FROM batches WHERE workspace = ? AND NOT deleted AND created <= ?"
            " ORDER BY seq DESC",
            (workspace, created_until),
        )
        return [str(row[0]) for row in rows]

    def batches(self, workspace: str) -> list[BatchRecord]:
        """Return the batches of a workspace that are not deleted, newest first."""
        rows = self._db.execute(
            f"{_SELECT} WHERE workspace = ? AND NOT deleted ORDER BY seq DESC", (workspace,)
        )
        return [_record(row) for row in rows]

    def every_batch(self) -> list[BatchRecord]:
        """Return all batches of all workspaces, deleted ones too, oldest first."""
        return [_record(row) for row in self._db.execute(f"{_SELECT} ORDER BY seq")]

    def cancel(self, record: BatchRecord, now: float, end: float) -> None:
        """Record that a cancel was initiated."""
        self._db.execute(
            "UPDATE batches SET cancelled = ?, cancel_end = ? WHERE seq = ?", (now, end, record.seq)
        )

    def set_counts(self, record: BatchRecord, counts: Counts) -> None:
        """Record the counts of a batch whose results file is complete."""
        numbers = [counts.succeeded, counts.errored, counts.canceled, counts.expired]
        self._db.execute(
            "UPDATE batches SET counts = ? WHERE seq = ?",
            (orjson.dumps(numbers).decode(), record.seq),
        )

    def delete(self, record: BatchRecord) -> None:
        """Delete a batch: body and results go, the paid log stays."""
        self._db.execute("UPDATE batches SET deleted = 1 WHERE seq = ?", (record.seq,))
        for name in ("body.json", "results.jsonl"):
            (self.files_of(record) / name).unlink(missing_ok=True)

    def _forget_unfinished(self) -> None:
        known = {str(row[0]) for row in self._db.execute("SELECT id FROM batches")}
        for folder in (self.folder / "batches").iterdir():
            if folder.name not in known:
                shutil.rmtree(folder)


def _record(row: tuple[Any, ...]) -> BatchRecord:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["betas"] = tuple(part for part in values["betas"].split(",") if part)
    values["deleted"] = bool(values["deleted"])
    if values["counts"] is not None:
        succeeded, errored, canceled, expired = orjson.loads(values["counts"])
        values["counts"] = Counts(
            succeeded=succeeded, errored=errored, canceled=canceled, expired=expired
        )
    return BatchRecord(**values)
