"""Ceilings in money and requests, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from batchspec.plan.cost import money_ceiling
from batchspec.state.ledger import LedgerReader
from batchspec.state.model import OPEN
from batchspec.workflow.job import Job


def in_flight_ceiling(ledger: LedgerReader, names: Collection[str]) -> Decimal:
    """Return the most, in USD, that open submissions of some specs may still cost."""
    open_now = ledger.submissions(OPEN)
    amounts = [Decimal(s.usd_max) for s in open_now if s.usd_max and s.spec in names]
    return sum(amounts, Decimal(0))


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
    requests = sum(chunk.requests for chunk in job.chunks)
    if not requests:
        return ""
    most = budget.max_requests
    if most is not None and job.submitted + requests > most:
        return (
            f"Spec {job.name!r} would submit {job.submitted + requests} requests; its "
            f"`budget.max_requests` is {most}."
        )
    amount = ceiling(ledger, [job])
    return beyond(f"Spec {job.name!r}", "its `budget.max_usd`", budget.max_usd, amount)


def total_complaint(
    ledger: LedgerReader, jobs: Sequence[Job], limits: Sequence[tuple[str, Decimal | None]]
) -> str:
    """Return why a ceiling over all jobs does not allow what they would submit.

    Args:
        ledger: What is in flight.
        jobs: All specs of the run.
        limits: Each ceiling with the name by which the user knows it.
    """
    if not any(job.chunks for job in jobs):
        return ""
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
