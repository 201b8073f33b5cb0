"""The protocol with one rule taken away: the model test has to notice each of them."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

from fake_process import Rules, WatchedLedger
from fake_world import FakeApi

from batchspec.api.port import (
    ApiFailure,
    Batch,
    CreateBody,
    FailureKind,
    Page,
    ResultStream,
)
from batchspec.spec.headers import Headers
from batchspec.state.ledger import Armed
from batchspec.state.model import SubmissionState


class RetriesCreates(FakeApi):
    """Makes a create call again when its outcome is open, as SDKs do."""

    def create(
        self, body: CreateBody, *, before_last_byte: Callable[[], None], headers: Headers
    ) -> Batch:
        """Try twice."""
        try:
            return super().create(body, before_last_byte=before_last_byte, headers=headers)
        except ApiFailure as failure:
            if failure.kind is not FailureKind.AMBIGUOUS:
                raise
            return super().create(body, before_last_byte=lambda: None, headers=headers)


class ResubmitsUnknown(WatchedLedger):
    """Takes an open create for one that made nothing."""

    def unknown(self, tag: str, detail: str) -> None:
        """Free the questions."""
        self.release(tag, SubmissionState.ABANDONED, detail)


class ArmsLate(WatchedLedger):
    """Records ARMED after the answer to the create instead of before its last byte."""

    def arm(self, tag: str, armed: Armed) -> None:
        """Remember it for later."""
        self.later = (tag, armed)

    def _arm(self) -> None:
        super().arm(*self.later)

    def bind(self, tag: str, batch_id: str, created_at: dt.datetime) -> None:
        """Arm, then bind."""
        if getattr(self, "later", ("", None))[0] == tag:
            self._arm()
            self.later = ("", self.later[1])
        super().bind(tag, batch_id, created_at)

    def unknown(self, tag: str, detail: str) -> None:
        """Arm, then doubt."""
        if getattr(self, "later", ("", None))[0] == tag:
            self._arm()
            self.later = ("", self.later[1])
        super().unknown(tag, detail)


class FencesNobody(WatchedLedger):
    """Gives every holder of the lease the same generation."""

    def take_lease(self, holder: str, now: dt.datetime) -> None:
        """Take the lease, and stay at its first generation."""
        super().take_lease(holder, now)
        self._db.change("UPDATE lease SET gen = 1")
        self.gen = 1


class ForgetsTheSurvey(WatchedLedger):
    """Takes a new or rolled-back ledger for one that knows the workspace."""

    @property
    def surveyed(self) -> bool:
        """Say that all is explained."""
        return True


class BelievesStreams(FakeApi):
    """Takes every results stream that ends for a whole one."""

    @contextlib.contextmanager
    def results(self, batch: Batch) -> Iterator[ResultStream]:
        """Say so."""
        with super().results(batch) as stream:
            yield ResultStream(pieces=stream.pieces, framed=True)


class KnowsOneWorkspace(FakeApi):
    """Takes every workspace for the one in which a create was armed."""

    def page(self, **options: Any) -> Page:
        """Rename it."""
        page = super().page(**options)
        return Page(
            batches=page.batches,
            has_more=page.has_more,
            server_time=page.server_time,
            emulated=page.emulated,
            workspace="wrkspc_1",
        )


MUTANTS = {
    "creates are retried": Rules(api=RetriesCreates),
    "open creates are sent again": Rules(ledger=ResubmitsUnknown),
    "armed after the send": Rules(ledger=ArmsLate),
    "settles too early": Rules(settle=300.0),
    "no fence": Rules(ledger=FencesNobody),
    "no survey after a loss": Rules(ledger=ForgetsTheSurvey, note=False),
    "streams that end are whole": Rules(api=BelievesStreams),
    "any workspace will do": Rules(api=KnowsOneWorkspace),
}
