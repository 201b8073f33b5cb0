"""Why `run` would refuse a plan: the budgets that it checks before it sends anything."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from batchspec.workflow.budgets import beyond, in_flight_ceiling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from batchspec.plan.model import Plan, SpecPlan
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
    total = session.project.config.budget.max_usd
    most = _most(session, asking, {spec.name for spec in plan.specs})
    found.append(beyond("This run", "the project's `budget.max_usd`", total, most))
    return tuple(filter(None, found))


def _of_spec(session: Session, spec: SpecPlan, budget: Budget) -> Iterator[str]:
    who = f"Spec {spec.name!r}"
    if budget.max_requests is not None and spec.requests > budget.max_requests:
        yield (
            f"{who} would submit {spec.requests} requests; its `budget.max_requests` is "
            f"{budget.max_requests}."
        )
    most = _most(session, [spec], {spec.name})
    yield beyond(who, "its `budget.max_usd`", budget.max_usd, most)


def _most(session: Session, asking: Iterable[SpecPlan], names: set[str]) -> Decimal | None:
    """Return the most that specs may cost, what is in flight included; None: price unknown."""
    reader = session.reader()
    total = Decimal(0) if reader is None else in_flight_ceiling(reader, names)
    for spec in asking:
        if spec.estimate.usd_max is None:
            return None
        total += spec.estimate.usd_max
    return total
