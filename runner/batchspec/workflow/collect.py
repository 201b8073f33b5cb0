"""Results of an ended batch: segment first, what derives from it next, the ledger last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from batchspec.api.port import ApiFailure, Batch, FailureKind
from batchspec.crashpoints import reached
from batchspec.errors import StateFailure
from batchspec.events import Collected, Collecting, Event, Notice
from batchspec.outputs.rows import Judge
from batchspec.plan.hashing import parse_custom_id
from batchspec.plan.model import Outcome
from batchspec.state.model import Submission, SubmissionState, Verdict
from batchspec.workflow.chunks import ids
from batchspec.workflow.derive import Derivation, derive
from batchspec.workflow.download import Answers, download
from batchspec.workflow.patience import as_failure
from batchspec.workflow.sentids import forget_ids
from batchspec.workflow.worker import Worker

ANSWERED = frozenset((Outcome.SUCCEEDED, Outcome.UNCHECKED))


def adopt(worker: Worker, submission: Submission, answers: Answers, derivation: Derivation) -> int:
    """Keep the answers of a batch that another state sent, and record its submission.

    Returns:
        How many questions the ledger now knows an answer of that it did not know before.
    """
    segment, verdicts = _kept(worker, submission, answers, derivation)
    record = replace(submission, results=segment, state=SubmissionState.COLLECTED)
    answered = worker.ledger.adopt(record, verdicts)
    worker.note_serial()
    answers.discard()
    return answered


def _settle(
    worker: Worker, submission: Submission, answers: Answers, derivation: Derivation
) -> tuple[int, dict[Outcome, int]]:
    """Keep the answers of an own batch.

    Returns:
        How many questions it answers, and what became of those that the submission holds.
    """
    segment, verdicts = _kept(worker, submission, answers, derivation)
    verdicts += _missing(answers)
    settled = worker.ledger.collect(submission.tag, segment, verdicts)
    answers.discard()
    if submission.segment is not None:
        forget_ids(worker.session, submission.segment)
    outcomes: dict[Outcome, int] = Counter(verdict.outcome for verdict in verdicts)
    answered = sum(outcomes.get(outcome, 0) for outcome in ANSWERED)
    if not settled == len(verdicts) == submission.requests:
        # Another submission holds some by now: the ledger has to go through all that it knows.
        outcomes = worker.ledger.outcomes(submission.tag)
    return answered, outcomes


def _kept(
    worker: Worker, submission: Submission, answers: Answers, derivation: Derivation
) -> tuple[str, list[Verdict]]:
    """Keep answers, segment first, what derives from it next; the ledger has to come last.

    Both are written at once, and mostly outside of Python.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="derive") as pool:
        derived = pool.submit(derivation.finish)
        segment = worker.session.segments.write("res", answers.lines())
    derived.result()
    reached("segment:results")
    if answers.changed:
        derivation.discard()
        return segment, derive(worker.session, submission, segment, derivation.judge)
    derivation.publish()
    return segment, derivation.verdicts


def _missing(answers: Answers) -> list[Verdict]:
    missing = []
    for name in sorted((answers.expected or frozenset()) - answers.found.keys()):
        parsed = parse_custom_id(name)
        if parsed is not None:
            missing.append(
                Verdict(digest=parsed.digest16, attempt=parsed.attempt, outcome=Outcome.MISSING)
            )
    return missing


def collect(
    worker: Worker,
    submission: Submission,
    batch: Batch,
    judge: Callable[[bytes], Judge | None],
) -> Generator[Event, None, dict[Outcome, int]]:
    """Take in the results of one ended batch; its submission is BOUND or ENDED.

    Returns:
        What became of its questions.

    Raises:
        NetworkFailure: the results cannot be read now; a later run goes on.
    """
    yield Collecting(spec=submission.spec, submission=submission.tag, batch_id=batch.id)
    worker.ledger.ended(submission.tag, batch.ended_at)
    submission = replace(submission, ended_at=batch.ended_at, batch_id=batch.id)
    expected = yield from _expected(worker, submission)
    with Derivation(worker.session, submission, judge) as derivation:
        try:
            answers = yield from download(
                worker, batch, tag=submission.tag, expected=expected, watch=derivation.take
            )
        except ApiFailure as failure:
            if failure.kind is not FailureKind.NOT_FOUND:
                raise as_failure(failure, f"reading the results of {batch.id}") from failure
            yield from _lose(worker, submission, batch, failure)
            return worker.ledger.outcomes(submission.tag)
        answered, outcomes = _settle(worker, submission, answers, derivation)
    part = worker.ledger.part(submission.tag)
    missing, canceled = (outcomes.get(o, 0) for o in (Outcome.MISSING, Outcome.CANCELED))
    yield Collected(
        spec=submission.spec,
        submission=submission.tag,
        batch_id=batch.id,
        succeeded=answered,
        failed=submission.requests - answered - missing - canceled,
        missing=missing,
        canceled=canceled,
        items=None if part is None or part.share is None else part.share.items,
    )
    return outcomes


def _expected(
    worker: Worker, submission: Submission
) -> Generator[Event, None, frozenset[str] | None]:
    """Return the ids that were sent; None when only the answers themselves can tell."""
    if submission.segment is None:
        return None
    try:
        return frozenset(ids(worker.session, submission.segment))
    except StateFailure as failure:
        yield Notice(message=f"{failure.message} Its answers are told by their ids.", warning=True)
        return None


def mend(worker: Worker) -> Generator[Event, None, None]:
    """Read again, while the API still has them, the answers of damaged result segments."""
    for submission in worker.ledger.submissions((SubmissionState.COLLECTED,)):
        if submission.results is None or submission.batch_id is None:
            continue
        damage = worker.session.segments.complaint(submission.results)
        if damage is None:
            continue
        batch_id = submission.batch_id
        try:
            batch = worker.api.retrieve(batch_id)
            answers = yield from download(worker, batch, tag=submission.tag, expected=None)
        except ApiFailure as failure:
            yield Notice(
                message=f"Segment {submission.results} {damage}, and {batch_id} cannot be read "
                f"again ({failure.message}). Restore the segment from a backup.",
                warning=True,
            )
            continue
        segment = worker.session.segments.write("res", answers.lines())
        worker.ledger.collect(submission.tag, segment, ())
        answers.discard()
        yield Notice(message=f"Read the answers of {batch_id} again: its segment was damaged.")


def _lose(
    worker: Worker, submission: Submission, batch: Batch, failure: ApiFailure
) -> Iterator[Event]:
    detail = "archived" if batch.archived_at is not None else failure.message
    worker.ledger.lose(submission.tag, f"the results of {batch.id} cannot be read: {detail}")
    yield Notice(
        message=f"The results of {batch.id} cannot be read any more ({detail}); its "
        f"{submission.requests} questions may have been paid. They count as failed and are asked "
        "again only with --retry-failed.",
        warning=True,
    )
