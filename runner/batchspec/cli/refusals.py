"""Why `run` would refuse a plan: budgets and policy, checked before anything is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from batchspec.workflow.budgets import (
    PROJECT_REQUESTS,
    PROJECT_USD,
    beyond,
    in_flight_ceiling,
    in_flight_requests,
    too_many,
)
from batchspec.workflow.policing import Asking, money_problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from batchspec.plan.model import Plan, SpecPlan
    from batchspec.problems import Problem
    from batchspec.spec.model import Budget
    from batchspec.spec.project import LoadedSpec
    from batchspec.workflow.context import Session


def refusals(session: Session, plan: Plan, specs: Iterable[LoadedSpec]) -> tuple[str, ...]:
    """Return one sentence for each budget that does not allow what the plan would submit."""
    budgets = {loaded.spec.name: loaded.spec.budget for loaded in specs}
    asking = [spec for spec in plan.specs if spec.requests]
    if not asking:
        return ()
    found = [why for spec in asking for why in _of_spec(session, spec, budgets[spec.name])]
    total, names = session.project.config.budget, {spec.name for spec in plan.specs}
    requests = _requests(session, asking, names)
    found.append(too_many("This run", PROJECT_REQUESTS, total.max_requests, requests))
    most = _most(session, asking, names)
    found.append(beyond("This run", PROJECT_USD, total.max_usd, most))
    return tuple(filter(None, found))


def policy_breaches(
    session: Session, plan: Plan, specs: Iterable[LoadedSpec]
) -> tuple[Problem, ...]:
    """Return the money rules of the policy that what the plan would submit breaks."""
    loaded = {one.spec.name: one for one in specs}
    asking = [
        Asking(loaded=loaded[spec.name], usd_max=spec.estimate.usd_max)
        for spec in plan.specs
        if spec.requests
    ]
    return money_problems(session, session.reader(), asking)


def _of_spec(session: Session, spec: SpecPlan, budget: Budget) -> Iterator[str]:
    who = f"Spec {spec.name!r}"
    requests = _requests(session, [spec], {spec.name})
    yield too_many(who, "its `budget.max_requests`", budget.max_requests, requests)
    most = _most(session, [spec], {spec.name})
    yield beyond(who, "its `budget.max_usd`", budget.max_usd, most)


def _requests(session: Session, asking: Iterable[SpecPlan], names: set[str]) -> int:
    reader = session.reader()
    in_flight = 0 if reader is None else in_flight_requests(reader, names)
    return in_flight + sum(spec.requests for spec in asking)


def _most(session: Session, asking: Iterable[SpecPlan], names: set[str]) -> Decimal | None:
    """Return the most that specs may cost, what is in flight included; None: price unknown."""
    reader = session.reader()
    total = Decimal(0) if reader is None else in_flight_ceiling(reader, names)
    for spec in asking:
        if spec.estimate.usd_max is None:
            return None
        total += spec.estimate.usd_max
    return total
