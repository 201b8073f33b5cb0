"""A run: plan, submit, wait, collect, plan again for what has to be retried, write outputs."""

from __future__ import annotations

from collections.abc import Container, Generator, Sequence
from dataclasses import dataclass, field

from batchspec.errors import AgainstPolicy, OverBudget
from batchspec.events import Event, Notice, Progress, RetryRound, Waiting
from batchspec.plan.elsewhere import Elsewhere
from batchspec.plan.model import Plan
from batchspec.problems import Problem, has_errors
from batchspec.spec.project import LoadedSpec
from batchspec.state.ledger import ClaimConflict
from batchspec.state.model import OPEN, Submission
from batchspec.state.writer import SqlLedger
from batchspec.workflow.baselines import promote_baseline
from batchspec.workflow.budgets import in_flight_requests, spec_complaint, total_complaint
from batchspec.workflow.context import Session
from batchspec.workflow.drive import Drive
from batchspec.workflow.finish import unfinished
from batchspec.workflow.job import Job, share_of, unsent
from batchspec.workflow.options import DONE, ITEMS_FAILED, PROBLEMS, RunOptions, RunResult
from batchspec.workflow.policing import asking_of, money_problems
from batchspec.workflow.progress import Meter
from batchspec.workflow.recording import Recording, recorded
from batchspec.workflow.rounds import Rounds
from batchspec.workflow.tenancy import told_in_ci
from batchspec.workflow.worker import Worker


def run_specs(
    session: Session, specs: Sequence[LoadedSpec], options: RunOptions
) -> Generator[Event, None, RunResult]:
    """Run specs to their outputs, resuming whatever is open first.

    Raises:
        StateLocked: another process is at work on this state.
        AgainstPolicy, OverBudget: it may cost more than the policy or a budget allows; nothing
            was submitted.
        Failure: the environment does not let it go on; what was submitted goes on, and the next
            run resumes it.
    """
    names = [loaded.spec.name for loaded in specs]
    with (
        session.writer(options.command) as ledger,
        recorded(session, ledger, options.command, names) as recording,
        Elsewhere(lambda: session.scratch, [loaded.spec for loaded in specs]) as elsewhere,
    ):
        yield from told_in_ci(session)
        rounds = Rounds(session=session, ledger=ledger, options=options, elsewhere=elsewhere)
        run = _Run(
            session=session,
            ledger=ledger,
            options=options,
            rounds=rounds,
            recording=recording,
            meter=Meter(session=session, specs=specs, max_usd=options.max_usd, held=rounds.held),
        )
        try:
            return (yield from run.go(specs))
        finally:
            for job in run.jobs:
                job.chunks.clear()


def collect_specs(
    session: Session, specs: Sequence[LoadedSpec]
) -> Generator[Event, None, RunResult]:
    """Take in what has ended and write the outputs that are complete; submit nothing."""
    return (yield from run_specs(session, specs, RunOptions(submit=False, detach=True)))


@dataclass(slots=True)
class _Run:
    """One run over some specs."""

    session: Session
    ledger: SqlLedger
    options: RunOptions
    rounds: Rounds
    recording: Recording
    meter: Meter
    jobs: list[Job] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    left_out: list[Problem] = field(default_factory=list)
    """Problems of specs that a run which submits nothing goes on without."""
    _began: float = 0.0

    def go(self, specs: Sequence[LoadedSpec]) -> Generator[Event, None, RunResult]:
        self.jobs = self.rounds.jobs(specs)
        self._began = self.session.clock.elapsed()
        open_before = self.ledger.submissions(OPEN)
        yield from self._plan_first(open_before)
        plan = self.rounds.plan()
        self.recording.planned(plan, self.options.plan_digest)
        if not has_errors(self.problems):
            if self.options.expect is not None:
                yield from self._agree(self.options.expect(plan), plan)
            self._keep_budgets()
            if open_before or any(job.chunks for job in self.jobs):
                yield from self._work()
                yield from self._plan_awaiting()
            else:
                yield from self._finish()
                if any(job.chunks for job in self.jobs):  # what needed an output that is new
                    self._keep_budgets()
                    yield from self._work()
            yield from self._leave()
        problems = tuple(self.left_out + self.problems)
        self.recording.exit_code = self._exit_code()
        return RunResult(exit_code=self.recording.exit_code, problems=problems, plan=plan)

    def _agree(self, instead: str, plan: Plan) -> Generator[Event, None, None]:
        """Tell, and record, that another plan is submitted than the saved one."""
        if instead:
            self.recording.replanned(plan)
            yield Notice(message=instead, warning=True)

    def _plan_first(self, open_before: Sequence[Submission]) -> Generator[Event, None, None]:
        """Plan all specs, but those that are only waited for."""
        awaited = self._awaited(open_before)
        for job in self.jobs:
            job.awaits = job.name in awaited and self.rounds.learn_judge(job)
            if not job.awaits:
                # Nothing is written before an agreed plan was compared with this one.
                finishing = not open_before and self.options.expect is None
                yield from self._plan(job, finishing=finishing)
        if not self.options.submit:
            self._leave_out_broken()

    def _awaited(self, open_before: Sequence[Submission]) -> frozenset[str]:
        """Return the specs that are planned once, when answers in flight have been taken in.

        Nothing is submitted, so a plan before that would only be said. A spec that needs others
        is planned beside them.
        """
        if self.options.submit or any(job.loaded.needed for job in self.jobs):
            return frozenset()
        return frozenset(submission.spec for submission in open_before)

    def _plan_awaiting(self) -> Generator[Event, None, None]:
        """Plan the specs that still wait for answers: what is said of them comes from a plan."""
        awaiting = [job for job in self.jobs if job.awaits]
        for job in awaiting:
            yield from self._plan(job, finishing=False)
        if awaiting:
            self._leave_out_broken()

    def _leave_out_broken(self) -> None:
        """Go on without specs that cannot be planned: paid answers are taken in all the same.

        Their own batches' answers too. Where not even the form of those is known, a later run
        checks them.
        """
        self.jobs = [job for job in self.jobs if job.plan is not None or job.awaits]
        self.left_out += self.problems
        self.problems = []

    def _plan(self, job: Job, *, finishing: bool) -> Generator[Event, None, None]:
        job.awaits, planned = False, job.told
        self.problems += yield from self.rounds.next_round(job, finishing=finishing)
        if job.deferred and not planned and job.chunks and job.plan is not None:
            self.recording.planned_later(job.plan)

    def _finish(self) -> Generator[Event, None, None]:
        """Write the outputs of specs of which nothing is to be asked and nothing is in flight."""
        for job in self.jobs:
            if job.done is None:
                yield from self._plan(job, finishing=True)

    def _over_budget(self, jobs: Sequence[Job]) -> str:
        own = (spec_complaint(self.ledger, job) for job in jobs)
        budget, most = self.session.project.config.budget, self.options.max_usd
        return next(filter(None, own), "") or total_complaint(self.ledger, self.jobs, budget, most)

    def _keep_budgets(self) -> None:
        """Refuse to go on when a ceiling does not allow what would be submitted.

        Raises:
            AgainstPolicy, OverBudget: nothing was submitted since the ceilings were last checked.
        """
        breaches = money_problems(self.session, self.ledger, asking_of(self.jobs))
        if breaches:
            raise AgainstPolicy(
                "\n".join(problem.message() for problem in breaches), hint="Nothing was submitted."
            )
        complaint = self._over_budget(self.jobs)
        if complaint:
            raise OverBudget(
                complaint,
                hint="Nothing was submitted. Raise the budget, lower `max_tokens`, or ask for "
                "fewer items (`inputs.sample`).",
            )

    def _work(self) -> Generator[Event, None, None]:
        worker = Worker(session=self.session, ledger=self.ledger, api=self.session.api())
        drive = Drive(
            worker=worker,
            jobs={job.name: job for job in self.jobs},
            judge=self.rounds.judge_of,
            assume_foreign=self.options.assume_foreign,
        )
        drive.resume()
        pauses = self.session.waits.polls()
        while not has_errors(self.problems):
            doubt_pause, only_candidates = yield from drive.settle()
            if (yield from drive.poll()):
                pauses = self.session.waits.polls()
            closed = self._closed()
            if not (drive.doubts or closed) and (yield from self._submit_next(drive)):
                continue
            if (yield from self._next_rounds(drive)):
                continue
            if not self.options.submit:
                self._leave_out_broken()
            if not closed and self._may_stop(drive, only_candidates=only_candidates):
                return
            pause = next(pauses)
            drive.pause_polls(pause)
            pause = min(filter(None, (pause, doubt_pause, closed)))
            if not drive.doubts:
                yield self._waiting(drive, pause, closed)
            self.session.clock.sleep(pause)

    def _closed(self) -> float:
        """Return the seconds until what is to be submitted may be; 0: now, or there is nothing."""
        window = self.options.window
        if window is None or not any(job.may_submit() for job in self.jobs):
            return 0.0
        return window.seconds_until_open(self.session.clock.now())

    def _leave(self) -> Generator[Event, None, None]:
        """Sum up the specs whose outputs could not be written yet."""
        for job in self.jobs:
            if job.done is not None:
                continue
            done = unfinished(job, in_flight_requests(self.ledger, {job.name}))
            if done is not None:
                yield done

    def _submit_next(self, drive: Drive) -> Generator[Event, None, bool]:
        """Send one chunk of the first job that may; tell whether something happened."""
        for job in self.jobs:
            if not job.may_submit():
                continue
            try:
                fits = yield from drive.submit(job)
            except ClaimConflict as conflict:
                yield Notice(message=f"{conflict.message} Planning again.")
                fits = False
            if not fits:
                yield from self._plan_again()
            elif not job.applied:
                promote_baseline(self.session, job)
            return True
        return False

    def _plan_again(self) -> Generator[Event, None, None]:
        """Drop what was about to be submitted: the state has moved, so plan it anew."""
        again = [job for job in self.jobs if job.chunks]
        for job in again:
            job.chunks.clear()
            job.round -= 1  # what was dropped is planned anew, and is no other round
        for job in again:
            yield from self._plan(job, finishing=False)
        self._keep_budgets()

    def _next_rounds(self, drive: Drive) -> Generator[Event, None, bool]:
        """Plan again the specs of which nothing is in flight; tell whether one has new chunks."""
        busy = {submission.spec for submission in self.ledger.submissions(OPEN)}
        more = False
        yield from self._drop_stopped()
        for job in sorted(self.jobs, key=lambda job: bool(job.stopped)):
            waiting = job.is_sending() or self._is_asked_elsewhere(job, busy)
            settled = (job.planned_at, job.planned_as) == (self.ledger.serial, job.stopped)
            if job.done is not None or job.name in busy or waiting or settled or drive.doubts:
                continue
            yield from self._plan(job, finishing=True)
            if job.chunks:
                more = True
                yield from self._retry(job)
        return more

    def _drop_stopped(self) -> Generator[Event, None, None]:
        for job in self.jobs:
            if job.stopped and job.chunks:
                dropped = sum(chunk.requests for chunk in job.chunks)
                job.chunks.clear()
                yield Notice(message=f"{dropped} requests are not submitted. {job.stopped}")

    def _is_asked_elsewhere(self, job: Job, busy: Container[str]) -> bool:
        """Tell whether others are to get answers that a job wants, or may get them.

        What a stopped spec does not ask again is asked again by those that share it.
        """
        others = [other for other in self.jobs if other is not job]
        shares = job.plan is not None and job.plan.elsewhere
        if shares and any(other.is_sending() for other in others):
            return True
        model = job.loaded.spec.model
        alike = (other for other in others if other.loaded.spec.model == model)
        return bool(job.stopped) and any(one.is_sending() or one.name in busy for one in alike)

    def _retry(self, job: Job) -> Generator[Event, None, None]:
        breaches = money_problems(self.session, self.ledger, asking_of(self.jobs))
        complaint = breaches[0].message() if breaches else self._over_budget([job])
        if complaint:
            left = "Failed items are not asked again." if job.has_asked else "It is not asked."
            job.stopped = f"{complaint} {left}"
            job.chunks.clear()
            yield Notice(message=job.stopped, warning=True)
        elif job.has_asked:
            requests = sum(chunk.requests for chunk in job.chunks)
            share = share_of([chunk.share for chunk in job.chunks])
            yield RetryRound(
                spec=job.name,
                requests=requests,
                why=job.why_again(),
                items=None if share is None else share.items,
            )

    def _may_stop(self, drive: Drive, *, only_candidates: bool) -> bool:
        if not self.options.submit:
            return True
        if self.options.detach:
            return only_candidates if drive.doubts else True
        if all(job.done is not None for job in self.jobs):
            return True
        return not drive.open() and not drive.doubts

    def _waiting(self, drive: Drive, seconds: float, closed: float) -> Waiting:
        open_now = drive.open()
        window = f"waiting for {self.options.window} UTC to submit"
        return Waiting(
            why=window if closed else "waiting for batches to end",
            seconds=seconds if open_now else max(seconds, closed),
            open_batches=len(open_now),
            open_requests=sum(submission.requests for submission in open_now),
            progress=None if closed else self._progress(),
        )

    def _progress(self) -> Progress:
        """Return how far the work has come that was open when the run began, and its own."""
        return self.meter.progress(
            self.ledger,
            {s.tag for s in self.ledger.submissions()} - self.rounds.settled,
            self.session.clock.elapsed() - self._began,
            unsent(self.jobs),
        )

    def _exit_code(self) -> int:
        if has_errors(self.left_out + self.problems):
            return PROBLEMS
        failed = any(job.failed_items or job.failed_checks or job.stopped for job in self.jobs)
        return ITEMS_FAILED if failed else DONE
