"""Planning: inputs, prompt and state meet; nothing is sent and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from batchspec.errors import DiskFailure
from batchspec.events import Event
from batchspec.inputs.columns import Column
from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import InputTable, open_inputs
from batchspec.plan.calibration import Told
from batchspec.plan.diff import DiffOptions, diff_items
from batchspec.plan.elsewhere import Elsewhere
from batchspec.plan.items import ItemTable
from batchspec.plan.model import Estimate, Plan, SpecPlan
from batchspec.plan.pack import Packed
from batchspec.plan.questions import Spool
from batchspec.plan.unchanged import Circumstances, recall, remember
from batchspec.problems import Problem, has_errors
from batchspec.prompt.answer_form import AnswerForm
from batchspec.prompt.request import Renderer, compile_prompt
from batchspec.records import frozen
from batchspec.spec.digest import spec_digest
from batchspec.spec.headers import headers_of
from batchspec.spec.model import Spec
from batchspec.spec.project import LoadedSpec
from batchspec.state.ledger import LedgerReader
from batchspec.workflow.baselines import fetch_baseline
from batchspec.workflow.chunks import arrange
from batchspec.workflow.context import Session
from batchspec.workflow.counting import count_sample, drained
from batchspec.workflow.foreseen import foreseen
from batchspec.workflow.former import reworded
from batchspec.workflow.preflight import preflight
from batchspec.workflow.pricing import Pricing
from batchspec.workflow.upstream import NONE, Upstream, later_plan, upstream_of

CANARY_FROM = 20_000
"""From so many requests on, the first submission of a prompt that was never answered is small."""
CANARY_REQUESTS = 50


@frozen
class PlanOptions:
    """What a plan is made for."""

    retry_failed: bool = False
    """Ask again for items whose retries are spent."""
    hold_canceled: bool = False
    """Count canceled items as failed instead of asking again."""
    detach: bool = False
    """Nobody will wait for the batches."""
    changes: bool = True
    """Say every change, and the digests that bind a saved plan; a run needs the counts only."""
    count_tokens: int = 0
    """Have the API count the input tokens of so many of the questions; 0: estimate locally."""
    examples: bool = False
    """Show how a few of the changed requests differ from what was asked before."""
    upstream: Upstream = NONE
    """The outputs that the spec reads."""
    elsewhere: Elsewhere | None = None
    """What other specs of the plan submit; None: each is planned as if it were alone."""
    tell: Callable[[Event], None] = lambda _: None
    """Told what happens on the way."""


@frozen
class Planned:
    """A spec's plan with the tables it was made from; valid while their engine is open."""

    plan: SpecPlan
    items: ItemTable
    table: InputTable
    form: AnswerForm
    """By which answers are judged."""
    render_digest: str
    """Digest of all that rendering read."""
    reads_files: bool
    """Rendering read files that neither the digest nor the inputs cover."""
    known: Path | None
    """Parquet of what the state knows of questions."""
    batches: tuple[Packed, ...]
    """How the questions are divided when nothing in the workspace is in doubt."""
    canary: int
    """Requests of the first batch when it is a canary or a primer; 0: it is neither."""


def plan_specs(
    session: Session, specs: Sequence[LoadedSpec], options: PlanOptions
) -> tuple[Plan | None, tuple[Problem, ...]]:
    """Plan specs against the state as it is now.

    Returns:
        The plan, or None when the specs have problems, and all problems found.

    Raises:
        StateFailure: the state is damaged or newer than this program.
        DiskFailure: temporary files cannot be written.
    """
    with Elsewhere(lambda: session.scratch, [loaded.spec for loaded in specs]) as elsewhere:
        options = replace(options, elsewhere=elsewhere)
        planner = Planner(session=session, reader=session.reader(), options=options)
        wanted = [planner.plan(loaded) for loaded in specs]
    if has_errors(planner.problems):
        return None, tuple(planner.problems)
    plans = [plan for plan in wanted if plan is not None]
    return plan_of(session, plans, planner.reader), tuple(planner.problems)


@dataclass(slots=True, kw_only=True)
class Planner:
    """Plans specs, each once, and those that they need before them."""

    session: Session
    reader: LedgerReader | None
    options: PlanOptions
    problems: list[Problem] = field(default_factory=list)
    _plans: dict[str, SpecPlan | None] = field(default_factory=dict)

    def plan(self, loaded: LoadedSpec) -> SpecPlan | None:
        """Return the plan of a spec; None when it has problems, which are kept in `problems`."""
        name = loaded.spec.name
        if name not in self._plans:
            upstream = self.upstream(loaded)
            if upstream.waiting:
                self._plans[name] = later_plan(loaded, upstream.waiting)
                self.problems += foreseen(self.session, loaded, upstream.relations)
            else:
                self._plans[name] = self._planned(loaded, upstream)
        return self._plans[name]

    def upstream(self, loaded: LoadedSpec) -> Upstream:
        """Return the outputs that a spec reads."""
        return upstream_of(self.session, loaded, self.plan)

    def _planned(self, loaded: LoadedSpec, upstream: Upstream) -> SpecPlan | None:
        options = replace(self.options, upstream=upstream)
        plan, found = _plan_or_recall(self.session, loaded, self.reader, options)
        self.problems += found
        return plan


def _plan_or_recall(
    session: Session, loaded: LoadedSpec, reader: LedgerReader | None, options: PlanOptions
) -> tuple[SpecPlan | None, tuple[Problem, ...]]:
    """Return the former plan when nothing it depends on has moved, else a new one."""
    path = session.cache_dir / f"{loaded.spec.name}.unchanged.json"
    circumstances = Circumstances(
        root=session.project.root,
        spec=loaded.spec,
        state=_state_of(reader),
        options={"retry_failed": options.retry_failed},
    )
    recalled = recall(path, circumstances, lambda columns: _render_digest(session, loaded, columns))
    if recalled is not None:
        return recalled, ()
    counting = Spool(session.spool_path(loaded.spec.name)) if options.count_tokens else None
    with session.engine() as engine, counting or nullcontext():
        planned, problems = plan_one(session, engine, loaded, reader, options, counting)
        if planned is None:
            return None, problems
        # A warning has to be said again by the next plan, so that one is not recalled; and what
        # recalls a plan may need all of it.
        whole = options.changes and not problems
        if reader is not None and whole and not planned.reads_files:
            with suppress(DiskFailure):
                remember(
                    path,
                    planned.plan,
                    planned.table,
                    render_digest=planned.render_digest,
                    circumstances=circumstances,
                )
    return planned.plan, problems


def _render_digest(session: Session, loaded: LoadedSpec, columns: tuple[Column, ...]) -> str | None:
    renderer, problems = _compiled(session, loaded, columns)
    return None if renderer is None or problems else renderer.render_digest


def _compiled(
    session: Session, loaded: LoadedSpec, columns: Sequence[Column]
) -> tuple[Renderer | None, tuple[Problem, ...]]:
    return compile_prompt(
        session.project.root,
        loaded,
        columns,
        api=session.project.config.api,
        facts=session.catalogue.facts(),
    )


def _state_of(reader: LedgerReader | None) -> dict[str, Any]:
    return {} if reader is None else {"lineage": reader.lineage, "serial": reader.serial}


def plan_of(session: Session, plans: Iterable[SpecPlan], reader: LedgerReader | None) -> Plan:
    """Return the plan of several specs, bound to the environment and the state it is made for."""
    return Plan(
        specs=tuple(plans), state=_state_of(reader), environment=session.project.environment
    )


def plan_one(
    session: Session,
    engine: Engine,
    loaded: LoadedSpec,
    reader: LedgerReader | None,
    options: PlanOptions,
    spool: Spool | None,
) -> tuple[Planned | None, tuple[Problem, ...]]:
    """Plan one spec in an engine that the caller keeps open while the result is used."""
    table, problems = open_inputs(engine, session.project.root, loaded, options.upstream.relations)
    if table is None:
        return None, problems
    renderer, found = _compiled(session, loaded, table.columns)
    problems += found
    if renderer is not None:
        problems += preflight(engine, session.project.root, loaded, table, renderer.form)
    if renderer is None or has_errors(problems):
        return None, problems
    fetch_baseline(session, loaded.spec.name)
    known = None if reader is None else reader.export_known(session.cache_dir)
    items, found = diff_items(
        engine,
        table,
        renderer,
        spec=loaded.spec,
        baseline=session.baseline(loaded.spec.name),
        known=known,
        spool=spool,
        options=DiffOptions(
            retry_failed=options.retry_failed,
            hold_canceled=options.hold_canceled,
            examples=options.examples and reader is not None,
        ),
    )
    problems += found
    if items is None:
        return None, problems
    if options.elsewhere is not None:
        items = options.elsewhere.left_out(loaded.spec, items)
        options.elsewhere.keep(loaded.spec, items)
    pricing = Pricing(
        session=session,
        engine=engine,
        loaded=loaded,
        renderer=renderer,
        reader=reader,
        waits=not options.detach,
    )
    priced, doubts = pricing.estimate(items, _counted(session, loaded.spec, items, options, spool))
    canary = canary_of(loaded.spec, items.requests, items.counts.unchanged, detach=options.detach)
    canary = canary or int(priced.primer)
    batches, found = arrange(items.entries(), loaded.spec.batch, canary, ())
    if renderer.has_files and not loaded.spec.files_api:
        priced = _with_note_on_files(priced, loaded.spec, batches)
    plan = _spec_plan(loaded.spec, items, priced, batches, options, session.scratch)
    if reader is not None and items.examples:
        plan = replace(plan, reworded=reworded(session, reader, items.examples))
    planned = Planned(
        plan=plan,
        items=items,
        table=table,
        form=renderer.form,
        render_digest=renderer.render_digest,
        reads_files=renderer.reads_files,
        known=known,
        batches=batches,
        canary=canary,
    )
    return planned, problems + found + doubts + renderer.problems()


def _counted(
    session: Session, spec: Spec, items: ItemTable, options: PlanOptions, spool: Spool | None
) -> tuple[Told, ...]:
    """Return what the API counts of a sample of the questions, where that was asked for."""
    if not options.count_tokens or spool is None:
        return ()
    headers = headers_of(spec, session.project.config.api)
    return drained(count_sample(session, items, spool, headers, options.count_tokens), options.tell)


def _with_note_on_files(priced: Estimate, spec: Spec, batches: Sequence[Packed]) -> Estimate:
    """Say what sending files as base64 does to the number of batches."""
    size = sum(batch.bytes for batch in batches)
    if size <= spec.batch.max_bytes:
        return priced
    note = (
        f"Files go along as base64: {size / 1e6:,.1f} MB in {len(batches)} batches. With"
        " `files_api: true` each is uploaded once and named by its id."
    )
    return replace(priced, notes=(*priced.notes, note))


def _spec_plan(
    spec: Spec,
    items: ItemTable,
    priced: Estimate,
    batches: Sequence[Packed],
    options: PlanOptions,
    folder: Path,
) -> SpecPlan:
    digests = {"spec": spec_digest(spec)}
    if options.changes:
        digests["inputs"] = items.inputs_digest
    return SpecPlan(
        name=spec.name,
        model=spec.model,
        items=items.items,
        counts=items.counts,
        reasons=items.reasons,
        requests=items.requests,
        batches=len(batches),
        bytes=sum(batch.bytes for batch in batches),
        estimate=priced,
        changes=items.changes(folder) if options.changes else (),
        digests=digests,
        changed_files=items.changed_files,
        elsewhere=items.elsewhere is not None,
    )


def canary_of(spec: Spec, requests: int, answered: int, *, detach: bool = False) -> int:
    """Return how many requests the first submission has; 0: there is no canary.

    Args:
        spec: ``canary`` of it decides when it is given.
        requests: How many are to be submitted.
        answered: Items that this very prompt has answered already: it needs no canary.
        detach: Nobody waits, so only a canary that was asked for is sent.
    """
    asked = spec.canary
    if asked is None:
        asked = CANARY_REQUESTS if requests >= CANARY_FROM and not detach else 0
    return asked if not answered and requests > asked else 0
