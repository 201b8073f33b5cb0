"""One writer at a time: a file lock for this host, a generation in the ledger for everybody.

The operating system drops the file lock when its holder dies, so a dead holder is recognised at
once. The generation fences a holder that was suspended while somebody else took over: its next
write is refused, so it cannot arm another submission.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchspec.clock import Clock
from batchspec.durable import disk_errors
from batchspec.errors import StateLocked
from batchspec.state.sqlite import SqliteLedger
from batchspec.state.tenure import Tenure

_HOLDER = re.compile(
    r"`batchspec (?P<operation>[^`]*)`, process (?P<pid>\d+) on (?P<host>.*)"
    r", since (?P<since>.*) UTC"
)


def local_tenure(folder: Path) -> Tenure:
    """Return who holds the lease on the state in ``folder``, or held it last."""
    path = folder / "lock"
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return Tenure(held=False)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        is_held = False
    except BlockingIOError:
        is_held = True
    finally:
        os.close(descriptor)
    found = _HOLDER.match(path.read_text(encoding="utf-8"))
    if found is None:
        return Tenure(held=is_held)
    since = dt.datetime.fromisoformat(found["since"]).replace(tzinfo=dt.UTC)
    return Tenure(
        held=is_held,
        operation=found["operation"],
        host=found["host"],
        pid=int(found["pid"]),
        since=since,
    )


@contextmanager
def held(
    ledger: SqliteLedger, folder: Path, operation: str, clock: Clock, *, force: bool = False
) -> Iterator[None]:
    """Hold the lease on the state in ``folder`` while the block runs.

    Args:
        ledger: The ledger in it.
        folder: Where the lock file stands.
        operation: What for, such as ``run``.
        clock: Tells since when.
        force: Take it from a holder that is alive: its lock file is put aside, and whatever it
            writes from now on is refused.

    Raises:
        StateLocked: when a living process holds it; the message says which.
        DiskFailure: when the folder cannot be written.
    """
    path = folder / "lock"
    with disk_errors("open the state's lock file"):
        if force:
            path.unlink(missing_ok=True)
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
        try:
            yield
        finally:
            ledger.seal()
    finally:
        os.close(descriptor)
