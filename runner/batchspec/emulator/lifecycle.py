"""The life of a batch as pure functions of its record and the time (fact sheet §1.4, §1.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from batchspec.emulator.clock import rfc3339
from batchspec.emulator.settings import ARCHIVE_SECONDS, EXPIRY_SECONDS

_IN_FLIGHT_SHARE = 0.05
"""Share of a batch that a cancel cannot interrupt any more: those requests still complete."""

Status = Literal["in_progress", "canceling", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """``request_counts`` of an ended batch, ``processing`` left out: it is 0."""

    succeeded: int = 0
    """Lines with a message."""
    errored: int = 0
    """Lines with an error."""
    canceled: int = 0
    """Requests that a cancel came before."""
    expired: int = 0
    """Requests that the 24 hours came before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """One batch of the store. Times are emulated seconds since the epoch."""

    seq: int
    """Order of creation."""
    id: str
    """``msgbatch_…``."""
    workspace: str
    """Id of the workspace it belongs to."""
    created: float
    """``created_at``."""
    duration: float
    """Seconds until the last request would be done."""
    total: int
    """Number of requests."""
    version: str
    """``anthropic-version`` of the create call; governs every row."""
    betas: tuple[str, ...] = ()
    """``anthropic-beta`` values of the create call."""
    profile: str | None = None
    """``anthropic-user-profile-id`` of the create call."""
    cancelled: float | None = None
    """``cancel_initiated_at``."""
    cancel_end: float | None = None
    """When a cancelled batch ends."""
    counts: Counts | None = None
    """Known once the results are written."""
    deleted: bool = False
    """Whether it was deleted; its requests stay in the paid log."""

    @property
    def expires(self) -> float:
        """``expires_at``, fixed at creation."""
        return self.created + EXPIRY_SECONDS

    @property
    def archives(self) -> float:
        """When the results stop being available."""
        return self.created + ARCHIVE_SECONDS

    @property
    def ends(self) -> float:
        """When it ends, by what is known now."""
        natural = min(self.created + self.duration, self.expires)
        return natural if self.cancel_end is None else min(natural, self.cancel_end)

    def status(self, now: float) -> Status:
        """Return ``processing_status`` at emulated time ``now``."""
        if now >= self.ends:
            return "ended"
        return "in_progress" if self.cancelled is None else "canceling"

    def started_at(self, place: int) -> float:
        """Return when the request at ``place`` in the order of processing starts."""
        return self.created + self.duration * place / self.total

    @property
    def finished(self) -> int:
        """How many requests, in the order of processing, are done when the batch ends."""
        window = EXPIRY_SECONDS
        if self.cancelled is not None:
            window = min(window, self.cancelled - self.created + _IN_FLIGHT_SHARE * self.duration)
        if self.duration <= window:
            return self.total
        return int(self.total * window / self.duration)

    @property
    def leftover(self) -> Literal["canceled", "expired"]:
        """What becomes of the requests that are not done when the batch ends."""
        return "expired" if self.cancelled is None else "canceled"


def request_counts(record: BatchRecord, now: float) -> dict[str, int]:
    """Return the counts: all in ``processing`` until the entire batch ends (fact sheet §1.4)."""
    if record.status(now) != "ended" or record.counts is None:
        return {
            "processing": record.total, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0,
        }  # fmt: skip
    counts = record.counts
    return {
        "processing": 0,
        "succeeded": counts.succeeded,
        "errored": counts.errored,
        "canceled": counts.canceled,
        "expired": counts.expired,
    }


def batch_object(record: BatchRecord, now: float, results_url: str | None) -> dict[str, Any]:
    """Return the MessageBatch object; all ten keys are always there (fact sheet §1.4)."""
    status = record.status(now)
    ended = status == "ended"
    cancelled = record.cancelled
    return {
        "id": record.id,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": request_counts(record, now),
        "created_at": rfc3339(record.created),
        "expires_at": rfc3339(record.expires),
        "ended_at": rfc3339(record.ends) if ended else None,
        "cancel_initiated_at": None if cancelled is None else rfc3339(cancelled),
        "archived_at": rfc3339(record.archives) if now >= record.archives else None,
        "results_url": results_url if ended else None,
    }
