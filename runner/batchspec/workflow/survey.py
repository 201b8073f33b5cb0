"""Explaining the workspace: paid batches that the ledger does not know are ours to take in.

Before anything is asked, the newest part of the listing is compared with the ledger. An ended batch
that the ledger does not know is read: its custom_ids say which questions it answers, whoever asked
(protocol §3.4, crash matrix #19, #20). A new ledger reads the whole retention period. One that was
lost or rolled back - the note outside the project, or real outputs on disk, tell - also waits for
every batch in progress, since any of them may be its own; otherwise only for those that have as
many requests as a batch about to be sent.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator
from dataclasses import replace

from batchspec.api.answers import UNDATED
from batchspec.api.port import RETENTION, ApiFailure, Batch, Page, ProcessingStatus
from batchspec.errors import Ambiguous
from batchspec.events import Adopted, Event, Notice, Reading, Waiting
from batchspec.outputs.rows import Judge
from batchspec.records import frozen
from batchspec.state.mirror import state_moved_back
from batchspec.state.model import Submission, SubmissionState
from batchspec.workflow.chunks import segment_claims
from batchspec.workflow.collect import adopt
from batchspec.workflow.derive import Derivation
from batchspec.workflow.download import download
from batchspec.workflow.listing import REPEATS, Listing, Owners, Sight, look, walk
from batchspec.workflow.worker import Worker


@frozen
class Wanted:
    """Which questions the specs ask, and how their answers are judged."""

    judge: Callable[[bytes], Judge | None]
    """The judge of the spec that asks a question (16 bytes of its hash); None: nobody asks."""
    sizes: frozenset[int] = frozenset()
    """Numbers of requests of the batches about to be sent."""
    everything: bool = False
    """Take in whatever carries our ids, wanted or not (`batchspec recover`)."""
    asked_before: bool = False
    """Outputs of real answers are on disk: a ledger that knows nothing must have been lost."""
    patient: bool = True
    """Wait for unknown batches in progress that may be ours."""


def survey(worker: Worker, wanted: Wanted, sight: Sight) -> Generator[Event, None, int]:
    """Explain every batch of the listing that the ledger does not know.

    Returns:
        How many answers were taken in that the ledger did not have. When it is not 0, what is about
        to be asked has to be planned again.
    """
    lost = _ledger_is_behind(worker)
    new = not worker.ledger.surveyed
    known = worker.ledger.known_batches()
    whole = lost or new or wanted.everything
    watch = _Watch(worker)
    taken = 0
    # What was once taken for somebody else's is read again when a person asks for everything.
    explained = worker.ledger.bound_batches() if wanted.everything else known
    while True:
        # What a new ledger adopted shows that it had a forerunner, which may have more in flight.
        lost = lost or (new and (wanted.asked_before or bool(worker.ledger.submissions())))
        oldest = _oldest(sight.page)
        stop = _older_than(oldest) if whole else _known_or_older(known, oldest)
        listing = yield from walk(worker, stop, sight)
        _must_be_whole(listing, lost=lost and wanted.patient)
        unknown = [batch for batch in listing.batches if batch.id not in explained]
        taken += yield from _explain(worker, wanted, unknown, watch)
        explained = worker.ledger.known_batches()
        everything = lost or wanted.everything
        holding = _holding(worker, wanted, unknown, watch, lost=everything)
        too_soon = lost and watch.too_soon(listing)
        if not holding and not too_soon:
            explained_all = yield from _set_aside(worker, wanted, watch.left(unknown), lost=lost)
            if whole and explained_all:
                worker.ledger.mark_surveyed()
                worker.note_serial()
            return taken
        yield from watch.tell(holding)
        sight = yield from look(worker)


class _Watch:
    """What one survey has seen so far."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._started = worker.session.clock.elapsed()
        self._pauses = worker.session.waits.polls()
        self._told = False
        self.owners = Owners()
        self.unread: dict[str, float] = {}
        """Ended batches whose results cannot be read, and since when."""

    def hopeless(self, batch_id: str) -> bool:
        """Tell whether an unreadable batch was tried for long enough."""
        since = self.unread.get(batch_id)
        now = self._worker.session.clock.elapsed()
        return since is not None and now - since >= self._worker.session.waits.settle

    def missed(self, batch_id: str) -> None:
        """Record that an ended batch could not be read."""
        self.unread.setdefault(batch_id, self._worker.session.clock.elapsed())

    def too_soon(self, listing: Listing) -> bool:
        """Tell whether a batch armed by a lost ledger could have been missing in a listing."""
        settle = self._worker.session.waits.settle
        note = self._worker.session.mirror.read()
        if note is None:
            return False
        # Either clock proves it, as in `settle`: the server's may stand still.
        passed = listing.at - self._started
        if note.armed_at is not None and listing.server_time is not None:
            passed = max(passed, (listing.server_time - note.armed_at).total_seconds() - 1)
        return passed < settle

    def left(self, unknown: list[Batch]) -> list[Batch]:
        """Return the batches that stayed unreadable."""
        known = self._worker.ledger.known_batches()
        return [batch for batch in unknown if batch.id in self.unread and batch.id not in known]

    def tell(self, holding: list[Batch]) -> Generator[Event, None, None]:
        """Say once why nothing is asked yet, and wait."""
        if not self._told:
            yield Notice(message=_why(holding), warning=True)
            self._told = True
        pause = next(self._pauses)
        why = "waiting until the workspace's unknown batches are explained"
        yield Waiting(why=why, seconds=pause, open_batches=len(holding))
        self._worker.session.clock.sleep(pause)


def _set_aside(
    worker: Worker, wanted: Wanted, left: list[Batch], *, lost: bool
) -> Generator[Event, None, bool]:
    """Give up on batches that stayed unreadable; tell whether all of the workspace is explained.

    Raises:
        Ambiguous: after a loss, any of them may be paid, so a person has to decide.
    """
    decide = lost and wanted.patient
    if left and decide and not wanted.everything:
        raise Ambiguous(
            "The state was lost or moved back, and batch "
            f"{left[0].id}, which it does not know, has ended but its results cannot be read: it "
            "may be this project's own, paid already.",
            hint="Nothing was asked. Run the same command when its results can be read again, or "
            "with --assume-foreign if that batch is certainly not this project's.",
        )
    for batch in left:
        end = "asks about it again" if decide else "takes it for somebody else's"
        yield Notice(
            message=f"The results of {batch.id}, which the state does not know, cannot be read; "
            f"`batchspec run` {end}.",
            warning=True,
        )
    if not decide:
        worker.ledger.foreign([batch.id for batch in left])
    return not (left and decide)


def _must_be_whole(listing: Listing, *, lost: bool) -> None:
    """After a loss, a listing with gaps explains nothing.

    Raises:
        Ambiguous: batches of this project may be hidden in a gap.
    """
    if lost and not listing.whole:
        raise Ambiguous(
            "The state was lost or moved back, and the workspace's listing, which has to tell what "
            f"was paid, {REPEATS}.",
            hint="Nothing was asked. A relay that drops `after_id` from list calls does this: mend "
            "it, or go around it with `api.base_url`, and run the same command again; or run with "
            "--assume-foreign if nothing of this project was paid in the last 29 days.",
        )


def _ledger_is_behind(worker: Worker) -> bool:
    note = worker.session.mirror.read()
    return state_moved_back(note, worker.ledger.lineage, worker.ledger.serial)


def _oldest(page: Page) -> dt.datetime:
    """Return when the retention period began, rather too early than too late.

    The local clock decides nothing, and a Date header that is years ahead must not hide batches:
    the newest batch is no newer than the server's time.
    """
    dated = [batch.created_at for batch in page.batches if batch.created_at != UNDATED]
    times = [max(dated)] if dated else []
    if page.server_time is not None:
        times.append(page.server_time)
    return min(times) - RETENTION if times else dt.datetime.min.replace(tzinfo=dt.UTC)


def _older_than(oldest: dt.datetime) -> Callable[[Batch], bool]:
    return lambda batch: batch.created_at < oldest


def _known_or_older(known: frozenset[str], oldest: dt.datetime) -> Callable[[Batch], bool]:
    seen = 0

    def stop(batch: Batch) -> bool:
        # Batches in progress stay unexplained for a while, so a few known ones do not end the walk.
        nonlocal seen
        seen = seen + 1 if batch.id in known else 0
        return batch.created_at < oldest or seen > KNOWN_IN_A_ROW

    return stop


TELL_FROM = 20
"""More unknown batches than this are read with a word on how far it has come."""
KNOWN_IN_A_ROW = 200
"""So many known batches in a row end the walk of an established ledger."""


def _explain(
    worker: Worker, wanted: Wanted, unknown: list[Batch], watch: _Watch
) -> Generator[Event, None, int]:
    taken = 0
    for done, batch in enumerate(unknown):
        if len(unknown) > TELL_FROM:
            yield Reading(done=done, total=len(unknown))
        found = yield from watch.owners.of(worker, batch)
        if found is None:
            if batch.status is ProcessingStatus.ENDED and batch.archived_at is None:
                watch.missed(batch.id)
            continue
        if found.id is None:
            worker.ledger.foreign([batch.id])
            continue
        own = worker.ledger.submission(found.id.tag)
        if own is not None:
            taken += yield from _bind_late(worker, own, batch)
        elif wanted.everything or found.id.namespace == worker.session.namespace:
            taken += yield from _adopted(worker, wanted, batch, found.id.tag, watch)
        else:
            tag = found.id.tag
            taken += yield from _adopted(worker, wanted, batch, tag, watch, if_wanted=True)
    return taken


GIVEN_UP = (SubmissionState.ABANDONED, SubmissionState.REJECTED)
"""Without a batch, as far as listings and refusals can be believed."""


def _bind_late(worker: Worker, own: Submission, batch: Batch) -> Generator[Event, None, int]:
    """A submission given up or refused as never made, or still in doubt, has a batch after all."""
    if own.state in GIVEN_UP:
        yield Notice(
            message=f"Batch {batch.id} of submission {own.tag} exists, although that was given up "
            f"({own.detail or 'never made'}): what was asked again since then is paid twice. Its "
            "answers are kept. Raise `api.settle_seconds` if this workspace's listing is slow.",
            warning=True,
        )
    if own.state in (SubmissionState.ARMED, SubmissionState.UNKNOWN, *GIVEN_UP):
        worker.ledger.bind(own.tag, batch.id, batch.created_at)
        if own.state in GIVEN_UP and own.segment is not None:
            worker.ledger.reclaim(own.tag, segment_claims(worker.session, own.segment))
        return own.requests
    yield Notice(
        message=f"Batch {batch.id} carries the ids of submission {own.tag}, which has another "
        "batch: it was sent a second time by something else. It is left alone.",
        warning=True,
    )
    worker.ledger.foreign([batch.id])
    return 0


def _adopted(
    worker: Worker,
    wanted: Wanted,
    batch: Batch,
    tag: str,
    watch: _Watch,
    *,
    if_wanted: bool = False,
) -> Generator[Event, None, int]:
    """Take a batch in; another project's only when it answers a question that is asked here."""
    submission = _unknown(worker, batch, tag)
    with Derivation(worker.session, submission, wanted.judge) as derivation:
        try:
            answers = yield from download(
                worker, batch, tag=tag, expected=None, watch=derivation.take
            )
        except ApiFailure:
            watch.missed(batch.id)
            return 0
        if not if_wanted or any(wanted.judge(digest) is not None for digest in answers.digests()):
            requests = max(submission.requests, len(answers.found))
            new = adopt(worker, replace(submission, requests=requests), answers, derivation)
            yield Adopted(batch_id=batch.id, answers=new)
            return new
    answers.discard()
    worker.ledger.foreign([batch.id])
    return 0


def _unknown(worker: Worker, batch: Batch, tag: str) -> Submission:
    """Return the record of a batch that another state sent."""
    return Submission(
        tag=tag,
        spec="",
        state=SubmissionState.COLLECTED,
        requests=batch.counts.total,
        bytes=0,
        segment=None,
        batch_id=batch.id,
        created_at=batch.created_at,
        ended_at=batch.ended_at,
        prepared_at=worker.session.clock.now(),
        detail="adopted from the workspace",
    )


def _holding(
    worker: Worker, wanted: Wanted, unknown: list[Batch], watch: _Watch, *, lost: bool
) -> list[Batch]:
    """Return the unknown batches that have to be explained before anything is asked.

    After a loss every one may be this project's own; otherwise only those with as many requests as
    a batch about to be sent, and, for a ledger that never compared itself with the workspace, those
    that ended and cannot be read. An unreadable one is waited for as long as the settling time.
    """
    if not wanted.patient:
        return []
    known = worker.ledger.known_batches()

    def held(batch: Batch) -> bool:
        suspect = lost or any(batch.counts.may_be(size) for size in wanted.sizes)
        if batch.status is not ProcessingStatus.ENDED:
            return suspect
        suspect = suspect or not worker.ledger.surveyed
        return suspect and batch.id in watch.unread and not watch.hopeless(batch.id)

    return [batch for batch in unknown if batch.id not in known and held(batch)]


def _why(holding: list[Batch]) -> str:
    if holding:
        names = ", ".join(batch.id for batch in holding[:3])
        return (
            f"{len(holding)} batches in this workspace are not in the state and cannot be read yet "
            f"({names}). They may be this project's own, paid and lost from the state, so nothing "
            "is asked before they have ended and their ids can be read. If they are somebody "
            "else's, run with --assume-foreign."
        )
    return (
        "The state is older than, or not, the one that last submitted here; a batch it made may "
        "still appear in the listing, so nothing is asked before the settling time has passed."
    )
