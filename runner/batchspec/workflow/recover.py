"""Finding paid batches that the state does not know, and taking their results in."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from batchspec.api.port import ApiFailure
from batchspec.events import Event, Notice, Waiting
from batchspec.problems import Problem, has_errors
from batchspec.spec.project import LoadedSpec
from batchspec.state.model import SubmissionState
from batchspec.workflow.collect import mend
from batchspec.workflow.context import Session
from batchspec.workflow.drive import Drive
from batchspec.workflow.job import Job
from batchspec.workflow.listing import look
from batchspec.workflow.options import DONE, PROBLEMS, RunOptions, RunResult
from batchspec.workflow.recording import recorded
from batchspec.workflow.rounds import Rounds
from batchspec.workflow.survey import Wanted, survey
from batchspec.workflow.worker import Worker


def recover(session: Session, specs: Sequence[LoadedSpec]) -> Generator[Event, None, RunResult]:
    """Settle what is in doubt, then read every batch of the retention period (29 days).

    Batches of this project in progress are waited for; everything that carries our ids is taken
    in, whoever sent it. Outputs are written by the next `batchspec run`, which asks nothing that
    was answered. A spec that cannot be planned is no obstacle: its answers are taken in unchecked.
    """
    problems: list[Problem] = []
    names = [loaded.spec.name for loaded in specs]
    with (
        session.writer("recover") as ledger,
        recorded(session, ledger, "recover", names) as recording,
    ):
        rounds = Rounds(session=session, ledger=ledger, options=RunOptions())
        jobs = {job.name: job for job in rounds.jobs(specs)}
        for job in jobs.values():
            problems += yield from rounds.next_round(job, finishing=False)
        worker = Worker(session=session, ledger=ledger, api=session.api())
        drive = Drive(worker=worker, jobs=jobs, judge=rounds.judge_of)
        drive.resume()
        yield from _settled(worker, drive)
        yield from _find_lost(worker)
        sight = yield from look(worker)
        wanted = Wanted(judge=rounds.judge_of, everything=True)
        taken = yield from survey(worker, wanted, sight)
        yield from drive.poll(force=True)
        yield from mend(worker)
        yield Notice(message=_summary(taken, jobs))
        recording.exit_code = PROBLEMS if has_errors(problems) else DONE
    return RunResult(exit_code=recording.exit_code, problems=tuple(problems))


def _find_lost(worker: Worker) -> Generator[Event, None, None]:
    """Look again for batches whose results could not be read."""
    for submission in worker.ledger.submissions((SubmissionState.LOST_RESULTS,)):
        if submission.batch_id is None:
            continue
        try:
            batch = worker.api.retrieve(submission.batch_id)
        except ApiFailure:
            continue
        if batch.archived_at is None:
            worker.ledger.bind(submission.tag, batch.id, batch.created_at)
            yield Notice(message=f"{batch.id} can be found again; its answers are taken in.")


def _settled(worker: Worker, drive: Drive) -> Generator[Event, None, None]:
    while drive.doubts:
        pause, _ = yield from drive.settle()
        if drive.doubts:
            yield Waiting(why="settling what is in doubt", seconds=pause)
            worker.session.clock.sleep(pause)


def _summary(taken: int, jobs: dict[str, Job]) -> str:
    if not taken:
        return "The workspace has no paid answer that the state lacks."
    names = ", ".join(sorted(jobs))
    return (
        f"Took in {taken} answers that the state did not have. `batchspec run` writes the outputs "
        f"of {names} from them."
    )
