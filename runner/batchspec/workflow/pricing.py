"""The estimate of a plan: sizes, prices, and what past answers say about the guess."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from batchspec.api.catalogue import Model
from batchspec.errors import DiskFailure, StateFailure
from batchspec.inputs.engine import Engine
from batchspec.outputs.calibration import calibrate
from batchspec.plan.baseline import Baseline, read_baseline
from batchspec.plan.estimate import (
    Calibration,
    Job,
    by_count,
    estimate,
    estimate_chars,
    step_chars,
)
from batchspec.plan.items import ItemTable
from batchspec.plan.model import Estimate
from batchspec.prompt.caching import block_name
from batchspec.prompt.contents import without_contents
from batchspec.prompt.request import Renderer
from batchspec.spec.facts import CHARS_PER_TOKEN
from batchspec.spec.model import Spec
from batchspec.state.ledger import LedgerReader
from batchspec.state.model import Submission, SubmissionState
from batchspec.workflow.collect import answer_files
from batchspec.workflow.context import Session
from batchspec.workflow.counting import Counted
from batchspec.workflow.former import sent_requests

SUBMISSIONS = 8
"""So many of a spec's newest collected submissions calibrate its next plan."""
SAMPLE = 1000
"""So many requests of each of them are compared with what their answers used."""
MOST_TOOL_TOKENS = (496, 588)
"""The largest numbers on record (fact sheet §4.1), for models that have none there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """Prices the plans of one spec."""

    session: Session
    engine: Engine
    spec: Spec
    renderer: Renderer
    reader: LedgerReader | None
    waits: bool = True
    """Somebody waits for the batches, so that one can be sent before the others."""

    def estimate(self, items: ItemTable, counted: Sequence[Counted] = ()) -> Estimate:
        """Return what submitting the items of a plan would cost.

        Args:
            items: The decided items.
            counted: What the API counted of a sample of them; it wins over past answers.
        """
        job = self._job()
        known = Calibration()
        if items.requests and self.reader is not None:
            known = past_answers(self.session, self.engine, self.spec, job.tokenizer, self.reader)
        if counted:
            known = by_count(known, counted, job.tokenizer)
        return estimate(items.sizes(step_chars(job, known)), job, known)

    def _job(self) -> Job:
        spec, renderer, catalogue = self.spec, self.renderer, self.session.catalogue
        geo, prices = spec.params.get("inference_geo"), catalogue.prices(spec.model)
        known = prices is None or prices.knows(geo)
        facts, group = catalogue.facts().get(spec.model), renderer.grouping
        return Job(
            max_tokens=spec.max_tokens,
            tokenizer="new" if facts is None else facts.tokenizer,
            prices=prices if known else None,
            geo=geo,
            prefix_chars=renderer.prefix_chars,
            cache_ttl=renderer.cache_ttl,
            group_ttl=None if group is None else group.ttl,
            group_name="" if group is None else block_name(group.place),
            min_cache_tokens=None if facts is None else facts.min_cache_tokens,
            schema=renderer.sent_schema or renderer.form.schema,
            primer=self.waits and spec.primer == "auto",
            tool_tokens=_tool_tokens(spec.params, catalogue.model(spec.model)),
            notes=(
                *renderer.notes,
                *(() if known else (f"No price of the region {geo} is known.",)),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sampled:
    """The first requests of a submission."""

    submission: Submission
    model: str
    chars: dict[bytes, int | None]
    """Characters that count, by the first 16 bytes of the request hash; None: the request names
    files that were uploaded, which says nothing of their size."""


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
    found = list(_sampled(session, collected[: -SUBMISSIONS - 1 : -1], tokenizer))
    comparable = [one for one in found if one.model == spec.model]
    if not comparable:
        facts = session.catalogue.facts()
        comparable = [
            one for one in found if one.model in facts and facts[one.model].tokenizer == tokenizer
        ]
    try:
        answers = answer_files(session, [one.submission for one in comparable])
        asked = _asked(engine, comparable, read_baseline(session.baseline(spec.name)))
        return calibrate(engine, answers, asked, CHARS_PER_TOKEN[tokenizer])
    except (StateFailure, DiskFailure):
        return Calibration()


def _sampled(
    session: Session, submissions: list[Submission], tokenizer: Literal["old", "new"]
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
                chars={name.digest16: _chars(params, tokenizer) for name, params in sample},
            )


def _asked(
    engine: Engine, sampled: Sequence[_Sampled], baseline: Baseline | None
) -> dict[bytes, int]:
    """Return the characters of sampled requests; where files were uploaded, the last plan's."""
    known = {digest: chars for one in sampled for digest, chars in one.chars.items()}
    found = {digest: chars for digest, chars in known.items() if chars is not None}
    if baseline is None or len(found) == len(known):
        return found
    planned = engine.rows(f"SELECT DISTINCT hash[1:16], chars FROM {baseline.relation}")  # noqa: S608 - ours
    return found | {digest: chars for digest, chars in planned if known.get(digest, 0) is None}


def _chars(params: bytes, tokenizer: Literal["old", "new"]) -> int | None:
    """Return the characters that a request counted as when it was planned; None: unknown."""
    text, media = without_contents(params)
    if media is None:
        return None
    return estimate_chars(text) + int(media * CHARS_PER_TOKEN[tokenizer])


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
