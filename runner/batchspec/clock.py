"""The only place that reads the time or sleeps."""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol


class Clock(Protocol):
    """Time as the program sees it; tests hand in one that they move themselves."""

    def now(self) -> dt.datetime:
        """Return the wall clock, in UTC. For people to read; it decides nothing about money."""
        ...

    def elapsed(self) -> float:
        """Return seconds since some fixed moment; it goes on while the machine sleeps."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait. KeyboardInterrupt passes through."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        """Return the wall clock, in UTC."""
        return dt.datetime.now(dt.UTC)

    def elapsed(self) -> float:
        """Return seconds of CLOCK_BOOTTIME where it exists, else of the monotonic clock."""
        boottime = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if boottime is None else time.clock_gettime(boottime)

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""
        time.sleep(max(0.0, seconds))
