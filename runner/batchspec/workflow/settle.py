"""Deciding a create whose outcome is open, by listing the workspace (protocol §3.4).

A batch of ours is recognised by a custom_id, which can be read only when it has ended; until then
a batch with the right number of requests is provisionally ours, and waiting is all there is to do.
Absence counts only in the same workspace, seen twice after the settling time of the server's clock.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from batchspec.api.port import ApiFailure, Batch, ProcessingStatus
from batchspec.errors import Ambiguous
from batchspec.events import Event, Notice, Settled
from batchspec.records import frozen
from batchspec.state.model import Submission, SubmissionState
from batchspec.workflow.listing import REPEATS, Listing, Owners, walk
from batchspec.workflow.patience import GONE, patiently
from batchspec.workflow.worker import Worker

LEAST_PAUSE = 0.05


@dataclass(slots=True)
class Doubt:
    """What this process has seen so far of one open create."""

    submission: Submission
    since: float
    """Clock reading when this process began to look, after the last byte."""
    pauses: Iterator[float]
    """Between looks at a candidate that has not ended."""
    absent_at: float | None = None
    """Clock reading before the first listing that counts as absence."""
    unread: dict[str, float] = field(default_factory=dict)
    """Ended candidates that cannot be read, and since when."""
    owners: Owners = field(default_factory=Owners)
    absent_ids: frozenset[str] = field(default_factory=frozenset)


@frozen
class Open:
    """Not decided yet."""

    seconds: float
    """Look again after so long."""
    candidates: tuple[str, ...]
    """Batches in progress that may be it."""


def settle(worker: Worker, doubt: Doubt) -> Generator[Event, None, Open | None]:
    """Take one look; None when the submission is decided, in the ledger too.

    Raises:
        Ambiguous: the listing is not provably that of the workspace in which it was armed.
    """
    submission = doubt.submission
    # Only the anchor ends the walk: times of creation are the server's word, and may be off.
    listing = yield from walk(worker, lambda batch: batch.id == submission.anchor)
    yield from _prove_workspace(worker, submission, listing)
    candidates = _candidates(worker, submission, listing)
    waiting: list[str] = []
    for batch in reversed(candidates):
        if batch.status is not ProcessingStatus.ENDED:
            waiting.append(batch.id)
            continue
        found = yield from doubt.owners.of(worker, batch)
        if found is None:
            _must_be_readable(worker, doubt, batch)
            waiting.append(batch.id)
        elif found.id is not None and found.id.tag == submission.tag:
            worker.ledger.bind(submission.tag, batch.id, batch.created_at)
            worker.note_serial()
            yield Settled(spec=submission.spec, submission=submission.tag, batch_id=batch.id)
            return None
        elif found.id is None:
            worker.ledger.foreign([batch.id])
    if waiting:
        doubt.absent_at = None
        return Open(seconds=next(doubt.pauses), candidates=tuple(waiting))
    return (yield from _absent(worker, doubt, listing))


def _must_be_readable(worker: Worker, doubt: Doubt, batch: Batch) -> None:
    """An ended candidate that stays unreadable is for a person to decide.

    Raises:
        Ambiguous: it could not be read for as long as the patience lasts.
    """
    now = worker.session.clock.elapsed()
    since = doubt.unread.setdefault(batch.id, now)
    if now - since > worker.session.waits.patience:
        raise Ambiguous(
            f"Batch {batch.id} has ended and may be submission {doubt.submission.tag}, but its "
            "results cannot be read, so nothing tells whose it is.",
            hint="Run the same command when its results can be read again, or delete that batch "
            "if it is certainly not yours. Nothing was sent a second time.",
        )


def _candidates(worker: Worker, submission: Submission, listing: Listing) -> tuple[Batch, ...]:
    known = worker.ledger.known_batches()
    return tuple(
        batch
        for batch in listing.batches
        if batch.counts.may_be(submission.requests) and batch.id not in known
    )


def _prove_workspace(
    worker: Worker, submission: Submission, listing: Listing
) -> Generator[Event, None, None]:
    """Make sure that the batch would appear in this listing (protocol §3.4 (1))."""
    if listing.anchor_seen and submission.anchor:
        return
    if submission.anchor:
        anchor = submission.anchor
        try:
            yield from patiently(
                worker.session,
                lambda: worker.api.retrieve(anchor),
                f"looking for {anchor}",
                handled=GONE,
            )
        except ApiFailure:
            pass
        else:
            return
    if submission.workspace == listing.workspace:
        return
    raise Ambiguous(
        f"Submission {submission.tag} of {submission.spec!r} may have been made, but this key does "
        "not provably see the workspace in which it was sent: its listing proves nothing.",
        hint="Use a key of the same workspace as before and run the same command again. Nothing "
        "was sent a second time.",
    )


def _absent(worker: Worker, doubt: Doubt, listing: Listing) -> Generator[Event, None, Open | None]:
    """Nothing in the listing can be it: decide when that has been so for long enough, twice.

    Raises:
        Ambiguous: the listing is not whole, so that it proves nothing.
    """
    if not listing.whole:
        raise Ambiguous(
            f"Submission {doubt.submission.tag} of {doubt.submission.spec!r} may have been made, "
            f"but the workspace's listing {REPEATS}, so it proves nothing.",
            hint="A relay that drops `after_id` from list calls does this: mend it, or go around "
            "it with `api.base_url`, and run the same command again. Nothing was sent a second "
            "time.",
        )
    waits = worker.session.waits
    remaining = _remaining(worker, doubt, listing)
    if remaining > 0:
        return Open(seconds=max(min(remaining, waits.relist), LEAST_PAUSE), candidates=())
    ids = frozenset(batch.id for batch in listing.batches)
    if doubt.absent_at is None or ids != doubt.absent_ids:
        doubt.absent_at, doubt.absent_ids = listing.at, ids
        return Open(seconds=max(waits.relist, LEAST_PAUSE), candidates=())
    left = doubt.absent_at + waits.relist - listing.at
    if left > 0:
        return Open(seconds=max(left, LEAST_PAUSE), candidates=())
    tag = doubt.submission.tag
    worker.ledger.release(tag, SubmissionState.ABANDONED, "proven never made by the listing")
    yield Settled(spec=doubt.submission.spec, submission=tag, batch_id=None)
    if doubt.submission.detail:
        yield Notice(message=f"Submission {tag} was never made: {doubt.submission.detail}.")
    return None


def _remaining(worker: Worker, doubt: Doubt, listing: Listing) -> float:
    """Return the seconds of settling time left: it has passed when either clock proves it.

    The server's clock covers the time before this process began; this process's own, which measures
    a duration only, covers a Date header that is missing, stands still or jumps back. It is read
    before the listing was asked for: the process may have stood still since then.
    """
    passed = listing.at - doubt.since
    armed_at = doubt.submission.armed_at
    if listing.server_time is not None and armed_at is not None:
        # A Date header has whole seconds: one more makes sure that they have passed.
        passed = max(passed, (listing.server_time - armed_at).total_seconds() - 1)
    return worker.session.waits.settle - passed
