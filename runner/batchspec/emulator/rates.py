"""Rate limits over calls, and the limit on requests that wait (fact sheet §2.2, §7)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchspec.emulator.clock import rfc3339
from batchspec.emulator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchspec.emulator.lifecycle import BatchRecord

_MINUTE = 60.0


@dataclass(slots=True, kw_only=True)
class Bucket:
    """A token bucket with continuous refill that holds one minute's worth of calls."""

    per_minute: int
    """Calls per minute, and the most that can be made at once."""
    filled_at: float
    """Emulated time of the last look."""
    tokens: float
    """Calls that can be made at that time."""

    @classmethod
    def full(cls, per_minute: int, now: float) -> Bucket:
        """Return a bucket that nobody has taken from."""
        return cls(per_minute=per_minute, filled_at=now, tokens=float(per_minute))

    def headers(self, now: float) -> dict[str, str]:
        """Return the ``anthropic-ratelimit-requests-*`` headers (fact sheet §1.3)."""
        missing = self.per_minute - self.tokens
        return {
            "anthropic-ratelimit-requests-limit": str(self.per_minute),
            "anthropic-ratelimit-requests-remaining": str(int(self.tokens)),
            "anthropic-ratelimit-requests-reset": rfc3339(now + missing * self._seconds_each),
        }

    def take(self, now: float) -> None:
        """Count one call at emulated time ``now``.

        Raises:
            ApiError: 429 with retry-after when the bucket is empty.
        """
        gained = max(0.0, now - self.filled_at) / self._seconds_each
        self.tokens = min(float(self.per_minute), self.tokens + gained)
        self.filled_at = max(now, self.filled_at)
        if self.tokens < 1:
            wait = (1 - self.tokens) * self._seconds_each
            raise ApiError(
                429,
                f"This request would exceed the rate limit of {self.per_minute} requests per"
                " minute.",
                headers={"retry-after": str(math.ceil(wait)), **self.headers(now)},
            )
        self.tokens -= 1

    @property
    def _seconds_each(self) -> float:
        return _MINUTE / self.per_minute


def waiting(records: Iterable[BatchRecord], now: float) -> int:
    """Return how many requests wait in the processing queue; processed ones have left it."""
    total = 0
    for record in records:
        if record.status(now) == "in_progress":
            done = (now - record.created) / record.duration if record.duration else 1.0
            total += record.total - int(record.total * min(1.0, max(0.0, done)))
    return total


def check_queue(most: int, records: Iterable[BatchRecord], new: int, now: float) -> None:
    """Refuse a batch that does not fit in the processing queue.

    Raises:
        ApiError: 429; whether the service sends retry-after here is not known, this does not.
    """
    queued = waiting(records, now)
    if queued + new > most:
        raise ApiError(
            429,
            f"This batch of {new} requests would exceed the limit of {most} requests in the"
            f" processing queue; {queued} are waiting.",
        )
