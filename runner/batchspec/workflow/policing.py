"""The money rules of the policy, held against what would be submitted.

Amounts are those of budgets: what was really spent, what in-flight work may still cost at most, and
the most that the new requests may cost. A day and a month are those of UTC in which a batch was
made. Emulated work costs nothing: it is held against the rule for one spec, as against its budget.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from batchspec.outputs.spending import spending
from batchspec.plan.cost import money_ceiling
from batchspec.problems import Problem
from batchspec.records import frozen
from batchspec.spec.policy import HeldRule
from batchspec.spec.project import LoadedSpec
from batchspec.spec.words import listing
from batchspec.state.ledger import LedgerReader
from batchspec.state.model import OPEN, Submission, SubmissionState
from batchspec.workflow.budgets import in_flight_ceiling
from batchspec.workflow.context import Session
from batchspec.workflow.job import Job
from batchspec.workflow.spending import asked_of

OF_THE_SPEC = "max_usd"
PERIODS = {"max_usd_per_day": ("policy-usd-day", 10), "max_usd_per_month": ("policy-usd-month", 7)}
"""Settings with their codes, and how much of an ISO date is one period."""
_MAYBE_PAID = (*OPEN, SubmissionState.LOST_RESULTS)
"""States whose answers are not in the books, and may have to be paid."""


@frozen
class Asking:
    """A spec that is about to submit something."""

    loaded: LoadedSpec
    usd_max: Decimal | None
    """The most that the new requests may cost; None: price unknown."""
    usd_run: Decimal | None = Decimal(0)
    """What the answers that this run has collected cost."""

    @property
    def name(self) -> str:
        """The spec's name."""
        return self.loaded.spec.name


def asking_of(jobs: Sequence[Job]) -> tuple[Asking, ...]:
    """Return the jobs of a run that are about to submit something."""
    return tuple(
        Asking(
            loaded=job.loaded,
            usd_max=sum_of([chunk.usd_most for chunk in job.chunks]),
            usd_run=job.usd,
        )
        for job in jobs
        if job.chunks
    )


@frozen
class _Paid:
    """Money on the books of one spec on one day."""

    spec: str
    day: str
    """ISO date, in UTC."""
    usd: Decimal | None
    """None: price unknown."""


def money_problems(
    session: Session, reader: LedgerReader | None, asking: Sequence[Asking]
) -> tuple[Problem, ...]:
    """Return each money rule of the policy that what would be submitted breaks."""
    policy = session.project.policy
    if policy is None or not asking:
        return ()
    today = session.clock.now().astimezone(dt.UTC).date()
    held: dict[int, tuple[HeldRule, list[Asking]]] = {}
    for one in asking:
        for rule in policy.rules_for(one.name, today):
            held.setdefault(rule.number, (rule, []))[1].append(one)
    police = _Police(session=session, reader=reader, today=today)
    return tuple(problem for rule, own in held.values() for problem in police.problems(rule, own))


@dataclass(slots=True, kw_only=True)
class _Police:
    """Holds rules against amounts; what was spent is summed up once, and only when asked for."""

    session: Session
    reader: LedgerReader | None
    today: dt.date
    _books: tuple[_Paid, ...] | None = None

    def problems(self, held: HeldRule, asking: Sequence[Asking]) -> Iterator[Problem]:
        limit = held.rule.max_usd
        for one in asking if limit is not None else ():
            amount = self._of_run(one)
            if limit is not None and _beyond(amount, limit):
                why = f"{one.name} may cost {_upto(amount)} in one run; the policy allows ${limit}"
                yield self._problem("policy-usd", OF_THE_SPEC, held, one, why)
        for setting, (code, length) in () if self.session.emulated else PERIODS.items():
            limit = getattr(held.rule, setting)
            if limit is None:
                continue
            amount = self._of_period(held, asking, length)
            if _beyond(amount, limit):
                names = listing([one.name for one in asking], "and")
                when = "today" if code == "policy-usd-day" else f"in {self.today:%Y-%m}"
                why = (
                    f"with {names}, the specs of {held.rule.name} may cost {_upto(amount)} {when}"
                    f" in UTC; the policy allows ${limit}"
                )
                yield self._problem(code, setting, held, asking[0], why)

    def _problem(
        self, code: str, setting: str, held: HeldRule, one: Asking, summary: str
    ) -> Problem:
        policy = self.session.project.policy
        assert policy is not None  # noqa: S101 - its rules are being held against
        return Problem(
            code=code,
            summary=summary,
            detail=f"{policy.because(held, setting)} What is in flight counts at its highest price."
            " Ask for fewer items, lower max_tokens, or have the rule changed or waived.",
            where=one.loaded.document.place(("budget", "max_usd")),
            rule=policy.place(held, setting),
        )

    def _of_run(self, one: Asking) -> Decimal | None:
        if one.usd_max is None or one.usd_run is None:
            return None
        in_flight = (
            Decimal(0) if self.reader is None else in_flight_ceiling(self.reader, {one.name})
        )
        return one.usd_max + one.usd_run + in_flight

    def _of_period(self, held: HeldRule, asking: Sequence[Asking], length: int) -> Decimal | None:
        period = self.today.isoformat()[:length]
        paid = (
            entry.usd
            for entry in self._entries()
            if entry.day[:length] == period and self._counts(held, entry.spec)
        )
        return sum_of([*paid, *(one.usd_max for one in asking)])

    def _counts(self, held: HeldRule, spec: str) -> bool:
        """Tell whether a spec's money is the rule's; a waived spec's is not."""
        policy = self.session.project.policy
        rules = () if policy is None else policy.rules_for(spec, self.today)
        return any(rule.number == held.number for rule in rules)

    def _entries(self) -> tuple[_Paid, ...]:
        if self._books is None:
            self._books = () if self.reader is None else tuple(self._read(self.reader))
        return self._books

    def _read(self, reader: LedgerReader) -> Iterator[_Paid]:
        """Yield what this month cost: batches that are not collected at their highest price."""
        month = self.today.isoformat()[:7]
        ours = [s for s in reader.submissions() if self._day(s)[:7] == month]
        for submission in ours:
            if submission.state in _MAYBE_PAID:
                most = None if submission.usd_max is None else Decimal(submission.usd_max)
                yield _Paid(spec=submission.spec, day=self._day(submission), usd=most)
        asked = asked_of(self.session, reader, ours, ())
        if not asked:
            return
        with self.session.engine() as engine:
            for group in spending(engine, asked, self.session.catalogue):
                usd = None if group.sums.unpriced else group.sums.usd
                yield _Paid(spec=group.spec, day=group.day.isoformat(), usd=usd)

    def _day(self, submission: Submission) -> str:
        at = submission.created_at or submission.prepared_at
        return (self.today if at is None else at.astimezone(dt.UTC).date()).isoformat()


def sum_of(amounts: Sequence[Decimal | None]) -> Decimal | None:
    """Return the sum; None when one of the amounts is unknown."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if len(known) == len(amounts) else None


def _beyond(amount: Decimal | None, limit: Decimal) -> bool:
    return amount is None or amount > limit


def _upto(amount: Decimal | None) -> str:
    return "an unknown amount" if amount is None else f"up to ${money_ceiling(amount)}"
