"""The loop that carries open work forward: settle what is in doubt, collect what ended, submit.

At most one create is in doubt at any time (protocol §3.2): nothing is armed before the one before
it is bound or proven absent. Everything else goes on meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from batchspec.api.port import ApiFailure, Batch, ProcessingStatus
from batchspec.errors import NetworkFailure
from batchspec.events import Event, Notice, Waiting
from batchspec.outputs.manifest import has_real_answers
from batchspec.outputs.rows import Judge
from batchspec.plan.model import Outcome
from batchspec.spec.headers import headers_of
from batchspec.state.model import Submission, SubmissionState
from batchspec.workflow.chunks import WrittenChunk, halves
from batchspec.workflow.collect import collect
from batchspec.workflow.contents import ContentChanged, with_contents
from batchspec.workflow.job import Job, unsent
from batchspec.workflow.listing import look, walk
from batchspec.workflow.patience import GONE, patiently
from batchspec.workflow.settle import Doubt, settle
from batchspec.workflow.submit import OPEN_OUTCOMES, Order, Sent, submit
from batchspec.workflow.survey import Wanted, survey
from batchspec.workflow.uploads import with_uploads
from batchspec.workflow.worker import Worker

S = SubmissionState
FAILED_CREATES = 3
REST = 20
"""While there is more to send, batches are looked at again after so many times as long as the last
look took: a server that is busy taking in requests answers slowly."""
ONE_BY_ONE = 3
"""Up to so many open batches are retrieved one by one; more are read from the listing."""


@dataclass(slots=True)
class Drive:
    """The open work of one run.

    Attributes:
        worker: The holder of the lease.
        jobs: The specs of this run, by name.
        judge: The judge for a question, over all specs of the run.
        assume_foreign: Unknown batches in progress are somebody else's.
    """

    worker: Worker
    jobs: dict[str, Job]
    judge: Callable[[bytes], Judge | None]
    assume_foreign: bool = False
    doubts: dict[str, Doubt] = field(default_factory=dict)
    surveyed: bool = False
    _next_poll: float = 0.0
    _last_poll: float = -math.inf
    _looked: float = 0.0
    """Seconds that the last look took."""
    _failed_creates: int = 0
    _gone_since: dict[str, float] = field(default_factory=dict)
    _oversized: dict[str, WrittenChunk] = field(default_factory=dict)

    def resume(self) -> None:
        """Sort out what a process that is no more left unresolved (protocol §3.3, first rows)."""
        ledger = self.worker.ledger
        for submission in ledger.submissions((S.PREPARED, S.ARMED, S.UNKNOWN)):
            if submission.state is S.PREPARED:
                ledger.release(submission.tag, S.ABANDONED, "interrupted before its last byte")
                continue
            if submission.state is S.ARMED:
                ledger.unknown(submission.tag, "interrupted after its last byte")
            self._doubt(submission)

    def _doubt(self, submission: Submission) -> None:
        session = self.worker.session
        self.doubts[submission.tag] = Doubt(
            submission=submission, since=session.clock.elapsed(), pauses=session.waits.polls()
        )

    def open(self) -> tuple[Submission, ...]:
        """Return the submissions whose batches are not collected yet."""
        return self.worker.ledger.submissions((S.BOUND, S.ENDED))

    def settle(self) -> Generator[Event, None, tuple[float, bool]]:
        """Look at what is in doubt.

        Returns:
            The pause until the next look, and whether candidates in progress are all that is
            waited for.
        """
        pause, candidates = 0.0, True
        for tag, doubt in list(self.doubts.items()):
            still = yield from settle(self.worker, doubt)
            if still is None:
                del self.doubts[tag]
                self._count_decided(doubt.submission, self._oversized.pop(tag, None))
                continue
            if still.candidates:
                names = ", ".join(still.candidates)
                yield Waiting(
                    why=f"submission {tag} may be {names}: its ids can be read when it ends",
                    seconds=still.seconds,
                    spec=doubt.submission.spec,
                )
            else:
                candidates = False
                yield Waiting(
                    why=f"making sure that submission {tag} was never made",
                    seconds=still.seconds,
                    spec=doubt.submission.spec,
                )
            pause = still.seconds if not pause else min(pause, still.seconds)
        return pause, candidates

    def _count_decided(self, submission: Submission, oversized: WrittenChunk | None) -> None:
        """Count a decided create; a server that makes none of several in a row is given up on.

        Args:
            submission: What was decided.
            oversized: Its chunk when the server found it too large: it is sent again in halves.

        Raises:
            NetworkFailure: `FAILED_CREATES` creates in a row were answered badly and not made.
        """
        now = self.worker.ledger.submission(submission.tag)
        job = self.jobs.get(submission.spec)
        if now is not None and now.state is not S.ABANDONED:
            self._failed_creates = 0
            if job is not None:
                job.submitted += submission.requests
            return
        if job is not None:
            job.without_answers(submission.tag, again=oversized is None)
        if oversized is not None and job is not None:
            job.chunks.put_first(*halves(self.worker.session, oversized))
            return
        self._failed_creates += 1
        if self._failed_creates >= FAILED_CREATES:
            raise NetworkFailure(
                f"{self._failed_creates} create calls in a row were answered badly and made no "
                f"batch; the last answer was: {submission.detail}.",
                hint="Nothing of them was made or paid. Try again later; if the answer speaks of "
                "size (413), lower `batch.max_bytes` in the spec.",
            )

    def poll(self, *, force: bool = False) -> Generator[Event, None, int]:
        """Collect the batches that have ended, when a look is due; return how many."""
        if not (force or self._poll_is_due()):
            return 0
        self._last_poll = self.worker.session.clock.elapsed()
        collected = 0
        submissions = self.open()
        found = yield from self._current(submissions)
        self._looked = self.worker.session.clock.elapsed() - self._last_poll
        for submission in submissions:
            batch = found.get(submission.batch_id or "")
            if batch is None:
                yield from self._gone(submission)
                continue
            self._gone_since.pop(submission.tag, None)
            if batch.status is ProcessingStatus.ENDED:
                judge = self._judge_of(submission)
                outcomes = yield from collect(self.worker, submission, batch, judge)
                self._learn(submission, outcomes)
                collected += 1
        return collected

    def _poll_is_due(self) -> bool:
        """While there is more to send, what is in flight is looked at only now and then."""
        now = self.worker.session.clock.elapsed()
        sending = any(job.may_submit() for job in self.jobs.values())
        rest = max(self.worker.session.waits.poll_first, REST * self._looked)
        rested = now - self._last_poll >= rest
        return now >= self._next_poll and (rested or not sending)

    def pause_polls(self, seconds: float) -> None:
        """Make the next look due in so many seconds."""
        self._next_poll = self.worker.session.clock.elapsed() + seconds

    def _current(
        self, submissions: tuple[Submission, ...]
    ) -> Generator[Event, None, dict[str, Batch]]:
        wanted = {s.batch_id for s in submissions if s.batch_id}
        found: dict[str, Batch] = {}
        if len(wanted) > ONE_BY_ONE:
            oldest = min((s.created_at for s in submissions if s.created_at), default=None)
            listing = yield from walk(
                self.worker, lambda batch: oldest is not None and batch.created_at < oldest
            )
            found = {batch.id: batch for batch in listing.batches if batch.id in wanted}
        for batch_id in sorted(wanted - found.keys()):
            batch = yield from self._retrieve(batch_id)
            if batch is not None:
                found[batch_id] = batch
        return found

    def _retrieve(self, batch_id: str) -> Generator[Event, None, Batch | None]:
        try:
            return (
                yield from patiently(
                    self.worker.session,
                    lambda: self.worker.api.retrieve(batch_id),
                    f"looking at {batch_id}",
                    handled=GONE,
                )
            )
        except ApiFailure:
            return None

    def _gone(self, submission: Submission) -> Generator[Event, None, None]:
        """A 404 on a batch that was made can pass (fact sheet §12.6); in the end it is a loss."""
        now = self.worker.session.clock.elapsed()
        since = self._gone_since.setdefault(submission.tag, now)
        if now - since < self.worker.session.waits.patience:
            yield Notice(message=f"{submission.batch_id} cannot be found at the moment.")
            return
        detail = f"{submission.batch_id} cannot be found any more"
        self.worker.ledger.lose(submission.tag, detail)
        if submission.spec in self.jobs:
            self.jobs[submission.spec].without_answers(submission.tag, again=True)
        yield Notice(
            message=f"{detail}; was it deleted, or is this another workspace? Its "
            f"{submission.requests} questions may have been paid; they count as failed and are "
            "asked again only with --retry-failed.",
            warning=True,
        )

    def _judge_of(self, submission: Submission) -> Callable[[bytes], Judge | None]:
        job = self.jobs.get(submission.spec)
        if job is None or job.judge is None:
            return self.judge
        judge = job.judge
        return lambda _digest: judge

    def _learn(self, submission: Submission, outcomes: dict[Outcome, int]) -> None:
        if Outcome.CANCELED in outcomes:
            for other in self.jobs.values():  # a question may be theirs as well
                other.canceled = True
        job = self.jobs.get(submission.spec)
        if job is None:
            return
        job.collected.append(submission.tag)
        job.learn(outcomes)
        if submission.tag == job.first and job.round == 1:
            job.stopped = job.stopped or job.first_batch_failed(outcomes)
        if submission.tag == job.canary:
            job.canary = None

    def _asked_before(self) -> bool:
        root = self.worker.session.project.root
        return any(
            has_real_answers(root, output.path)
            for job in self.jobs.values()
            for output in job.loaded.spec.outputs
        )

    def _filled(self, job: Job, chunk: WrittenChunk) -> Generator[Event, None, WrittenChunk]:
        """Return a chunk with its files in it, as base64 or as ids of uploaded files."""
        if not job.loaded.spec.files_api:
            return with_contents(self.worker.session, chunk)
        sight = yield from look(self.worker)
        workspace = self.worker.identify(sight.page)
        return (yield from with_uploads(self.worker, chunk, workspace))

    def submit(self, job: Job) -> Generator[Event, None, bool]:
        """Send the job's next chunk; False when the plan no longer fits the state.

        Raises:
            ClaimConflict: a question was asked by somebody else meanwhile.
            DiskFailure, StoreFailure: its requests cannot be stored; nothing of it was sent.
        """
        first = job.chunks.first()
        if first.has_contents:
            try:
                job.chunks.replace_first((yield from self._filled(job, first)))
            except ContentChanged as changed:
                yield Notice(message=f"{changed.message} Planning again.")
                return False
        sight = yield from look(self.worker)
        wanted = Wanted(
            judge=self.judge,
            sizes=frozenset(chunk.requests for chunk in job.chunks),
            asked_before=self._asked_before(),
            patient=not self.assume_foreign,
        )
        if (yield from survey(self.worker, wanted, sight)):
            return False
        chunk = job.chunks.take()
        order = Order(
            chunk=chunk,
            spec=job.name,
            headers=headers_of(job.loaded.spec, self.worker.session.project.config.api),
            behind=unsent(self.jobs.values()),
            meanwhile=job.chunks.writing_ahead,
        )
        sent = yield from submit(self.worker, order, sight)
        if sent is Sent.AGAIN:
            job.chunks.put_first(chunk)
            return False
        if sent is Sent.TOO_LARGE:
            job.chunks.put_first(*halves(self.worker.session, chunk))
        else:
            self._sent(job, chunk, sent)
        return True

    def _sent(self, job: Job, chunk: WrittenChunk, sent: Sent) -> None:
        """Remember what became of a chunk."""
        if sent is Sent.BOUND:
            self._failed_creates = 0
            job.submitted += chunk.requests
        if job.proves(chunk):
            job.first = job.first or chunk.tag
        if chunk.canary:
            job.canary = chunk.tag
        if sent is Sent.UNKNOWN_TOO_LARGE:
            self._oversized[chunk.tag] = chunk
        if sent in OPEN_OUTCOMES and (now := self.worker.ledger.submission(chunk.tag)):
            self._doubt(now)
