"""One create call, so that a crash at any moment leaves at most one batch, found or proven absent.

The order is protocol §3.3: the intent and its claims, the upload up to its last byte, ARMED, the
last byte, BOUND. Nothing here ever repeats a create whose outcome is open.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from enum import Enum, auto

from batchspec.api.port import ApiFailure, Batch, FailureKind
from batchspec.crashpoints import reached
from batchspec.errors import EnvironmentFailure, StateFailure
from batchspec.events import Event, Notice, Submitted, Uncertain, Uploading, Waiting
from batchspec.records import frozen
from batchspec.spec.headers import Headers
from batchspec.state.ledger import Armed, Fenced
from batchspec.state.model import Submission, SubmissionState
from batchspec.state.parts import Part, Unsent
from batchspec.workflow.chunks import WrittenChunk, body, claims
from batchspec.workflow.listing import Sight, look
from batchspec.workflow.patience import (
    PASSING,
    as_failure,
    given_up,
    patience_with,
    pause_after,
)
from batchspec.workflow.worker import Worker

CONTENT_TOO_LARGE = 413


class Sent(Enum):
    """What became of a chunk."""

    BOUND = auto()
    UNKNOWN = auto()
    """Its outcome is open; nothing else may be armed before it is settled."""
    TOO_LARGE = auto()
    """The server wants smaller batches; nothing was made."""
    AGAIN = auto()
    """Refused as never made, but a batch appeared that may be it: look at the workspace first."""
    UNKNOWN_TOO_LARGE = auto()
    """A 413 without the API's error body (fact sheet §2.1): most likely nothing was made, but only
    the listing proves it. Smaller batches are wanted then."""


OPEN_OUTCOMES = frozenset((Sent.UNKNOWN, Sent.UNKNOWN_TOO_LARGE))


class Stalled(EnvironmentFailure):
    """The process stood still between upload and last byte; the upload has to begin again."""


@frozen
class Order:
    """A chunk and on whose behalf it is sent."""

    chunk: WrittenChunk
    spec: str
    headers: Headers
    behind: tuple[Unsent, ...] = ()
    """What is to be sent after it."""
    meanwhile: Callable[[], AbstractContextManager[Callable[[], bool]]]
    """What is done while the chunk is sent, and has ended when `submit` returns; yields what gives
    the room on the disk back that it takes, and tells whether it takes any."""


def submit(worker: Worker, order: Order, sight: Sight) -> Generator[Event, None, Sent]:
    """Send one chunk.

    Args:
        worker: The holder of the lease.
        order: What to send.
        sight: The newest page of the listing: the anchor of a later search.

    Raises:
        ClaimConflict: a question was asked since the plan; nothing was recorded.
        AuthFailure: the key, or a spending limit; nothing was made.
        NetworkFailure: nothing could be sent; nothing was made.
    """
    chunk = order.chunk
    worker.ledger.keep_ballast()
    worker.ledger.prepare(_intent(worker, order), claims(chunk))
    # The answer is recorded inside, before anything else is waited for.
    with order.meanwhile() as give_back:
        return (yield from _send(worker, order, sight, give_back))


def _intent(worker: Worker, order: Order) -> Submission:
    chunk = order.chunk
    return Submission(
        tag=chunk.tag,
        spec=order.spec,
        state=SubmissionState.PREPARED,
        requests=chunk.requests,
        bytes=chunk.bytes,
        segment=chunk.segment,
        betas=order.headers.betas,
        prepared_at=worker.session.clock.now(),
        usd_max=None if chunk.usd_most is None else str(chunk.usd_most),
        key_label=worker.session.key_label(),
        part=Part(share=chunk.share, behind=order.behind),
    )


def _send(
    worker: Worker, order: Order, sight: Sight, give_back: Callable[[], bool]
) -> Generator[Event, None, Sent]:
    """Make the create call of a prepared submission, again while provably nothing was made."""
    clock, chunk = worker.session.clock, order.chunk
    pauses = worker.session.waits.backoffs()
    started = clock.elapsed()
    while True:
        yield Uploading(
            spec=order.spec, submission=chunk.tag, requests=chunk.requests, bytes=chunk.bytes
        )
        try:
            batch = _create(worker, order, sight)
        except ApiFailure as failure:
            outcome = _refused(worker, order, failure)
            if outcome in OPEN_OUTCOMES:
                yield Uncertain(spec=order.spec, submission=chunk.tag, why=failure.message)
            if outcome is not None:
                return outcome
            yield from _wait(worker, order, failure, started, next(pauses))
        except Stalled as stalled:
            yield Notice(message=stalled.message)
        else:
            return (yield from _bound(worker, order, batch, give_back))
        before, sight = sight, (yield from look(worker))
        if _appeared(worker, chunk, before, sight):
            worker.ledger.release(chunk.tag, SubmissionState.ABANDONED, "refused")
            return Sent.AGAIN


def _wait(
    worker: Worker, order: Order, failure: ApiFailure, started: float, pause: float
) -> Generator[Event, None, None]:
    """Pause before a create is made again; give the chunk up when that goes on for too long."""
    session, tag = worker.session, order.chunk.tag
    if session.clock.elapsed() - started > patience_with(session, failure, idle=True):
        worker.ledger.release(tag, SubmissionState.ABANDONED, failure.message)
        raise given_up("submitting a batch", failure) from failure
    pause = pause_after(session, failure, pause)
    why = f"submitting a batch: {failure.message}"
    yield Waiting(why=why, seconds=pause, spec=order.spec)
    session.clock.sleep(pause)


def _appeared(worker: Worker, chunk: WrittenChunk, before: Sight, now: Sight) -> bool:
    """Tell whether a batch that may be this chunk's was listed since the refused create."""
    seen = {batch.id for batch in before.page.batches} | worker.ledger.known_batches()
    return any(
        batch.counts.may_be(chunk.requests) and batch.id not in seen for batch in now.page.batches
    )


def _create(worker: Worker, order: Order, sight: Sight) -> Batch:
    chunk, clock, page = order.chunk, worker.session.clock, sight.page
    workspace = worker.identify(page)
    anchor = page.batches[0].id if page.batches else ""
    streamed = clock.elapsed()

    def pieces_watched() -> None:
        nonlocal streamed
        streamed = clock.elapsed()

    def arm() -> None:
        now = clock.elapsed()
        if now - streamed > worker.session.stalled_seconds:
            raise Stalled(_stood_still(now - streamed))
        server_time = page.server_time
        if server_time is not None:
            server_time += dt.timedelta(seconds=now - sight.at)
        worker.ledger.arm(
            chunk.tag, Armed(anchor=anchor, server_time=server_time, workspace=workspace)
        )
        worker.note_serial()
        reached("armed")
        if clock.elapsed() - now > worker.session.stalled_seconds:
            # Fenced when somebody settled it meanwhile; else nothing has left, and it begins again.
            worker.ledger.rearm(chunk.tag)
            raise Stalled(_stood_still(clock.elapsed() - now))

    content = body(worker.session, chunk.segment, chunk.bytes)
    return worker.api.create(
        content.watched(pieces_watched), before_last_byte=arm, headers=order.headers
    )


def _stood_still(seconds: float) -> str:
    return f"The process stood still for {seconds:.0f} s during an upload; the upload begins again."


def _refused(worker: Worker, order: Order, failure: ApiFailure) -> Sent | None:
    """Record what a failed create means; None: it may be made again after a pause.

    Raises:
        AuthFailure, NetworkFailure: when no waiting helps; the questions are free again.
    """
    tag, ledger = order.chunk.tag, worker.ledger
    if failure.kind is FailureKind.AMBIGUOUS:
        ledger.unknown(tag, failure.message)
        size = failure.status == CONTENT_TOO_LARGE and order.chunk.requests > 1
        return Sent.UNKNOWN_TOO_LARGE if size else Sent.UNKNOWN
    if failure.kind in PASSING:
        if (
            failure.kind is FailureKind.RATE_LIMITED
            and (own := ledger.submission(tag)) is not None
            and own.state is SubmissionState.ARMED
        ):
            ledger.rearm(tag)
        return None
    ledger.release(tag, SubmissionState.REJECTED, failure.message)
    if failure.kind is FailureKind.TOO_LARGE and order.chunk.requests > 1:
        return Sent.TOO_LARGE
    raise as_failure(failure, "creating a batch") from failure


def _bound(
    worker: Worker, order: Order, batch: Batch, give_back: Callable[[], bool]
) -> Generator[Event, None, Sent]:
    chunk = order.chunk
    if batch.counts.total != chunk.requests:
        why = f"the answer speaks of {batch.counts.total} requests instead of {chunk.requests}"
        worker.ledger.unknown(chunk.tag, why)
        yield Uncertain(spec=order.spec, submission=chunk.tag, why=why)
        return Sent.UNKNOWN
    # The id is said aloud before it is recorded: if the disk fails now, a person still has it.
    yield Submitted(
        spec=order.spec,
        submission=chunk.tag,
        batch_id=batch.id,
        requests=chunk.requests,
        items=None if chunk.share is None else chunk.share.items,
    )
    try:
        worker.ledger.bind(chunk.tag, batch.id, batch.created_at)
    except Fenced:
        raise
    except StateFailure:
        # On a full disk the segment that is written meanwhile may have taken the ledger's room.
        if not give_back():
            raise
        worker.ledger.bind(chunk.tag, batch.id, batch.created_at)
    worker.note_serial()
    return Sent.BOUND
