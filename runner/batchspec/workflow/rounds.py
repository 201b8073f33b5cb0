"""One round of a spec: plan it, then either write what is to be asked or finish its outputs."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property

from batchspec.errors import Refused
from batchspec.events import Event, Notice, PlanReady
from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import drop_index
from batchspec.outputs.money import spent, token_use
from batchspec.outputs.rows import Judge
from batchspec.plan.elsewhere import Elsewhere
from batchspec.plan.model import Plan, Share, SpecPlan
from batchspec.plan.pack import Packed
from batchspec.plan.questions import Spool
from batchspec.plan.shares import held, shares
from batchspec.problems import Problem, has_errors
from batchspec.prompt.answer_form import form_of
from batchspec.prompt.sent_schema import read_schema
from batchspec.spec.project import LoadedSpec
from batchspec.spec.words import listing
from batchspec.state.model import OPEN, UNRESOLVED
from batchspec.state.writer import SqlLedger
from batchspec.workflow.chunks import arrange, claims, plan_chunks, sweep
from batchspec.workflow.context import Session
from batchspec.workflow.finish import finish, is_complete
from batchspec.workflow.foreseen import foreseen
from batchspec.workflow.job import Job
from batchspec.workflow.options import RunOptions
from batchspec.workflow.outgoing import Outgoing, Source
from batchspec.workflow.planning import Planned, Planner, PlanOptions, plan_of, plan_one
from batchspec.workflow.upstream import NONE, Upstream, later_plan, upstream_of


@dataclass
class Rounds:
    """Plans specs for a run, as often as it takes."""

    session: Session
    ledger: SqlLedger
    options: RunOptions
    elsewhere: Elsewhere | None = None
    """What each spec is about to submit; None: specs are planned as if each were alone."""
    settled: frozenset[str] = frozenset()
    """Tags of submissions that were over when the run began: no work of its own."""
    held: dict[str, dict[str, int]] = field(default_factory=dict)
    """Items of submissions of which the ledger does not tell them, by tag and spec."""
    _jobs: dict[str, Job] = field(default_factory=dict)
    _judges: dict[bytes, Judge] | None = None
    """By question; None: made anew when next needed."""

    def jobs(self, specs: Sequence[LoadedSpec]) -> list[Job]:
        """Return a job for each spec, and clear away what a crash left unnamed."""
        submissions = self.ledger.submissions()
        kept = {s.segment for s in submissions if s.segment}
        waiting = {s.segment for s in submissions if s.segment and s.state in OPEN}
        sweep(self.session, kept, waiting)
        self.settled = frozenset(s.tag for s in submissions if s.state not in OPEN)
        self._jobs = {loaded.spec.name: Job(loaded=loaded) for loaded in specs}
        return list(self._jobs.values())

    def plan(self) -> Plan:
        """Return the newest plans of all jobs as one."""
        plans = tuple(job.plan for job in self._jobs.values() if job.plan is not None)
        return plan_of(self.session, plans, self.ledger)

    def judge_of(self, digest: bytes) -> Judge | None:
        """Return the judge of the spec that is about to ask a question, or None."""
        if self._judges is None:
            self._judges = {
                asked: job.judge
                for job in self._jobs.values()
                if job.judge is not None
                for chunk in job.chunks
                for asked, _ in claims(chunk)
            }
        return self._judges.get(digest)

    def learn_judge(self, job: Job) -> bool:
        """Learn how the answers of a job are judged, without a plan; False: it takes a plan."""
        spec = job.loaded.spec
        schema, problems = read_schema(self.session.project.root, job.loaded)
        if problems:
            return False
        job.judge = Judge(form_of(spec.response, schema, spec.params))
        return True

    def next_round(
        self, job: Job, *, finishing: bool
    ) -> Generator[Event, None, tuple[Problem, ...]]:
        """Plan a job; write its chunks, or, when nothing is left to ask, its outputs.

        Args:
            job: The job, with nothing of its own in flight after its first round.
            finishing: Whether outputs may be written in this round.
        """
        if job.stopped and job.plan is not None and job.plan.after:
            return ()
        upstream = self._upstream(job)
        if upstream.waiting:
            return tuple((yield from self._wait(job, upstream)))
        self._judges = None
        self._forget_sent()
        with self.session.engine() as engine, ExitStack() as stack:
            spool = stack.enter_context(Spool(self.session.spool_path(job.name)))
            options = PlanOptions(
                retry_failed=self.options.retry_failed and job.round == 0 and not job.submitted,
                hold_canceled=job.canceled,
                detach=self.options.detach,
                upstream=upstream,
                changes=self.options.expect is not None and job.round == 0,
                elsewhere=self.elsewhere,
            )
            planned, problems = plan_one(
                self.session, engine, job.loaded, self.ledger, options, spool
            )
            if planned is None or has_errors(problems):
                return problems
            # What the plan was made with is not read again, and what follows needs the memory.
            drop_index(engine, planned.table)
            asks = self._asks(job, planned.plan)
            if asks or finishing:
                job.planned_at, job.planned_as = self.ledger.serial, job.stopped
            job.usd = self._spent(job, engine)
            self._count_held(job, planned)
            job.plan, job.judge = self._bound(job, planned), Judge(planned.form)
            if not job.told:
                job.told = True
                yield _ready(planned.plan)
            if asks:
                return problems + self._queue(job, planned, spool, stack)
            if finishing and is_complete(planned.plan):
                problems += yield from finish(self.session, self.ledger, job, planned, engine)
        return problems

    def _forget_sent(self) -> None:
        """Forget what specs were about to submit of which nothing is left to send."""
        for job in self._jobs.values():
            if self.elsewhere is not None and not job.is_sending():
                self.elsewhere.drop(job.name)

    def _count_held(self, job: Job, planned: Planned) -> None:
        """Count the items of submissions that a former version made, or that were adopted.

        Once each: what is asked again afterwards tells itself whose it was.
        """
        counted = {tag for tag, part in self.ledger.parts().items() if part.share is not None}
        tags = {s.tag for s in self.ledger.submissions()} - self.settled - counted
        new = {tag for tag in tags if job.name not in self.held.get(tag, {})}
        if new and planned.known is not None:
            for tag, items in held(planned.items, planned.known, new).items():
                self.held.setdefault(tag, {})[job.name] = items

    def _spent(self, job: Job, engine: Engine) -> Decimal | None:
        paths = [self.session.answers_path(tag) for tag in job.collected]
        paths = [path for path in paths if path.is_file()]
        job.use = token_use(engine, paths)
        prices = self.session.catalogue.prices(job.loaded.spec.model)
        return spent(engine, paths, prices)

    def _asks(self, job: Job, plan: SpecPlan) -> bool:
        """Count a round, and tell whether something is to be submitted in it."""
        job.round += 1
        allowed = self.options.rounds is None or job.round <= self.options.rounds
        # An agreed plan says nothing of a spec that it did not know the items of.
        agreed = self.options.expect is None or not job.deferred
        may = self.options.submit and allowed and agreed
        asks = bool(plan.requests) and may and not job.stopped
        left = job.plan is not None and job.plan.elsewhere
        if asks and left and not plan.only_again:
            job.begin_anew()
        return asks

    def _upstream(self, job: Job) -> Upstream:
        """Return what a job reads of others: of those in this run, what they have just written."""
        if not job.loaded.needed:
            return NONE
        why = [name for name in job.loaded.spec.needs if self._has_failed(name)]
        if why:
            return Upstream(relations={}, waiting=tuple(why))
        return upstream_of(self.session, job.loaded, self._plan_of)

    def _bound(self, job: Job, planned: Planned) -> SpecPlan:
        """Return a job's plan, with the digest of its items where that is read.

        The history keeps it of what is about to be submitted, and specs that need this one compare
        it with that of the output.
        """
        plan = planned.plan
        read = any(job.name in other.loaded.spec.needs for other in self._jobs.values())
        submits = job.round == 1 and self.options.submit and plan.requests
        if "inputs" in plan.digests or not (submits or (read and not plan.requests)):
            return plan
        return replace(plan, digests={**plan.digests, "inputs": planned.items.inputs_digest})

    def _has_failed(self, name: str) -> bool:
        needed = self._jobs.get(name)
        return needed is not None and bool(needed.stopped or needed.failed_checks)

    def _plan_of(self, needed: LoadedSpec) -> SpecPlan | None:
        job = self._jobs.get(needed.spec.name)
        return self._outside.plan(needed) if job is None else job.plan

    def _wait(self, job: Job, upstream: Upstream) -> Generator[Event, None, Sequence[Problem]]:
        """Leave a job until those it needs are done; stop it when they never will be.

        Raises:
            Refused: nobody is about to run what it needs.
        """
        first, names = job.plan is None, upstream.waiting
        outside = [name for name in names if name not in self._jobs]
        if outside and self.options.submit and not self._outside.problems:
            raise Refused(
                f"{job.name} needs {listing(outside, 'and')}, which this run leaves out, and there"
                " is no output that its inputs and its spec would give now.",
                hint=f"Name {outside[0]} as well, or run it first.",
            )
        job.plan = later_plan(job.loaded, names)
        job.deferred = True
        failed = [name for name in names if self._has_failed(name)]
        if failed:
            why = "its checks failed" if self._jobs[failed[0]].failed_checks else "it was stopped"
            job.stopped = f"It needs {failed[0]}, and {why}."
            yield Notice(message=f"{job.name} is not run. {job.stopped}", warning=True)
        elif first:
            yield _ready(job.plan)
        if not first:
            return ()
        return (*self._outside.problems, *foreseen(self.session, job.loaded, upstream.relations))

    @cached_property
    def _outside(self) -> Planner:
        """Plans specs that this run needs and does not run itself."""
        options = PlanOptions()
        return Planner(session=self.session, reader=self.ledger, options=options)

    def _queue(
        self, job: Job, planned: Planned, spool: Spool, stack: ExitStack
    ) -> tuple[Problem, ...]:
        """Divide what a job is to ask among create calls, and leave the spool to them.

        Args:
            job: The job.
            planned: Its plan.
            spool: The plan's requests.
            stack: Would close the spool.
        """
        job.chunks.clear()
        self.session.key()
        canary = self._canary(job, planned.canary)
        taken = {s.requests for s in self.ledger.submissions(UNRESOLVED)}
        limits = job.loaded.spec.batch
        batches = planned.batches
        if taken or canary != planned.canary:
            batches, problems = arrange(planned.items.entries(), limits, canary, taken)
            if problems:
                return problems
        most = planned.plan.estimate.usd_max
        chunks = plan_chunks(
            self.session,
            planned.items.asks(),
            batches=batches,
            shares=self._shares(planned, batches),
            canary=bool(canary),
            usd_most_per_request=None if most is None else most / planned.plan.requests,
        )
        spool.rest()
        job.chunks = Outgoing(chunks, Source(session=self.session, spool=spool))
        stack.pop_all()
        planned.items.write_baseline(self.session.baseline(job.name, pending=True))
        return ()

    def _shares(self, planned: Planned, batches: Sequence[Packed]) -> Sequence[Share | None]:
        if planned.known is None:
            return [None] * len(batches)
        beside = bool(self.ledger.submissions(OPEN))
        return shares(planned.items, batches, planned.known, beside=beside)

    def _canary(self, job: Job, size: int) -> int:
        """Return how many requests the first submission has; a canary in flight is waited for."""
        if not size or job.round > 1 or job.has_asked:
            return 0
        in_flight = [s.tag for s in self.ledger.submissions(OPEN) if s.spec == job.name]
        if in_flight:
            job.canary = in_flight[-1]
            return 0
        return size


def _ready(plan: SpecPlan) -> PlanReady:
    counts = plan.counts
    return PlanReady(
        spec=plan.name,
        items=plan.items,
        submit=counts.submit,
        requests=plan.requests,
        unchanged=counts.unchanged,
        failed=counts.failed,
        in_flight=counts.in_flight,
        usd=plan.estimate.usd,
        after=plan.after,
    )
