"""Every way of keeping a state, for the tests that all of them have to pass."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from batchspec.clock import SystemClock
from batchspec.state.lease import held
from batchspec.state.reader import SqlReader
from batchspec.state.segments import FolderSegments, Segments
from batchspec.state.shared_ledger import SharedLedger
from batchspec.state.sqlite import SqliteLedger, SqliteReader
from batchspec.state.team import Team
from batchspec.state.writer import SqlLedger

CLOCK = SystemClock()
KINDS = ("SQLite and a folder", "PostgreSQL and a shared folder", "PostgreSQL and S3")


@dataclass
class Place:
    """Where a state is kept; several processes or machines may open it.

    Attributes:
        folder: Of this machine.
        team: What is shared; None: the folder is all there is.
    """

    folder: Path
    team: Team | None = None
    opened: list[SqlReader] = field(default_factory=list)

    def ledger(self) -> SqlLedger:
        """Open the ledger for writing, without its lease."""
        ledger: SqlLedger
        if self.team is None:
            ledger = SqliteLedger(self.folder / "ledger.db", os.urandom)
        else:
            ledger = self.team.ledger(CLOCK, os.urandom)
        self.opened.append(ledger)
        return ledger

    def lease(
        self, ledger: SqlLedger, operation: str = "test", *, force: bool = False
    ) -> AbstractContextManager[None]:
        """Return the lease on the state, for a ``with`` block."""
        if isinstance(ledger, SqliteLedger):
            return held(ledger, self.folder, operation, CLOCK, force=force)
        assert isinstance(ledger, SharedLedger)
        return ledger.held(operation, force=force)

    def reader(self) -> SqlReader | None:
        """Open the ledger for reading."""
        path = self.folder / "ledger.db"
        if self.team is not None:
            reader: SqlReader | None = self.team.reader(CLOCK, os.urandom)
        else:
            reader = SqliteReader.open(path) if path.exists() else None
        if reader is not None:
            self.opened.append(reader)
        return reader

    def segments(self) -> Segments:
        """Return the segments as this machine has them."""
        folder = self.folder / "segments"
        return FolderSegments(folder) if self.team is None else self.team.segments(folder)

    def elsewhere(self, folder: Path) -> Place:
        """Return the same state as another machine sees it."""
        return Place(folder=folder if self.team else self.folder, team=self.team)
