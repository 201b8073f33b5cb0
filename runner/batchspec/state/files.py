"""What the ledger remembers of uploaded files: one row per content and workspace.

Losing a row costs an upload, which is free, and never an answer. So the table came without a new
format of the state: a version that does not know it leaves it alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from batchspec.records import frozen
from batchspec.state.database import Database

TABLE = """
CREATE TABLE IF NOT EXISTS files (
  workspace TEXT NOT NULL, sha256 TEXT NOT NULL, file_id TEXT NOT NULL, expires_at TEXT,
  PRIMARY KEY (workspace, sha256)
) WITHOUT ROWID
"""


@frozen
class RememberedFile:
    """A content that was uploaded."""

    sha256: str
    """Hex digest of its bytes."""
    file_id: str
    expires_at: dt.datetime | None
    """None: it lives until somebody deletes it."""


def read_files(db: Database, workspace: str) -> dict[str, RememberedFile]:
    """Return what is remembered of a workspace, by digest."""
    rows = db.rows("SELECT sha256, file_id, expires_at FROM files WHERE workspace = ?1", workspace)
    return {
        sha256: RememberedFile(
            sha256=sha256,
            file_id=file_id,
            expires_at=None if expires is None else dt.datetime.fromisoformat(expires),
        )
        for sha256, file_id, expires in rows
    }


def write_files(db: Database, workspace: str, files: Iterable[RememberedFile]) -> None:
    """Remember files; a newer upload takes an older one's place."""
    db.change_many(
        "INSERT INTO files VALUES (?1, ?2, ?3, ?4) ON CONFLICT (workspace, sha256) "
        "DO UPDATE SET file_id = excluded.file_id, expires_at = excluded.expires_at",
        [
            (
                workspace,
                file.sha256,
                file.file_id,
                None if file.expires_at is None else file.expires_at.isoformat(),
            )
            for file in files
        ],
    )
