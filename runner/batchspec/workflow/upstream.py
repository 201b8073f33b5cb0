"""What a spec reads of those it needs, and why it may have to wait for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

from batchspec.outputs.upstream import Queries, kept_queries, tables_of, upstream_queries
from batchspec.plan.model import Counts, Estimate, SpecPlan
from batchspec.records import frozen
from batchspec.spec.digest import spec_digest
from batchspec.spec.project import LoadedSpec
from batchspec.workflow.context import Session


@frozen
class Upstream:
    """The outputs that a spec reads."""

    relations: Mapping[str, str]
    """SQL of the tables by their names: that of the spec for its first output, name_2 and so on for
    the others."""
    waiting: tuple[str, ...] = ()
    """Specs whose outputs are not there yet: without them nothing can be planned."""


NONE = Upstream(relations={})


def upstream_of(
    session: Session, loaded: LoadedSpec, plan_of: Callable[[LoadedSpec], SpecPlan | None]
) -> Upstream:
    """Return the outputs that a spec reads, as far as they are complete and fresh.

    Args:
        session: The session.
        loaded: The spec.
        plan_of: Gives the plan of a needed spec; None when it cannot be planned.
    """
    if session.sampled:
        # A sample is drawn from what stands: the needed specs themselves are only sampled now.
        return standing_upstream(session.project.root, loaded, (session,))
    relations: dict[str, str] = {}
    waiting: list[str] = []
    for needed in loaded.needed:
        plan = plan_of(needed)
        queries = None if plan is None else _outputs_of(session, needed, plan)
        if queries is None:
            waiting.append(needed.spec.name)
        else:
            relations |= tables_of(needed.spec.name, queries)
    return Upstream(relations=relations, waiting=tuple(waiting))


def _outputs_of(session: Session, needed: LoadedSpec, plan: SpecPlan) -> Queries | None:
    if plan.after or plan.counts.submit or plan.counts.in_flight:
        return None
    return upstream_queries(
        session.reading_path(needed.spec.name),
        session.project.root,
        needed.spec,
        digests=plan.digests,
        emulated=session.emulated,
    )


def standing_upstream(root: Path, loaded: LoadedSpec, sessions: tuple[Session, ...]) -> Upstream:
    """Return the outputs that a spec reads as they stand, fresh or not; of the first session's."""
    relations: dict[str, str] = {}
    for needed in loaded.needed:
        for session in sessions:
            name = needed.spec.name
            path = session.reading_path(name)
            queries = kept_queries(path, root, needed.spec, emulated=session.emulated)
            if queries is not None and name not in relations:
                relations |= tables_of(name, queries)
    names = [needed.spec.name for needed in loaded.needed]
    waiting = tuple(name for name in names if name not in relations)
    return Upstream(relations=relations, waiting=waiting)


def later_plan(loaded: LoadedSpec, after: tuple[str, ...]) -> SpecPlan:
    """Return the plan of a spec whose items are known only after those it needs."""
    free = Decimal(0)
    return SpecPlan(
        name=loaded.spec.name,
        model=loaded.spec.model,
        items=0,
        counts=Counts(),
        reasons={},
        requests=0,
        batches=0,
        bytes=0,
        estimate=Estimate(usd=free, usd_min=free, usd_max=free, usd_without_batch=free),
        changes=(),
        digests={"spec": spec_digest(loaded.spec)},
        after=after,
    )
