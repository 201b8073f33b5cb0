"""Results of an ended batch: segment first, what derives from it next, the ledger last."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from batchspec.api.port import ApiFailure, Batch, FailureKind
from batchspec.crashpoints import reached
from batchspec.errors import StateFailure
from batchspec.events import Collected, Collecting, Event, Notice
from batchspec.outputs.rows import (
    STOPPED,
    AnswerWriter,
    Judge,
    Judgement,
    Oddity,
    RawAnswer,
    read_line,
    read_plain,
)
from batchspec.plan.hashing import parse_custom_id
from batchspec.plan.model import Outcome
from batchspec.state.model import Submission, SubmissionState, Verdict
from batchspec.workflow.chunks import ids
from batchspec.workflow.context import Session
from batchspec.workflow.download import Answers, download
from batchspec.workflow.patience import as_failure
from batchspec.workflow.worker import Worker

ANSWERED = frozenset((Outcome.SUCCEEDED, Outcome.UNCHECKED))


def take_in(
    worker: Worker,
    submission: Submission,
    answers: Answers,
    judge: Callable[[bytes], Judge | None],
) -> int:
    """Keep a batch's answers: segment first, what derives from it next, the ledger last.

    Args:
        worker: The holder of the lease.
        submission: The submission they answer; an adopted one is recorded here.
        answers: The complete lines.
        judge: The judge for a question; None: nobody asks it now, so it stays unchecked.

    Returns:
        How many questions the ledger now knows an answer of that it did not know before.
    """
    segment = worker.session.segments.write("res", answers.lines())
    reached("segment:results")
    verdicts = derive(worker.session, submission, segment, judge)
    answered = sum(verdict.outcome in ANSWERED for verdict in verdicts)
    if submission.segment is None:
        record = replace(submission, results=segment, state=SubmissionState.COLLECTED)
        answered = worker.ledger.adopt(record, verdicts)
        worker.note_serial()
    else:
        verdicts += _missing(answers)
        worker.ledger.collect(submission.tag, segment, verdicts)
    answers.discard()
    return answered


def derive(
    session: Session,
    submission: Submission,
    segment: str,
    judge: Callable[[bytes], Judge | None],
) -> list[Verdict]:
    """Write the Parquet file of a result segment's answers and return what each one says."""
    verdicts: list[Verdict] = []
    writer = AnswerWriter(
        session.answers_path(submission.tag),
        submission=submission.tag,
        batch_id=submission.batch_id,
        ended_at=submission.ended_at,
    )
    with writer:
        for piece in session.segments.blocks(segment):
            found = _derive_plain(writer, piece, judge)
            verdicts += _derive_lines(writer, piece, judge) if found is None else found
    return verdicts


def _derive_plain(
    writer: AnswerWriter, piece: bytes, judge: Callable[[bytes], Judge | None]
) -> list[Verdict] | None:
    """Derive from a piece whose answers are texts that nobody looks into; None: it is another."""
    plain = read_plain(piece)
    if plain is None:
        return None
    parsed = [found for name in plain.custom_ids if (found := parse_custom_id(name)) is not None]
    asking = [judge(one.digest16) for one in parsed]
    if len(parsed) != len(plain.custom_ids) or not all(
        one is None or one.takes_any_text for one in asking
    ):
        return None
    verdicts = [
        Verdict(one.digest16, one.attempt, STOPPED.get(reason) or _whole(by))
        for one, reason, by in zip(parsed, plain.stop_reasons, asking, strict=True)
    ]
    digests, attempts, outcomes = zip(*verdicts, strict=True)
    writer.add_plain(plain, digests=digests, attempts=attempts, outcomes=outcomes)
    return verdicts


def _derive_lines(
    writer: AnswerWriter, piece: bytes, judge: Callable[[bytes], Judge | None]
) -> list[Verdict]:
    """Derive from any piece, line by line."""
    verdicts = []
    for line in piece.removesuffix(b"\n").split(b"\n"):
        answer = read_line(line)
        parsed = None if isinstance(answer, Oddity) else parse_custom_id(answer.custom_id)
        if isinstance(answer, Oddity) or parsed is None:
            continue
        digest, attempt, asking = parsed.digest16, parsed.attempt, judge(parsed.digest16)
        judgement = _judged(answer, asking)
        by = None if asking is None else asking.digest
        writer.add(answer, judgement, digest=digest, attempt=attempt, judge=by)
        verdicts.append(Verdict(digest=digest, attempt=attempt, outcome=judgement.outcome))
    return verdicts


def answer_files(
    session: Session, submissions: Iterable[Submission], tags: Collection[str] | None = None
) -> tuple[Path, ...]:
    """Return the answer files of collected submissions, made anew from segments where missing.

    Args:
        session: The session.
        submissions: Any submissions; those without results are passed over.
        tags: The submissions that matter; None: all.
    """
    paths = []
    for submission in submissions:
        if submission.results is None or (tags is not None and submission.tag not in tags):
            continue
        path = session.answers_path(submission.tag)
        if not path.is_file():
            derive(session, submission, submission.results, lambda _digest: None)
        paths.append(path)
    return tuple(paths)


_TEXT = Judge()


def _judged(answer: RawAnswer, judge: Judge | None) -> Judgement:
    judgement = (judge or _TEXT).outcome(answer)
    if judge is None and judgement.outcome is Outcome.SUCCEEDED:
        return Judgement(outcome=_whole(None))
    return judgement


def _whole(judge: Judge | None) -> Outcome:
    """Return what a complete answer is that any text is right for."""
    return Outcome.UNCHECKED if judge is None else Outcome.SUCCEEDED


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
    try:
        answers = yield from download(worker, batch, tag=submission.tag, expected=expected)
    except ApiFailure as failure:
        if failure.kind is not FailureKind.NOT_FOUND:
            raise as_failure(failure, f"reading the results of {batch.id}") from failure
        yield from _lose(worker, submission, batch, failure)
        return worker.ledger.outcomes(submission.tag)
    answered = take_in(worker, submission, answers, judge)
    outcomes = worker.ledger.outcomes(submission.tag)
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
