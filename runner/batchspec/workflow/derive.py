"""What answers say, as the Parquet files and verdicts that are derived from result lines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from batchspec.outputs.rows import (
    STOPPED,
    AnswerWriter,
    Judge,
    Judgement,
    Oddity,
    PlainAnswers,
    RawAnswer,
    read_line,
    read_plain,
)
from batchspec.plan.hashing import parse_custom_id, parse_custom_ids
from batchspec.plan.model import Outcome
from batchspec.state.model import Submission, Verdict
from batchspec.workflow.context import Session


class Derivation:
    """The file of a batch's answers in the making, and what each of them says.

    A context manager: the file appears when `publish` is called, and not at all without.

    Args:
        session: The session.
        submission: The submission that is answered.
        judge: The judge for a question; None: nobody asks it now, so it stays unchecked.
    """

    def __init__(
        self, session: Session, submission: Submission, judge: Callable[[bytes], Judge | None]
    ) -> None:
        self.verdicts: list[Verdict] = []
        self.judge = judge
        self._writer = AnswerWriter(
            session.answers_path(submission.tag),
            submission=submission.tag,
            batch_id=submission.batch_id,
            ended_at=submission.ended_at,
        )

    def __enter__(self) -> Self:
        """Open the file beside its final place."""
        self._writer.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove what was not published."""
        self.discard()

    def take(self, block: bytes, plain: PlainAnswers | None) -> None:
        """Derive from whole lines; ``plain`` is what `read_plain` read in them."""
        if plain is None or not self._take_plain(plain):
            self._take_lines(block)

    def finish(self) -> None:
        """Write the file to its end, without letting it appear; nothing can be taken afterwards."""
        self._writer.finish()

    def publish(self) -> None:
        """Let the file appear."""
        self._writer.publish()

    def discard(self) -> None:
        """Remove the file, if it was not published: another one may be made in its place."""
        self._writer.discard()

    def _take_plain(self, plain: PlainAnswers) -> bool:
        """Derive from answers whose text nobody looks into; False: somebody does."""
        parsed = parse_custom_ids(plain.custom_ids)
        if parsed is None:
            return False
        asking = list(map(self.judge, parsed.digests))
        whole = {one: _whole(one) for one in set(asking)}
        if not all(one is None or one.takes_any_text for one in whole):
            return False
        outcomes = [
            STOPPED.get(reason, whole[by])
            for reason, by in zip(plain.stop_reasons, asking, strict=True)
        ]
        self.verdicts += map(Verdict, parsed.digests, parsed.attempts, outcomes)
        self._writer.add_plain(
            plain, digests=parsed.digests, attempts=parsed.attempts, outcomes=outcomes
        )
        return True

    def _take_lines(self, block: bytes) -> None:
        for line in block.removesuffix(b"\n").split(b"\n"):
            answer = read_line(line)
            parsed = None if isinstance(answer, Oddity) else parse_custom_id(answer.custom_id)
            if isinstance(answer, Oddity) or parsed is None:
                continue
            digest, attempt, asking = parsed.digest16, parsed.attempt, self.judge(parsed.digest16)
            judgement = _judged(answer, asking)
            by = None if asking is None else asking.digest
            self._writer.add(answer, judgement, digest=digest, attempt=attempt, judge=by)
            self.verdicts.append(Verdict(digest, attempt, judgement.outcome))


def derive(
    session: Session,
    submission: Submission,
    segment: str,
    judge: Callable[[bytes], Judge | None],
) -> list[Verdict]:
    """Write the file of a result segment's answers and return what each one says."""
    with Derivation(session, submission, judge) as derivation:
        for block in session.segments.blocks(segment):
            derivation.take(block, read_plain(block))
        derivation.publish()
    return derivation.verdicts


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
