"""The emulator's own time: real, scaled or stepped, in seconds since the epoch."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import formatdate


class EmulatorClock:
    """Time that can run faster than real time, stand still, and be moved forward.

    Args:
        speed: emulated seconds per real second.
        stepped: when true, time moves only through :meth:`advance`.
        start: emulated time to begin at; ``None`` begins at the real time.
    """

    def __init__(
        self, *, speed: float = 1.0, stepped: bool = False, start: float | None = None
    ) -> None:
        self._speed = 0.0 if stepped else speed
        # A duration, not a date: time must not jump when the machine's clock is set.
        self._real = time.monotonic()
        self._emulated = time.time() if start is None else start

    def now(self) -> float:
        """Return the emulated time in seconds since the epoch."""
        return self._emulated + (time.monotonic() - self._real) * self._speed

    def advance(self, seconds: float) -> float:
        """Move time forward by emulated ``seconds`` and return the new time."""
        self._emulated += seconds
        return self.now()

    def set_speed(self, speed: float) -> None:
        """Let time run at ``speed`` emulated seconds per real second from now on."""
        self._emulated = self.now()
        self._real = time.monotonic()
        self._speed = speed

    @property
    def speed(self) -> float:
        """Emulated seconds per real second; 0 when stepped."""
        return self._speed


def rfc3339(seconds: float) -> str:
    """Return a time as the API writes it: six decimals and ``Z`` (fact sheet §1.4)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def http_date(seconds: float) -> str:
    """Return a time as the ``Date`` header writes it."""
    return formatdate(seconds, usegmt=True)
