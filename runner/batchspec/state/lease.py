"""One writer at a time: a file lock for this host, a generation in the ledger for everybody.

The operating system drops the file lock when its holder dies, so a dead holder is recognised at
once. The generation fences a holder that was suspended while somebody else took over: its next
write is refused, so it cannot arm another submission.
"""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchspec.clock import Clock
from batchspec.durable import disk_errors
from batchspec.errors import StateLocked
from batchspec.state.sqlite import SqliteLedger


@contextmanager
def held(ledger: SqliteLedger, folder: Path, operation: str, clock: Clock) -> Iterator[None]:
    """Hold the lease on the state in ``folder`` while the block runs.

    Raises:
        StateLocked: when a living process holds it; the message says which.
        DiskFailure: when the folder cannot be written.
    """
    path = folder / "lock"
    with disk_errors("open the state's lock file"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text(encoding="utf-8").strip() or "another process"
            raise StateLocked(
                f"The state is in use by {holder}; two writers could pay twice.",
                hint="Wait until it has finished, or stop it. `batchspec status` and "
                "`batchspec plan` work meanwhile.",
            ) from None
        now = clock.now()
        holder = f"`batchspec {operation}`, process {os.getpid()} on {platform.node()}"
        with disk_errors("write the state's lock file"):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{holder}, since {now:%Y-%m-%d %H:%M:%S} UTC\n".encode(), 0)
        ledger.take_lease(holder, now)
        yield
    finally:
        os.close(descriptor)
