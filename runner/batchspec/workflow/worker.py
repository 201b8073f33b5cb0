"""The holder of the lease with its way to the API: what submit, settle and collect act through."""

from __future__ import annotations

from batchspec.api.port import BatchApi, Page
from batchspec.records import frozen
from batchspec.state.mirror import Note
from batchspec.state.writer import SqlLedger
from batchspec.workflow.context import Session


@frozen
class Worker:
    """One writing process."""

    session: Session
    ledger: SqlLedger
    api: BatchApi

    def identify(self, page: Page) -> str:
        """Return by what the workspace is recognised: its id, or the key's fingerprint.

        Raises:
            Refused: when the server is an emulator and the state is real, or the reverse.
        """
        self.ledger.set_kind("emulated" if page.emulated else "real")
        return page.workspace or self.session.key_print()

    def note_serial(self) -> None:
        """Keep the note outside the project in step with the ledger."""
        # Until the workspace is explained, the former note is what tells that a state was lost.
        if self.ledger.surveyed:
            armed = [s.armed_at for s in self.ledger.submissions() if s.armed_at is not None]
            note = Note(
                lineage=self.ledger.lineage,
                serial=self.ledger.serial,
                armed_at=max(armed, default=None),
            )
            self.session.mirror.write(note)
