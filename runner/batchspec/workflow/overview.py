"""Reading a whole project for `batchspec report`: the state, the answers, a sample of the items."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from batchspec.inputs.engine import Engine
from batchspec.outputs.failures import answering_submissions, known_relation
from batchspec.outputs.manifest import choose_target
from batchspec.outputs.overview import (
    BatchLine,
    ItemLine,
    Overview,
    SpecOverview,
    cut,
    failed_answers,
    failed_items,
    failures_by_kind,
    sample_lines,
)
from batchspec.outputs.receipt import read_checks
from batchspec.outputs.results import ResultSources, open_results
from batchspec.outputs.spending import Asked, length_bins, lengths
from batchspec.plan.model import Action, Counts
from batchspec.problems import Problem, has_errors
from batchspec.spec.project import LoadedSpec
from batchspec.spec.words import listing
from batchspec.state.ledger import LedgerReader
from batchspec.state.runs import read_history
from batchspec.workflow.context import Session
from batchspec.workflow.derive import answer_files
from batchspec.workflow.finish import is_complete
from batchspec.workflow.former import former_requests
from batchspec.workflow.planning import Planned, Planner, PlanOptions, plan_one
from batchspec.workflow.spending import asked_of, read_spending

SHOWN_RUNS = 50
SHOWN_BATCHES = 200
SHOWN_ITEMS = 1000
"""Items of all specs together: their texts are cut so that a page stays under 5 MB."""
PROMPT_CHARACTERS = 1500
_ANSWERED = f"'{Action.UNCHANGED}', '{Action.FAILED}'"
"""What is done with items that have an answer: nothing."""
_EARLIEST = dt.datetime.min.replace(tzinfo=dt.UTC)


def read_overview(
    session: Session, specs: Sequence[LoadedSpec], *, everything: bool
) -> tuple[Overview, tuple[Problem, ...]]:
    """Read what a report shows; nothing is changed and the API is not called.

    Args:
        session: The session.
        specs: The specs whose items are shown.
        everything: Count adopted batches and specs that are gone, too.

    Raises:
        StateFailure: the ledger or a segment is damaged.
        DiskFailure: the cache of answers could not be rebuilt.
    """
    spending = read_spending(session, specs, everything=everything)
    reader = session.reader()
    found = () if reader is None else reader.submissions()
    names = {loaded.spec.name for loaded in specs}
    counted = [s for s in found if everything or s.spec in names]
    newest = sorted(counted, key=lambda s: (s.created_at or _EARLIEST, s.tag), reverse=True)
    shown = SHOWN_ITEMS // max(1, len(specs))
    reading = _Reading(session=session, reader=reader, items=shown)
    overview = Overview(
        project=session.project.name,
        made_at=session.clock.now(),
        spending=spending,
        specs=tuple(reading.spec(loaded) for loaded in specs),
        batches=tuple(
            BatchLine(
                spec=submission.spec,
                batch_id=submission.batch_id or "",
                state=submission.state.value,
                requests=submission.requests,
                created_at=submission.created_at,
                ended_at=submission.ended_at,
            )
            for submission in newest[:SHOWN_BATCHES]
        ),
        batches_total=len(newest),
        history=read_history(
            reader,
            emulated=session.emulated,
            specs=() if everything else names,
            limit=SHOWN_RUNS,
        ),
    )
    return overview, reading.problems


@dataclass(slots=True)
class _Reading:
    """Reads spec after spec."""

    session: Session
    reader: LedgerReader | None
    items: int
    problems: tuple[Problem, ...] = ()

    def spec(self, loaded: LoadedSpec) -> SpecOverview:
        # Whether outputs are those that their specs would give now, whole plans tell.
        planner = Planner(session=self.session, reader=self.reader, options=PlanOptions())
        upstream = planner.upstream(loaded)
        with self.session.engine() as engine:
            bare = self._measured(engine, loaded)
            if upstream.waiting:
                after = listing(upstream.waiting, "and")
                return replace(bare, waiting=f"It is planned after {after}.")
            planned, problems = plan_one(
                self.session,
                engine,
                loaded,
                self.reader,
                PlanOptions(changes=False, upstream=upstream),
                None,
            )
            self.problems += problems
            if planned is None or has_errors(problems):
                return replace(bare, waiting="It has problems; `batchspec validate` says which.")
            bare = replace(bare, items=planned.plan.items)
            return self._planned(engine, loaded, planned, bare)

    def _planned(
        self, engine: Engine, loaded: LoadedSpec, planned: Planned, bare: SpecOverview
    ) -> SpecOverview:
        if self.reader is None:
            return replace(bare, waiting="Nothing was asked yet.")
        items, complete = planned.items.relation, is_complete(planned.plan)
        if not complete:
            bare = replace(bare, waiting=_left(planned.plan.counts))
            items = f"(SELECT * FROM {items} WHERE action IN ({_ANSWERED}))"  # noqa: S608 - our own names
        if planned.known is None:
            return bare
        tags = answering_submissions(engine, items, planned.known)
        sources = ResultSources(
            items=items,
            known=known_relation(planned.known),
            answers=answer_files(self.session, self.reader.submissions(), tags),
            table=planned.table,
            form=planned.form,
            prices=self.session.catalogue.prices(loaded.spec.model),
        )
        with open_results(engine, sources) as results:
            statuses = results.totals.statuses
            lines = sample_lines(engine, self.items)
            failed = failed_items(engine)
        return replace(
            bare,
            statuses=statuses,
            failures=failures_by_kind(
                failed, {(f.status, f.kind): f.answers for f in bare.failures}
            ),
            lines=self._with_prompts(lines),
            checks=self._checks(loaded),
        )

    def _measured(self, engine: Engine, loaded: LoadedSpec) -> SpecOverview:
        """Return what the answers of a spec tell by themselves, whatever becomes of its items."""
        name, asked = loaded.spec.name, self._asked(loaded)
        measured = lengths(engine, asked, self.session.catalogue.prices)
        return SpecOverview(
            name=name,
            model=loaded.spec.model,
            max_tokens=loaded.spec.max_tokens,
            items=0,
            statuses=(),
            waiting="",
            lengths=measured.get(name),
            bins=length_bins(engine, asked, name),
            failures=failures_by_kind({}, failed_answers(engine, asked)),
            checks=(),
            lines=(),
        )

    def _asked(self, loaded: LoadedSpec) -> tuple[Asked, ...]:
        if self.reader is None:
            return ()
        own = [s for s in self.reader.submissions() if s.spec == loaded.spec.name]
        return asked_of(self.session, self.reader, own, [loaded])

    def _checks(self, loaded: LoadedSpec) -> tuple[Mapping[str, Any], ...]:
        first = loaded.spec.outputs[0]
        target = choose_target(
            self.session.project.root,
            first.path,
            emulated=self.session.emulated,
            sampled=self.session.sampled,
        )
        return read_checks(target.receipt)

    def _with_prompts(self, lines: Sequence[ItemLine]) -> tuple[ItemLine, ...]:
        """Add what was sent to each item, where it is to be found."""
        if self.reader is None:
            return tuple(lines)
        found = former_requests(self.session, self.reader, [line.hash for line in lines])
        return tuple(
            replace(line, prompt=cut(prompt_text(found.get(line.hash)), PROMPT_CHARACTERS))
            for line in lines
        )


def _left(counts: Counts) -> str:
    """Return in a sentence what has no answer yet."""
    parts = (
        (counts.in_flight, "in flight (`batchspec collect` takes them in)"),
        (counts.submit, "not asked yet (`batchspec run` asks)"),
    )
    told = [
        f"{number:,} {'is' if number == 1 else 'are'} {what}" for number, what in parts if number
    ]
    return f"Of its items, {listing(told, 'and')}."


def prompt_text(params: bytes | None) -> str:
    """Return a request's prompt as a person reads it: who says what, block by block."""
    if params is None:
        return ""
    request = orjson.loads(params)
    system = [("system", request["system"])] if request.get("system") else []
    turns = system + [(turn["role"], turn["content"]) for turn in request.get("messages", ())]
    return "\n\n".join(f"{role}: {_content(content)}" for role, content in turns)


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(
        block["text"] if block.get("type") == "text" else f"[{block.get('type')}]"
        for block in content
    )
