"""The estimate of a plan: sizes, prices, and what past answers say about the guess."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import orjson

from batchspec.api.catalogue import Model
from batchspec.errors import DiskFailure, StateFailure
from batchspec.inputs.engine import Engine
from batchspec.outputs.calibration import calibrate
from batchspec.plan.baseline import Baseline, read_baseline
from batchspec.plan.calibration import MANY, Calibration, Told, by_count
from batchspec.plan.estimate import estimate, estimate_chars, unbounded_note
from batchspec.plan.filesizes import (
    all_measured,
    expected_weights,
    file_summary,
    highest_weights,
)
from batchspec.plan.items import ItemTable
from batchspec.plan.model import Estimate
from batchspec.plan.sizes import Job, Sizes
from batchspec.problems import Problem, Severity
from batchspec.prompt.caching import block_name
from batchspec.prompt.contents import without_contents
from batchspec.prompt.request import Renderer
from batchspec.prompt.unsized import Unsized, named
from batchspec.records import frozen
from batchspec.spec.facts import CHARS_PER_TOKEN, UNBOUNDED
from batchspec.spec.model import Spec
from batchspec.spec.project import LoadedSpec
from batchspec.spec.tools import family, server_tools
from batchspec.state.ledger import LedgerReader
from batchspec.state.model import Submission, SubmissionState
from batchspec.workflow.context import Session
from batchspec.workflow.derive import answer_files
from batchspec.workflow.former import sent_requests
from batchspec.workflow.hindsight import hindsights

SUBMISSIONS = 8
"""So many of a spec's newest collected submissions calibrate its next plan."""
SAMPLE = 1000
"""So many requests of each of them are compared with what their answers used."""
MOST_TOOL_TOKENS = (496, 588)
"""The largest numbers on record (fact sheet §4.1), for models that have none there."""


@frozen
class Pricing:
    """Prices the plans of one spec."""

    session: Session
    engine: Engine
    loaded: LoadedSpec
    renderer: Renderer
    reader: LedgerReader | None
    waits: bool = True
    """Somebody waits for the batches, so that one can be sent before the others."""

    def estimate(
        self, items: ItemTable, counted: Sequence[Told] = ()
    ) -> tuple[Estimate, tuple[Problem, ...]]:
        """Return what submitting the items of a plan would cost, and what is in doubt of it.

        Args:
            items: The decided items.
            counted: What the API counted of a sample of them; it wins over past answers.
        """
        job, spec = self._job(), self.loaded.spec
        known = Calibration()
        if items.requests and self.reader is not None:
            known = past_answers(self.session, self.engine, spec, job.tokenizer, self.reader)
        if counted:
            known = by_count(known, counted, job.tokenizer)
        sizes = items.sizes(expected_weights(job, known))
        by_step = job.prices is not None and job.prices.step_tokens is not None
        highest = items.sizes(highest_weights(job, known)) if sizes.unsized or by_step else sizes
        priced = estimate(sizes, job, known, highest)
        if items.requests:
            priced = replace(priced, notes=(*priced.notes, *self._measured()))
        doubts = tuple(self._warning(*told) for told in self._doubts(sizes, job, known))
        return priced, doubts

    def _measured(self) -> tuple[str, ...]:
        """Say how far the spec's last plan was off."""
        if self.reader is None:
            return ()
        name = self.loaded.spec.name
        told = hindsights(self.session, self.engine, self.reader, [name])
        return tuple(one.note() for one in told)

    def _doubts(
        self, sizes: Sizes, job: Job, known: Calibration
    ) -> Iterator[tuple[str, str, str, str]]:
        """Yield code, place, summary and detail of what the highest price cannot be sure of."""
        advice = (
            "Say in `assume` how large they usually are, or have some requests counted by the API"
            f" with `batchspec plan --count-tokens {MANY}`."
        )
        if sizes.unsized and not all_measured(sizes, known):
            yield (
                "size-unknown",
                "prompt",
                "prompts show files whose size the plan does not know",
                f"{file_summary(sizes, job, known)} {advice}",
            )
        if sizes.requests and (note := unbounded_note(job, known)):
            yield (
                "cost-unbounded",
                "params",
                "the highest price does not cover what tools of the API read",
                f"{note} {MANY} answers of this spec make the estimate.",
            )

    def _warning(self, code: str, place: str, summary: str, detail: str) -> Problem:
        where = self.loaded.document.place((place,), key=True)
        return Problem(
            code=code, summary=summary, detail=detail, severity=Severity.WARNING, where=where
        )

    def _job(self) -> Job:
        spec, renderer, catalogue = self.loaded.spec, self.renderer, self.session.catalogue
        geo, prices = spec.params.get("inference_geo"), catalogue.prices(spec.model)
        known = prices is None or prices.knows(geo)
        tools = server_tools(spec.params)
        searching = [tool for tool in tools if family(tool) == "web_search"]
        uses = [tool.get("max_uses") for tool in searching]
        limits = [use for use in uses if isinstance(use, int)]
        facts, group = catalogue.facts().get(spec.model), renderer.grouping
        return Job(
            max_tokens=spec.max_tokens,
            tokenizer="new" if facts is None else facts.tokenizer,
            prices=prices if known else None,
            geo=geo,
            prefix_chars=renderer.prefix_chars,
            cache_ttl=renderer.cache_ttl,
            short_prefix=renderer.short_prefix,
            group_ttl=None if group is None else group.ttl,
            group_name="" if group is None else block_name(group.place),
            dearest_ttl=renderer.dearest_ttl,
            context=None if facts is None or facts.context >= UNBOUNDED else facts.context,
            image_tokens=spec.assume.image_tokens,
            document_tokens=spec.assume.document_tokens,
            min_cache_tokens=None if facts is None else facts.min_cache_tokens,
            schema=renderer.sent_schema or renderer.form.schema,
            primer=self.waits and spec.primer == "auto",
            server_tools=tuple(family(tool) for tool in tools),
            searches_web=bool(searching),
            most_searches=None if len(limits) < len(uses) else sum(limits),
            tool_tokens=_tool_tokens(spec.params, catalogue.model(spec.model)),
            notes=(
                *renderer.notes,
                *(() if known else (f"No price of the region {geo} is known.",)),
            ),
        )


@frozen
class _Sampled:
    """The first requests of a submission."""

    submission: Submission
    model: str
    sizes: dict[bytes, _Size]
    """By the first 16 bytes of the request hash."""


class _Size(NamedTuple):
    """How large a request is that was sent."""

    chars: int | None
    """Characters that count; None: files of it were uploaded, and do not say how large they are."""
    unsized: Unsized


def past_answers(
    session: Session,
    engine: Engine,
    spec: Spec,
    tokenizer: Literal["old", "new"],
    reader: LedgerReader,
) -> Calibration:
    """Return what the newest answers of a spec say; damaged parts of the state say nothing."""
    collected = [
        submission
        for submission in reader.submissions((SubmissionState.COLLECTED,))
        if submission.spec == spec.name and submission.segment and submission.results
    ]
    found = list(_sampled(session, collected[: -SUBMISSIONS - 1 : -1], spec, tokenizer))
    comparable = [one for one in found if one.model == spec.model]
    if not comparable:
        facts = session.catalogue.facts()
        comparable = [
            one for one in found if one.model in facts and facts[one.model].tokenizer == tokenizer
        ]
    try:
        answers = answer_files(session, [one.submission for one in comparable])
        asked = _asked(engine, comparable, read_baseline(session.baseline(spec.name)))
        return calibrate(engine, answers, asked, tokenizer)
    except (StateFailure, DiskFailure):
        return Calibration()


def _sampled(
    session: Session,
    submissions: list[Submission],
    spec: Spec,
    tokenizer: Literal["old", "new"],
) -> Iterator[_Sampled]:
    for submission in submissions:
        requests = sent_requests(session, submission.segment or "")
        try:
            sample = list(itertools.islice(requests, SAMPLE))
        except StateFailure:
            continue
        if sample:
            yield _Sampled(
                submission=submission,
                model=_model(sample[0][1]),
                sizes={name.digest16: _size(params, spec, tokenizer) for name, params in sample},
            )


def _asked(
    engine: Engine, sampled: Sequence[_Sampled], baseline: Baseline | None
) -> dict[bytes, tuple[int, int, int]]:
    """Return the sizes of sampled requests; where files were uploaded, the last plan's."""
    known = {digest: size for one in sampled for digest, size in one.sizes.items()}
    hidden = {digest for digest, size in known.items() if size.chars is None}
    chars = {digest: size.chars for digest, size in known.items() if size.chars is not None}
    if baseline is not None and hidden:
        planned = engine.rows(f"SELECT DISTINCT hash[1:16], chars FROM {baseline.relation}")  # noqa: S608 - ours
        chars |= {digest: size for digest, size in planned if digest in hidden}
    return {digest: (size, *known[digest].unsized) for digest, size in chars.items()}


def _size(params: bytes, spec: Spec, tokenizer: Literal["old", "new"]) -> _Size:
    """Return the size that a request had when it was planned."""
    rest = without_contents(params, spec.assume.page_tokens)
    if rest.ids and spec.files_api:
        return _Size(None, named(params, ids=False))
    files = int(rest.tokens * CHARS_PER_TOKEN[tokenizer])
    return _Size(estimate_chars(rest.text) + files, rest.unsized)


def _tool_tokens(params: Mapping[str, Any], model: Model | None) -> int:
    """Return what tools add to a prompt; of a model without a record, the most on record."""
    if not params.get("tools"):
        return 0
    free, forced = (model and model.tool_prompt_tokens) or MOST_TOOL_TOKENS
    choice = params.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, Mapping) else None
    return forced if kind in ("any", "tool") else free


def _model(params: bytes) -> str:
    request: dict[str, Any] = orjson.loads(params)
    return str(request.get("model"))
