"""Results: to disk first, counted, deduplicated, and only then marked as collected.

A stream that ends is no proof of completeness (fact sheet §12.2), so lines are counted against the
ids that were sent, over several reads if need be; what was read stays on disk between reads and
between runs. Blank, foreign, unknown, duplicate and missing lines are outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from batchspec.api.port import ApiFailure, Batch, FailureKind, ResultStream
from batchspec.crashpoints import reached
from batchspec.durable import disk_errors
from batchspec.errors import StateFailure
from batchspec.events import Collected, Event, Notice, Waiting
from batchspec.outputs.rows import (
    AnswerWriter,
    Judge,
    Judgement,
    Oddity,
    RawAnswer,
    read_id,
    read_line,
)
from batchspec.plan.hashing import parse_custom_id
from batchspec.plan.model import Outcome
from batchspec.state.model import Submission, SubmissionState, Verdict
from batchspec.workflow.chunks import ids
from batchspec.workflow.context import Session
from batchspec.workflow.listing import split_lines
from batchspec.workflow.patience import PASSING, as_failure, given_up
from batchspec.workflow.worker import Worker

STEADY_READS = 3
"""So many reads that end well without a new line prove that a line is not there."""
ANSWERED = frozenset((Outcome.SUCCEEDED, Outcome.UNCHECKED))


@dataclass(slots=True)
class Answers:
    """The result lines of one batch that are on disk so far, one per custom_id."""

    tag: str
    path: Path
    expected: frozenset[str] | None
    """The ids that were sent; None for a batch that another state sent."""
    total: int
    """Number of requests in the batch."""
    found: set[str] = field(default_factory=set)
    oddities: dict[str, int] = field(default_factory=dict)
    """Why lines of the newest read were passed over, and how many."""
    _read: set[str] = field(default_factory=set)

    def load(self) -> None:
        """Take in what an earlier read, perhaps of another process, left on disk."""
        if not self.path.exists():
            return
        kept = self.path.with_suffix(".kept")
        with disk_errors("sort out an interrupted download"):
            self.path.replace(kept)
            with kept.open("rb") as file, self.path.open("wb") as target:
                for line in file:
                    if line.endswith(b"\n") and self._is_new(line[:-1]):
                        target.write(line)
            kept.unlink()

    def take(self, stream: ResultStream) -> bool:
        """Append the new lines of one read; tell whether the read provably came to the end.

        Raises:
            DiskFailure: the disk is full; what was written before stays.
            ApiFailure: the stream broke; the lines before that are kept.
        """
        self.oddities.clear()
        self._read.clear()
        line = b"\n"
        with self.path.open("ab") as target:
            try:
                for line in split_lines(stream.pieces):
                    if self._is_new(line):
                        with disk_errors("write a result line"):
                            target.write(line + b"\n")
            finally:
                with disk_errors("write result lines"):
                    target.flush()
        return stream.framed and not isinstance(read_id(line), Oddity)

    def _is_new(self, line: bytes) -> bool:
        name = read_id(line)
        if isinstance(name, Oddity):
            reason = name.reason
        elif not self._ours(name):
            reason = "the line answers a request that was not sent"
        elif name in self._read:
            reason = "the line repeats an answer"
        else:
            self._read.add(name)
            if name in self.found:
                return False
            self.found.add(name)
            return True
        self.oddities[reason] = self.oddities.get(reason, 0) + 1
        return False

    def _ours(self, custom_id: str) -> bool:
        if self.expected is not None:
            return custom_id in self.expected
        parsed = parse_custom_id(custom_id)
        return parsed is not None and parsed.tag == self.tag

    def is_complete(self) -> bool:
        """Every request has its line."""
        return len(self.found) >= (self.total if self.expected is None else len(self.expected))

    def lines(self) -> Iterator[bytes]:
        """Yield the lines on disk, byte for byte as the server sent them."""
        with self.path.open("rb") as file:
            for line in file:
                yield line[:-1]

    def digests(self) -> Iterator[bytes]:
        """Yield the questions that are answered."""
        for name in self.found:
            parsed = parse_custom_id(name)
            if parsed is not None:
                yield parsed.digest16

    def discard(self) -> None:
        """Remove the lines from disk."""
        self.path.unlink(missing_ok=True)


def download(
    worker: Worker, batch: Batch, *, tag: str, expected: frozenset[str] | None
) -> Generator[Event, None, Answers]:
    """Read an ended batch's results until they are complete or provably lack lines.

    Raises:
        ApiFailure: NOT_FOUND, when the results cannot be read any more.
        NetworkFailure: when they kept breaking off; what was read stays on disk.
    """
    folder = worker.session.state_dir / "downloads"
    with disk_errors("make the folder for downloads"):
        folder.mkdir(parents=True, exist_ok=True)
    answers = Answers(
        tag=tag, path=folder / f"{tag}.part", expected=expected, total=batch.counts.total
    )
    answers.load()
    doing = f"reading the results of {batch.id}"
    clock, waits = worker.session.clock, worker.session.waits
    started, pauses, steady = clock.elapsed(), waits.backoffs(), 0
    since = started
    while not answers.is_complete():
        before = len(answers.found)
        failure, whole = _read_once(worker, batch, answers, started)
        if failure is not None or len(answers.found) > before:
            steady, since = 0, clock.elapsed()
        else:
            steady += 1
        proven = (whole and answers.found) or clock.elapsed() - since >= waits.proof
        if answers.is_complete() or (steady >= STEADY_READS and proven):
            break
        if failure is not None and clock.elapsed() - started > waits.patience:
            raise given_up(doing, failure)
        why = _so_far(answers) if failure is None else failure.message
        pause = next(pauses)
        yield Waiting(why=f"{doing}: {why}", seconds=pause)
        clock.sleep(pause)
    yield from _told(answers, batch)
    return answers


def _read_once(
    worker: Worker, batch: Batch, answers: Answers, started: float
) -> tuple[ApiFailure | None, bool]:
    """Read the stream once.

    Returns:
        What broke it off when reading again may help, and whether it provably came to its end.
    """
    try:
        with worker.api.results(batch) as stream:
            whole = answers.take(stream)
    except ApiFailure as failure:
        if failure.kind not in PASSING and not _may_appear(worker, batch, failure, started):
            raise
        return failure, False
    reached("downloaded")
    return None, whole


def _may_appear(worker: Worker, batch: Batch, failure: ApiFailure, started: float) -> bool:
    """A 404 on a batch that exists can pass (fact sheet §12.6), but not one on archived results."""
    if failure.kind is not FailureKind.NOT_FOUND or batch.archived_at is not None:
        return False
    return worker.session.clock.elapsed() - started < worker.session.waits.patience


def _so_far(answers: Answers) -> str:
    return f"{len(answers.found)} of {answers.total} answers so far"


def _told(answers: Answers, batch: Batch) -> Iterator[Event]:
    for reason, count in sorted(answers.oddities.items()):
        lines = "1 line" if count == 1 else f"{count} lines"
        yield Notice(message=f"{lines} of {batch.id} passed over: {reason}.")


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
        for line in session.segments.lines(segment):
            answer = read_line(line)
            parsed = None if isinstance(answer, Oddity) else parse_custom_id(answer.custom_id)
            if isinstance(answer, Oddity) or parsed is None:
                continue
            judgement = _judged(answer, judge(parsed.digest16))
            writer.add(answer, judgement, digest=parsed.digest16, attempt=parsed.attempt)
            verdicts.append(
                Verdict(digest=parsed.digest16, attempt=parsed.attempt, outcome=judgement.outcome)
            )
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


_TEXT = Judge(None)


def _judged(answer: RawAnswer, judge: Judge | None) -> Judgement:
    judgement = (judge or _TEXT).outcome(answer)
    if judge is None and judgement.outcome is Outcome.SUCCEEDED:
        return Judgement(outcome=Outcome.UNCHECKED)
    return judgement


def _missing(answers: Answers) -> list[Verdict]:
    missing = []
    for name in sorted((answers.expected or frozenset()) - answers.found):
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
) -> Generator[Event, None, None]:
    """Take in the results of one ended batch; its submission is BOUND or ENDED.

    Raises:
        NetworkFailure: the results cannot be read now; a later run goes on.
    """
    worker.ledger.ended(submission.tag, batch.ended_at)
    submission = replace(submission, ended_at=batch.ended_at, batch_id=batch.id)
    expected = yield from _expected(worker, submission)
    try:
        answers = yield from download(worker, batch, tag=submission.tag, expected=expected)
    except ApiFailure as failure:
        if failure.kind is not FailureKind.NOT_FOUND:
            raise as_failure(failure, f"reading the results of {batch.id}") from failure
        yield from _lose(worker, submission, batch)
        return
    answered = take_in(worker, submission, answers, judge)
    outcomes = worker.ledger.outcomes(submission.tag)
    missing = outcomes.get(Outcome.MISSING, 0)
    yield Collected(
        spec=submission.spec,
        submission=submission.tag,
        batch_id=batch.id,
        succeeded=answered,
        failed=submission.requests - answered - missing,
        missing=missing,
    )


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


def _lose(worker: Worker, submission: Submission, batch: Batch) -> Iterator[Event]:
    detail = "archived" if batch.archived_at is not None else "not found"
    worker.ledger.lose(submission.tag, f"the results of {batch.id} are {detail}")
    yield Notice(
        message=f"The results of {batch.id} cannot be read any more ({detail}); its "
        f"{submission.requests} questions may have been paid. They count as failed and are asked "
        "again only with --retry-failed.",
        warning=True,
    )
