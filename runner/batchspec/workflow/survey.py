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
from dataclasses import dataclass

from batchspec.api.port import Batch, ProcessingStatus
from batchspec.events import Adopted, Event, Notice, Waiting
from batchspec.outputs.rows import Judge
from batchspec.state.mirror import read_note, state_moved_back
from batchspec.state.model import Submission, SubmissionState
from batchspec.workflow.collect import Answers, download, take_in
from batchspec.workflow.listing import RETENTION, owner, walk
from batchspec.workflow.submit import Sight, look
from batchspec.workflow.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
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
    known = worker.ledger.known_batches()
    new = not worker.ledger.surveyed
    lost = lost or (new and wanted.asked_before)
    whole = lost or new or wanted.everything
    taken = 0
    told = False
    pauses = worker.session.waits.polls()
    while True:
        server_time = sight.page.server_time or worker.session.clock.now()
        oldest = server_time - RETENTION
        stop = _older_than(oldest) if whole else _known_or_older(known, oldest)
        listing = yield from walk(worker, stop, sight.page)
        unknown = [b for b in listing.batches if b.id not in worker.ledger.known_batches()]
        taken += yield from _explain(worker, wanted, unknown)
        holding = _holding(worker, wanted, unknown, all_of_them=lost or wanted.everything)
        if not holding and not (lost and _too_soon(worker, server_time)):
            if whole:
                worker.ledger.mark_surveyed()
                worker.note_serial()
            return taken
        if not told:
            yield Notice(message=_why(holding), warning=True)
            told = True
        pause = next(pauses)
        why = "waiting until the workspace's unknown batches are explained"
        yield Waiting(why=why, seconds=pause, open_batches=len(holding))
        worker.session.clock.sleep(pause)
        sight = yield from look(worker)


def _ledger_is_behind(worker: Worker) -> bool:
    path = worker.session.note
    if path is None:
        return False
    return state_moved_back(read_note(path), worker.ledger.lineage, worker.ledger.serial)


def _too_soon(worker: Worker, server_time: dt.datetime) -> bool:
    """Tell whether a batch armed by the lost ledger could still appear in the listing."""
    path = worker.session.note
    note = None if path is None else read_note(path)
    if note is None or note.armed_at is None:
        return False
    return (server_time - note.armed_at).total_seconds() - 1 < worker.session.waits.settle


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


KNOWN_IN_A_ROW = 200
"""So many known batches in a row end the walk of an established ledger."""


def _explain(worker: Worker, wanted: Wanted, unknown: list[Batch]) -> Generator[Event, None, int]:
    taken = 0
    foreign: list[str] = []
    for batch in unknown:
        found = yield from owner(worker, batch)
        if found is None:
            continue
        if found.id is None:
            foreign.append(batch.id)
            continue
        own = next((s for s in worker.ledger.submissions() if s.tag == found.id.tag), None)
        if own is not None:
            taken += yield from _bind_late(worker, own, batch)
        elif wanted.everything or found.id.namespace == worker.session.namespace:
            taken += yield from _adopt(worker, wanted, batch, found.id.tag)
        else:
            taken += yield from _adopt_if_wanted(worker, wanted, batch, found.id.tag)
    if foreign:
        worker.ledger.foreign(foreign)
    return taken


def _bind_late(worker: Worker, own: Submission, batch: Batch) -> Generator[Event, None, int]:
    """A submission given up as never made, or still in doubt, has a batch after all."""
    if own.state is SubmissionState.ABANDONED:
        yield Notice(
            message=f"Batch {batch.id} of submission {own.tag} appeared after it was given up: "
            "its questions may have been paid twice. Its answers are kept. Raise "
            "`api.settle_seconds` if this workspace's listing is that slow.",
            warning=True,
        )
    if own.state in (SubmissionState.ARMED, SubmissionState.UNKNOWN, SubmissionState.ABANDONED):
        worker.ledger.bind(own.tag, batch.id, batch.created_at)
        return 1
    yield Notice(
        message=f"Batch {batch.id} carries the ids of submission {own.tag}, which has another "
        "batch: it was sent a second time by something else. It is left alone.",
        warning=True,
    )
    worker.ledger.foreign([batch.id])
    return 0


def _adopt_if_wanted(
    worker: Worker, wanted: Wanted, batch: Batch, tag: str
) -> Generator[Event, None, int]:
    """Another project's batch is of use only when it answers a question that is asked here."""
    answers = yield from download(worker, batch, tag=tag, expected=None)
    if any(wanted.judge(digest) is not None for digest in answers.digests()):
        return (yield from _keep(worker, wanted, batch, answers))
    answers.discard()
    worker.ledger.foreign([batch.id])
    return 0


def _adopt(worker: Worker, wanted: Wanted, batch: Batch, tag: str) -> Generator[Event, None, int]:
    answers = yield from download(worker, batch, tag=tag, expected=None)
    return (yield from _keep(worker, wanted, batch, answers))


def _keep(
    worker: Worker, wanted: Wanted, batch: Batch, answers: Answers
) -> Generator[Event, None, int]:
    submission = Submission(
        tag=answers.tag,
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
    new = take_in(worker, submission, answers, wanted.judge)
    yield Adopted(batch_id=batch.id, answers=new)
    return new


def _holding(
    worker: Worker, wanted: Wanted, unknown: list[Batch], *, all_of_them: bool
) -> list[Batch]:
    """Return the unknown batches in progress that have to end before anything is asked.

    They are those with as many requests as a batch about to be sent; after a loss, all.
    """
    if not wanted.patient:
        return []
    return [
        batch
        for batch in unknown
        if batch.status is not ProcessingStatus.ENDED
        and (all_of_them or batch.counts.total in wanted.sizes)
        and batch.id not in worker.ledger.known_batches()
    ]


def _why(holding: list[Batch]) -> str:
    if holding:
        names = ", ".join(batch.id for batch in holding[:3])
        return (
            f"{len(holding)} batches in progress in this workspace are not in the state "
            f"({names}). They may be this project's own, paid and lost from the state, so nothing "
            "is asked before they have ended and their ids can be read. If they are somebody "
            "else's, run with --assume-foreign."
        )
    return (
        "The state is older than, or not, the one that last submitted here; a batch it made may "
        "still appear in the listing, so nothing is asked before the settling time has passed."
    )
