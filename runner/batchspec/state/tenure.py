"""Who holds a state's lease, and for how long already."""

from __future__ import annotations

import datetime as dt

from batchspec.records import frozen


@frozen
class Tenure:
    """One command's time as the writer of a state."""

    held: bool
    """False: it was given back, or nobody ever held it."""
    gen: int = 0
    """Generation of the lease; each holder has a higher one than those before."""
    operation: str = ""
    """The command, such as ``run``."""
    host: str = ""
    pid: int = 0
    since: dt.datetime | None = None
    beat_at: dt.datetime | None = None
    """Last sign of life; None where the operating system tells at once who is gone."""
    silent_seconds: float | None = None
    """Seconds since then, on the ledger's server."""
    seconds: float | None = None
    """After so much silence the holder counts as dead; None: a living process is never."""

    @property
    def expired(self) -> bool:
        """Whether the holder counts as dead for its silence."""
        if self.seconds is None or self.silent_seconds is None:
            return False
        return self.silent_seconds > self.seconds

    def words(self) -> str:
        """Return who it is, as a part of a sentence."""
        since = "" if self.since is None else f", since {self.since:%Y-%m-%d %H:%M:%S} UTC"
        beat = ""
        if self.silent_seconds is not None:
            beat = f", last sign of life {self.silent_seconds:.0f} s ago"
        return f"`batchspec {self.operation}`, process {self.pid} on {self.host}{since}{beat}"
