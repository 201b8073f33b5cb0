"""Canceling batches in flight, and keeping what they answered."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from batchspec.api.port import ApiFailure, Batch, FailureKind, ProcessingStatus
from batchspec.events import Event, Notice, Waiting
from batchspec.spec.project import LoadedSpec
from batchspec.state.model import OPEN, Submission
from batchspec.workflow.context import Session
from batchspec.workflow.drive import Drive
from batchspec.workflow.options import DONE, RunOptions, RunResult
from batchspec.workflow.patience import patiently
from batchspec.workflow.recording import recorded
from batchspec.workflow.rounds import Rounds
from batchspec.workflow.worker import Worker

REFUSED = frozenset((FailureKind.REJECTED, FailureKind.NOT_FOUND))


def cancel_specs(
    session: Session, specs: Sequence[LoadedSpec], *, everything: bool = False
) -> Generator[Event, None, RunResult]:
    """Ask the API to cancel the specs' batches, wait for their end, and take in what was answered.

    Only batches whose ids the ledger knows are canceled; one in doubt is settled first (protocol
    §3.4 (7)). With ``everything``, whatever is in flight is canceled, also for specs that are gone
    or cannot be read any more. What was answered before the cancel is paid, and kept; the rest
    costs nothing and is asked again by the next run.
    """
    names = {loaded.spec.name for loaded in specs}
    with session.writer("cancel") as ledger:
        if not ledger.submissions(OPEN):
            yield Notice(message="Nothing is in flight.")
            return RunResult(exit_code=DONE)
        with recorded(session, ledger, "cancel", () if everything else sorted(names)):
            rounds = Rounds(session=session, ledger=ledger, options=RunOptions())
            jobs = {job.name: job for job in rounds.jobs(specs)}
            worker = Worker(session=session, ledger=ledger, api=session.api())
            drive = Drive(worker=worker, jobs=jobs, judge=rounds.judge_of)
            yield from _cancel_all(drive, lambda s: everything or s.spec in names)
    return RunResult(exit_code=DONE)


def _cancel_all(drive: Drive, wanted: Callable[[Submission], bool]) -> Generator[Event, None, None]:
    """Cancel the wanted submissions that are open, and wait until they are taken in."""
    session = drive.worker.session
    drive.resume()
    canceled: set[str] = set()
    pauses = session.waits.polls()
    while True:
        pause, _ = yield from drive.settle()
        for submission in filter(wanted, drive.open()):
            if submission.tag not in canceled:
                canceled.add(submission.tag)
                yield from _cancel(drive.worker, submission)
        yield from drive.poll(force=True)
        left = [*filter(wanted, drive.open())]
        if not left and not drive.doubts:
            return
        wait = next(pauses)
        yield Waiting(
            why="waiting for canceled batches to end",
            seconds=wait,
            open_batches=len(left),
            open_requests=sum(submission.requests for submission in left),
        )
        session.clock.sleep(min(wait, pause) if pause else wait)


def _cancel(worker: Worker, submission: Submission) -> Generator[Event, None, None]:
    batch_id = submission.batch_id or ""
    doing = f"canceling {batch_id}"
    try:
        batch = yield from patiently(
            worker.session, _canceling(worker, batch_id), doing, handled=REFUSED
        )
    except ApiFailure as failure:
        yield Notice(message=f"{batch_id} could not be canceled: {failure.message}.")
        return
    if batch.status is ProcessingStatus.ENDED:
        yield Notice(message=f"{batch_id} had ended already; its answers are paid and kept.")
    else:
        yield Notice(message=f"{batch_id} is being canceled; what is answered by then is kept.")


def _canceling(worker: Worker, batch_id: str) -> Callable[[], Batch]:
    return lambda: worker.api.cancel(batch_id)
