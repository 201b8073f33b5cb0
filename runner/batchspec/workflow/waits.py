"""Every waiting time of the submit protocol, from two settings."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from batchspec.records import frozen
from batchspec.spec.model import Api

U_PLUS_L = 1020.0
"""Protocol §3.3: a commit up to U = 900 s after the last byte, its listing L = 120 s after."""
SETTLE_FLOOR = 300.0
"""Protocol §3.3: the least settling time against a host that is not this machine."""
LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))


@frozen
class Waits:
    """Seconds."""

    settle: float
    """After arming: until the absence of a batch from the listing proves that it was not made."""
    relist: float
    """Between the two equal listings that prove it."""
    answer: float
    """For the answer to a create once its last byte has left."""
    poll_first: float
    poll_most: float
    backoff: float
    """First pause after a call that failed in passing; doubles up to `poll_most`."""
    patience: float
    """How long calls may keep failing in passing before the run gives up and says how to go on."""
    unreachable: float
    """The same before anything is sent, when the API cannot be reached at all."""
    proof: float
    """Over how long results have to lack a line before it counts as missing, when nothing else
    shows that they were read to their end."""
    rate_limit_most: float
    """The longest pause that one ``retry-after`` can ask for."""

    def polls(self) -> Iterator[float]:
        """Yield the pauses between looks at open batches: they grow to `poll_most`."""
        pause = self.poll_first
        while True:
            yield pause
            pause = min(self.poll_most, pause * 1.3)

    def backoffs(self) -> Iterator[float]:
        """Yield the pauses after calls that failed in passing."""
        pause = self.backoff
        while True:
            yield pause
            pause = min(max(self.poll_most, self.backoff), pause * 2)


def is_loopback(base_url: str | None) -> bool:
    """Tell whether the API is on this machine."""
    return urlsplit(base_url or "").hostname in LOOPBACK


def waits_for(api: Api, *, emulated: bool = False) -> Waits:
    """Return the waiting times for the API as configured.

    For a host on this machine everything scales with ``settle_seconds`` and no floor holds, so that
    tests need not wait; against any other host only the settling time can be set, above its floor.
    """
    settle = api.settle_seconds
    local = emulated or is_loopback(api.base_url)
    if emulated:
        settle = min(settle, 5.0)
    if not local:
        settle = max(settle, SETTLE_FLOOR)
    scale = settle / U_PLUS_L if local else 1.0
    first, most = 5.0 * scale, 300.0 * scale
    if api.poll_seconds is not None:
        first = most = api.poll_seconds
    elif emulated:
        first, most = 0.05, 0.5
    return Waits(
        settle=settle,
        relist=60.0 * scale,
        answer=max(600.0 * scale, 10.0),
        poll_first=first,
        poll_most=most,
        backoff=min(1.0, max(first, 0.05)) if local else 1.0,
        patience=max(3600.0 * scale, 30.0),
        unreachable=max(120.0 * scale, 3.0),
        rate_limit_most=max(3600.0 * scale, 30.0),
        proof=min(settle, 120.0),
    )
