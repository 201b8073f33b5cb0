"""Reading the workspace's listing, and the first lines of an ended batch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from batchspec.api.port import ApiFailure, Batch, Page, ProcessingStatus
from batchspec.durable import whole_lines
from batchspec.events import Event, Waiting
from batchspec.outputs.rows import Head, Oddity, read_head
from batchspec.plan.hashing import CustomId, parse_custom_id
from batchspec.records import frozen
from batchspec.workflow.patience import patiently
from batchspec.workflow.worker import Worker

REPEATS = "shows its first batches again and again instead of older ones"


@frozen
class Sight:
    """The newest page of the workspace's listing, and when it was asked for."""

    page: Page
    at: float
    """Clock reading before the call, so that times derived from it are rather too late."""


def look(worker: Worker, *, idle: bool = True) -> Generator[Event, None, Sight]:
    """Return the newest page of the workspace's listing; ``idle`` when nothing is in flight yet."""
    clock = worker.session.clock

    def call() -> Sight:
        at = clock.elapsed()
        return Sight(page=worker.api.page(), at=at)

    return (yield from patiently(worker.session, call, "listing the workspace", idle=idle))


@frozen
class Listing:
    """Part of the workspace's listing, newest first."""

    batches: tuple[Batch, ...]
    at: float
    """Clock reading before the call for the first page: what appeared later is not in it."""
    server_time: dt.datetime | None
    """Of the first page."""
    workspace: str
    anchor_seen: bool
    """The walk ended at the batch it was told to stop at."""
    whole: bool
    """No batch between the newest and the end of the walk was left out."""


def walk(
    worker: Worker, stop: Callable[[Batch], bool], sight: Sight | None = None
) -> Generator[Event, None, Listing]:
    """Read the listing newest first until ``stop`` says so of a batch, or to its end.

    A server, or a relay, that ignores ``after_id`` shows its first page again and again: the walk
    ends there, and what it found is not ``whole``.

    Args:
        worker: The way to the API.
        stop: Tells of a batch whether it and everything older is of no interest.
        sight: The newest page when it was just read.
    """
    found: dict[str, Batch] = {}
    if sight is None:
        sight = yield from look(worker, idle=False)
    first = page = sight.page
    workspace = worker.identify(first)
    stopped = repeats = False
    while True:
        before = len(found)
        for batch in page.batches:
            if stop(batch):
                stopped = True
                break
            found[batch.id] = batch
        repeats = not stopped and page.has_more and len(found) == before
        if stopped or repeats or not page.has_more:
            return Listing(
                batches=tuple(found.values()),
                at=sight.at,
                server_time=first.server_time,
                workspace=workspace,
                anchor_seen=stopped,
                whole=not repeats,
            )
        page = yield from patiently(
            worker.session, _page_after(worker, page.batches[-1].id), "listing the workspace"
        )


def _page_after(worker: Worker, last: str) -> Callable[[], Page]:
    return lambda: worker.api.page(after_id=last)


@frozen
class Owner:
    """What the first lines of an ended batch say of whose it is."""

    id: CustomId | None
    """One of our custom_ids; None: somebody else's batch."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Tells whose ended batches are.

    One line with an id of ours proves that a batch is ours. That none is in it takes a reading that
    provably has all lines, or many that find nothing else for as long as proves a line missing: a
    stream that ends is no proof (fact sheet §12.2), and what came of it may be a stray line alone.
    """

    _strange: dict[str, list[float]] = field(default_factory=dict)
    """When batches were read in which no id of ours was found yet."""

    def of(self, worker: Worker, batch: Batch) -> Generator[Event, None, Owner | None]:
        """Read the first custom_ids of an ended batch; None when they do not tell it now."""
        if batch.status is not ProcessingStatus.ENDED or batch.archived_at is not None:
            return None
        clock, pauses = worker.session.clock, worker.session.waits.backoffs()
        for _ in range(OWNER_READS):
            asked = clock.elapsed()
            try:
                found, whole = _first_lines(worker, batch)
            except ApiFailure as failure:
                pause = next(pauses)
                yield Waiting(why=f"reading {batch.id}: {failure.message}", seconds=pause)
                clock.sleep(pause)
                continue
            if found is None or found.id is not None or whole:
                return found
            readings = self._strange.setdefault(batch.id, [])
            readings.append(clock.elapsed())
            proven = asked - readings[0] >= worker.session.waits.proof
            return found if proven and len(readings) >= STRANGE_READS else None
        return None


OWNER_READS = 3
"""How often the first lines of somebody's batch are tried in one go."""
STRANGE_READS = 8
"""So many readings without a line of ours make a batch somebody else's when none of them provably
has all lines."""
FOREIGN_LINES = 10
"""So many lines with somebody else's ids make a batch somebody else's: one line proves that a batch
is ours, but a line that does not belong to its batch (fact sheet §12.2) may come first."""


def _first_lines(worker: Worker, batch: Batch) -> tuple[Owner | None, bool]:
    """Return what one reading says, None when it has no id at all, and whether that is final."""
    strangers: set[str] = set()
    head: Head | Oddity | None = None
    with worker.api.results(batch) as stream:
        for line in split_lines(stream.pieces):
            head = read_head(line)
            if isinstance(head, Oddity):
                continue
            found = parse_custom_id(head.custom_id)
            if found is not None:
                return Owner(id=found), True
            strangers.add(head.custom_id)
            if len(strangers) == FOREIGN_LINES:
                return Owner(id=None), True
        whole = stream.framed and isinstance(head, Head) and len(strangers) >= batch.counts.total
    return Owner(id=None) if strangers else None, whole


def split_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield complete lines of a byte stream, then what stands after the last line end."""
    for block in whole_lines(pieces):
        yield from block.removesuffix(b"\n").split(b"\n")
