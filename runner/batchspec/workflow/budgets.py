"""Ceilings in money and requests, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from batchspec.plan.cost import money_ceiling
from batchspec.spec.model import Budget
from batchspec.state.ledger import LedgerReader
from batchspec.state.model import OPEN
from batchspec.workflow.job import Job

PROJECT_USD = "the project's `budget.max_usd`"
PROJECT_REQUESTS = "the project's `budget.max_requests`"


def in_flight_ceiling(ledger: LedgerReader, names: Collection[str]) -> Decimal:
    """Return the most, in USD, that open submissions of some specs may still cost."""
    open_now = ledger.submissions(OPEN)
    amounts = [Decimal(s.usd_max) for s in open_now if s.usd_max and s.spec in names]
    return sum(amounts, Decimal(0))


def in_flight_requests(ledger: LedgerReader, names: Collection[str]) -> int:
    """Return how many requests of some specs are in flight."""
    return sum(s.requests for s in ledger.submissions(OPEN) if s.spec in names)


def requests_of(ledger: LedgerReader, job: Job) -> int:
    """Return how many requests a run makes of a job: those in flight when it began, and its own."""
    asked = job.submitted or in_flight_requests(ledger, {job.name})
    return asked + sum(chunk.requests for chunk in job.chunks)


def too_many(who: str, what: str, most: int | None, requests: int) -> str:
    """Say that there are more requests than a budget allows, or return an empty string."""
    if most is None or requests <= most:
        return ""
    return (
        f"{who} would have {requests:,} requests, what is in flight included; {what} is {most:,}."
    )


def ceiling(ledger: LedgerReader, jobs: Sequence[Job]) -> Decimal | None:
    """Return the most that jobs may cost: collected, in flight, and about to be asked.

    None: a price is unknown.
    """
    total = in_flight_ceiling(ledger, {job.name for job in jobs})
    for job in jobs:
        for amount in (job.usd, *(chunk.usd_most for chunk in job.chunks)):
            if amount is None:
                return None
            total += amount
    return total


def spec_complaint(ledger: LedgerReader, job: Job) -> str:
    """Return why a spec's own budget does not allow what it would submit, or an empty string."""
    budget = job.loaded.spec.budget
    if not job.chunks:
        return ""
    who, requests = f"Spec {job.name!r}", requests_of(ledger, job)
    complaint = too_many(who, "its `budget.max_requests`", budget.max_requests, requests)
    if complaint:
        return complaint
    amount = ceiling(ledger, [job])
    return beyond(who, "its `budget.max_usd`", budget.max_usd, amount)


def total_complaint(
    ledger: LedgerReader, jobs: Sequence[Job], budget: Budget, max_usd: Decimal | None
) -> str:
    """Return why a ceiling over all jobs does not allow what they would submit.

    Args:
        ledger: What is in flight.
        jobs: All specs of the run.
        budget: The project's.
        max_usd: The command line's ceiling.
    """
    if not any(job.chunks for job in jobs):
        return ""
    requests = sum(requests_of(ledger, job) for job in jobs)
    complaint = too_many("This run", PROJECT_REQUESTS, budget.max_requests, requests)
    if complaint:
        return complaint
    limits = (("--max-usd", max_usd), (PROJECT_USD, budget.max_usd))
    amount = ceiling(ledger, jobs)
    complaints = (beyond("This run", name, limit, amount) for name, limit in limits)
    return next((complaint for complaint in complaints if complaint), "")


def beyond(who: str, what: str, limit: Decimal | None, amount: Decimal | None) -> str:
    """Say that ``amount`` is beyond ``limit``, or return an empty string."""
    if limit is None:
        return ""
    if amount is None:
        return (
            f"{who} has a limit of ${limit} ({what}), but the model's price is unknown, so the "
            "limit cannot be kept. Give its price under `prices:` in batchspec.yaml."
        )
    if amount <= limit:
        return ""
    return (
        f"{who} may cost up to ${money_ceiling(amount)}, what is in flight included; {what} is "
        f"${limit}."
    )
