"""Result lines on disk: read as often as it takes, counted, and one per question.

A stream that ends is no proof of completeness (fact sheet §12.2), so lines are counted against the
ids that were sent, over several reads if need be; what was read stays on disk between reads and
between runs. Blank, foreign, unknown, duplicate and missing lines are outcomes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from batchspec.api.port import ApiFailure, Batch, FailureKind, ResultStream
from batchspec.crashpoints import reached
from batchspec.durable import PIECE, disk_errors, whole_lines, write_all
from batchspec.events import Event, Notice, Waiting
from batchspec.outputs.rows import Head, Oddity, PlainAnswers, read_head, read_plain
from batchspec.plan.hashing import parse_custom_id, parse_custom_ids
from batchspec.workflow.patience import PASSING, given_up
from batchspec.workflow.worker import Worker

STEADY_READS = 3
"""So many reads that end well without a new line, and these seconds, prove that a line is missing:
to ask again for one that is only late would pay for it twice."""
AHEAD = 2
"""Blocks of a megabyte that are read at once, while lines before them are kept: one takes twice as
long to read as to keep."""
WHOLE_SECONDS = 15.0
"""The seconds when the reads provably came to the end of the results; else `Waits.proof`."""


Watch = Callable[[bytes, PlainAnswers | None], None]
"""Told of lines that were kept, whole and in the order in which they stand on disk, and of what
`read_plain` read in them."""


@dataclass(slots=True)
class Answers:
    """The result lines of one batch that are on disk so far, one per custom_id."""

    tag: str
    path: Path
    expected: frozenset[str] | None
    """The ids that were sent; None for a batch that another state sent."""
    total: int
    """Number of requests in the batch; 0: the server does not tell."""
    succeeded: int = 0
    """How many answers the batch's counts speak of; they were paid."""
    found: dict[str, bool] = field(default_factory=dict)
    """Each id with a line on disk, and whether a line of it is an answer, which is paid for."""
    watch: Watch = lambda _lines, _plain: None
    oddities: dict[str, int] = field(default_factory=dict)
    """Why lines of the newest read were passed over, and how many."""
    _read: set[str] = field(default_factory=set)
    _bettered: set[str] = field(default_factory=set)
    """Ids whose answer came after a line that was none; the earlier line does not count."""

    @property
    def changed(self) -> bool:
        """The lines that count are not all that were watched."""
        return bool(self._bettered)

    def load(self) -> None:
        """Take in what an earlier read, perhaps of another process, left on disk."""
        if not self.path.exists():
            return
        kept = self.path.with_suffix(".kept")
        with disk_errors("sort out an interrupted download"):
            self.path.replace(kept)
            with kept.open("rb") as file, self.path.open("wb") as target:
                for block in whole_lines(iter(lambda: file.read(PIECE), b"")):
                    if block.endswith(b"\n"):  # else its last line was cut off
                        target.write(self._kept(block, read_plain(block)))
            kept.unlink()

    def take(self, stream: ResultStream) -> bool:
        """Append the new lines of one read; tell whether the read provably came to the end.

        Raises:
            DiskFailure: the disk is full; what was written before stays.
            ApiFailure: the stream broke; the lines before that are kept.
        """
        self.oddities.clear()
        self._read.clear()
        block = b"\n"
        with self.path.open("ab", buffering=0) as target:
            for block, plain in read_ahead(whole_lines(stream.pieces)):
                kept = self._kept(block, plain)
                with disk_errors("write result lines"):
                    write_all(target.fileno(), kept)
        last = block.removesuffix(b"\n").rpartition(b"\n")[2]
        return stream.framed and not isinstance(read_head(last), Oddity)

    def _kept(self, block: bytes, plain: PlainAnswers | None) -> bytes:
        """Return the lines of a block that are new, each with its line end."""
        if plain is None or not self._are_new(plain.custom_ids):
            plain = None
            lines = block.removesuffix(b"\n").split(b"\n")
            block = b"\n".join([*filter(self._is_new, lines), b""])
        if block:
            self.watch(block, plain)
        return block

    def _are_new(self, custom_ids: list[str]) -> bool:
        """Count the lines of answers if each is the first of its request; else count none."""
        ids = frozenset(custom_ids)
        if len(ids) < len(custom_ids) or not (
            ids.isdisjoint(self.found) and ids.isdisjoint(self._read) and self._are_ours(ids)
        ):
            return False
        self._read |= ids
        self.found.update(dict.fromkeys(ids, True))
        return True

    def _are_ours(self, custom_ids: frozenset[str]) -> bool:
        if self.expected is not None:
            return custom_ids <= self.expected
        parsed = parse_custom_ids(tuple(custom_ids))
        return parsed is not None and parsed.tags == {self.tag}

    def _is_new(self, line: bytes) -> bool:
        head = read_head(line)
        if isinstance(head, Oddity):
            reason = head.reason
        elif not self._ours(head.custom_id):
            reason = "the line answers a request that was not sent"
        elif head.paid and self.found.get(head.custom_id) is False:
            self.found[head.custom_id] = True
            self._bettered.add(head.custom_id)
            self._read.add(head.custom_id)
            return True
        elif head.custom_id in self._read:
            reason = "the line repeats an answer"
        else:
            self._read.add(head.custom_id)
            if head.custom_id in self.found:
                return False
            self.found[head.custom_id] = head.paid
            return True
        self.oddities[reason] = self.oddities.get(reason, 0) + 1
        return False

    def _ours(self, custom_id: str) -> bool:
        if self.expected is not None:
            return custom_id in self.expected
        parsed = parse_custom_id(custom_id)
        return parsed is not None and parsed.tag == self.tag

    def complaint(self) -> str | None:
        """Return what is wrong when the newest read had no line of this batch at all."""
        if self._read:
            return None
        odd = ", ".join(sorted(self.oddities)[:1])
        return f"no line of the batch is in them ({odd})" if odd else "they are empty"

    def is_complete(self) -> bool:
        """Every request has its line, and every answer that the counts speak of is there."""
        requests = self.total if self.expected is None else len(self.expected)
        return 0 < requests <= len(self.found) and not self.unseen()

    def unseen(self) -> int:
        """Return how many answers the counts speak of that no line on disk is."""
        return max(0, self.succeeded - sum(self.found.values()))

    def lines(self) -> Iterator[bytes]:
        """Yield the lines on disk, byte for byte as the server sent them, one for each id."""
        with self.path.open("rb") as file:
            for line in file:
                if not (self._bettered and self._is_bettered(line)):
                    yield line[:-1]

    def _is_bettered(self, line: bytes) -> bool:
        head = read_head(line)
        return isinstance(head, Head) and not head.paid and head.custom_id in self._bettered

    def digests(self) -> Iterator[bytes]:
        """Yield the questions that are answered."""
        for name in self.found:
            parsed = parse_custom_id(name)
            if parsed is not None:
                yield parsed.digest16

    def discard(self) -> None:
        """Remove the lines from disk."""
        self.path.unlink(missing_ok=True)


def read_ahead(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, PlainAnswers | None]]:
    """Yield blocks with what `read_plain` reads in them, which threads do for the next `AHEAD`.

    Arrow reads without holding Python up. Blocks that came before the blocks break off are yielded
    before what they raise.
    """
    with ThreadPoolExecutor(AHEAD, thread_name_prefix="read") as pool:
        ahead: deque[tuple[bytes, Future[PlainAnswers | None]]] = deque()
        broken: ApiFailure | None = None
        try:
            for block in blocks:
                ahead.append((block, pool.submit(read_plain, block)))
                if len(ahead) > AHEAD:
                    ready, reading = ahead.popleft()
                    yield ready, reading.result()
        except ApiFailure as failure:
            broken = failure
        for ready, reading in ahead:
            yield ready, reading.result()
        if broken is not None:
            raise broken


def download(
    worker: Worker,
    batch: Batch,
    *,
    tag: str,
    expected: frozenset[str] | None,
    watch: Watch = lambda _lines, _plain: None,
) -> Generator[Event, None, Answers]:
    """Read an ended batch's results until they are complete or provably lack lines.

    Raises:
        ApiFailure: NOT_FOUND, when the results cannot be read any more, or never had a line.
        NetworkFailure: when they kept breaking off; what was read stays on disk.
    """
    folder = worker.session.state_dir / "downloads"
    with disk_errors("make the folder for downloads"):
        folder.mkdir(parents=True, exist_ok=True)
    answers = Answers(
        tag=tag,
        path=folder / f"{tag}.part",
        expected=expected,
        total=batch.counts.total,
        succeeded=min(batch.counts.succeeded, batch.counts.total),
        watch=watch,
    )
    answers.load()
    doing = f"reading the results of {batch.id}"
    clock, waits = worker.session.clock, worker.session.waits
    started, pauses, steady = clock.elapsed(), waits.backoffs(), 0
    since = started
    while not answers.is_complete():
        before, asked = (len(answers.found), answers.unseen()), clock.elapsed()
        failure, whole = _read_once(worker, batch, answers, started)
        if failure is not None or (len(answers.found), answers.unseen()) != before:
            steady, since = 0, clock.elapsed()
        else:
            steady += 1
        quiet = WHOLE_SECONDS if whole and answers.found else waits.proof
        # The process may have stood still after this read: what it does not have proves less then.
        proven = asked - since >= min(quiet, waits.proof)
        if answers.is_complete() or (steady >= STEADY_READS and proven):
            break
        if failure is not None and clock.elapsed() - started > waits.patience:
            raise _hopeless(answers, doing, failure)
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
    complaint = answers.complaint()
    if complaint is not None and _may_be_paid(batch):
        return ApiFailure(FailureKind.NOT_FOUND, complaint), False
    return None, whole


def _may_be_paid(batch: Batch) -> bool:
    """Results without any line say nothing of answers that the counts speak of, or may speak of."""
    return batch.counts.succeeded > 0 or not batch.counts.total


def _hopeless(answers: Answers, doing: str, failure: ApiFailure) -> Exception:
    """Return what to raise when reading does not help; what was read before must not be lost."""
    if failure.kind is FailureKind.NOT_FOUND and not answers.found:
        return failure
    return given_up(doing, failure)


def _may_appear(worker: Worker, batch: Batch, failure: ApiFailure, started: float) -> bool:
    """A 404 on a batch that exists can pass (fact sheet §12.6), but not one on archived results."""
    if failure.kind is not FailureKind.NOT_FOUND or batch.archived_at is not None:
        return False
    return worker.session.clock.elapsed() - started < worker.session.waits.patience


def _so_far(answers: Answers) -> str:
    if len(answers.found) < answers.total:
        return f"{len(answers.found)} of {answers.total} answers so far"
    return f"{answers.unseen()} answers that the batch's counts speak of are not among its lines"


def _told(answers: Answers, batch: Batch) -> Iterator[Event]:
    for reason, count in sorted(answers.oddities.items()):
        lines = "1 line" if count == 1 else f"{count} lines"
        yield Notice(message=f"{lines} of {batch.id} passed over: {reason}.")
    if answers.unseen() and len(answers.found) >= answers.total:
        yield Notice(
            message=f"{batch.id} counts {answers.succeeded} answers, but its results hold "
            f"{answers.succeeded - answers.unseen()}: the others may have been paid, and their "
            "lines say that they failed.",
            warning=True,
        )
