"""What could be saved, in numbers from what was really used. One rule per function.

Every figure is what the answers on record would have cost otherwise: nothing is forecast.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Iterator, Sequence
from decimal import Decimal

from batchspec.api.catalogue import Catalogue
from batchspec.inputs.engine import Engine
from batchspec.outputs.spending import (
    Advice,
    Asked,
    Lengths,
    Sums,
    repriced,
    spending,
    without_cache,
)
from batchspec.plan.cost import BATCH_FACTOR, ModelPrices, money
from batchspec.plan.estimate import HIT_RATE, PRIMED_HIT_RATE, primer_pays
from batchspec.records import frozen
from batchspec.spec.facts import CHARS_PER_TOKEN
from batchspec.spec.model import Spec
from batchspec.state.model import Submission
from batchspec.workflow.cacheable import Cacheable
from batchspec.workflow.fitting import fits, own_breakpoints

LEAST_ANSWERS = 30
"""Fewer answers say nothing about the longest that is to be expected."""
ROOM = Decimal("1.25")
"""How much more than the longest answer a tighter ``max_tokens`` leaves."""
WORTH = Decimal("0.8")
"""Another model is named when the same answers cost at most this share."""
NAMED_MODELS = 2
LEAST_BATCHES = 3
"""Batches that must have begun in an hour before it is compared with others."""
SLOWER = 1.5
LEAST_MINUTES = 1
"""Hours that differ by less are not told apart."""
_MILLION = Decimal(1_000_000)


@frozen
class Evidence:
    """What the advice is drawn from."""

    engine: Engine
    asked: Sequence[Asked]
    catalogue: Catalogue

    def of(self, spec: Spec) -> tuple[Asked, ...]:
        """Return the submissions of one spec."""
        return tuple(one for one in self.asked if one.spec == spec.name)

    def sums(self, spec: Spec, asked: Sequence[Asked]) -> Sums:
        """Return the usage of some submissions by the model that the spec names now."""
        groups = spending(self.engine, asked, self.catalogue)
        return sum((g.sums for g in groups if self.is_own(spec, g.model)), Sums())

    def is_own(self, spec: Spec, name: str) -> bool:
        """Tell whether an answer's model is the one that the spec names now."""
        found, own = self.catalogue.model(name), self.catalogue.model(spec.model)
        return name == spec.model if found is None or own is None else found == own

    def hours(self, submissions: Sequence[Submission]) -> Iterator[Advice]:
        """Yield the hour in which batches ended fastest, when hours differ."""
        by_hour: dict[int, list[float]] = {}
        for one in submissions:
            if one.created_at is not None and one.ended_at is not None:
                hour = one.created_at.astimezone(dt.UTC).hour
                took = (one.ended_at - one.created_at).total_seconds()
                by_hour.setdefault(hour, []).append(took / 60)
        middle = {
            hour: statistics.median(took)
            for hour, took in sorted(by_hour.items())
            if len(took) >= LEAST_BATCHES
        }
        if len(middle) < 2:  # noqa: PLR2004 - a comparison takes two
            return
        best, worst = min(middle, key=middle.__getitem__), max(middle, key=middle.__getitem__)
        slower = max(SLOWER * middle[best], middle[best] + LEAST_MINUTES)
        if middle[worst] >= slower:
            window = f"{best:02}:00-{(best + 1) % 24:02}:00"
            yield Advice(
                code="window",
                spec="",
                message=f"Batches made from {window} UTC ended after {middle[best]:.0f} min "
                f"(median of {len(by_hour[best])}), those from {worst:02}:00 on after "
                f"{middle[worst]:.0f} min. `batchspec run --window {window}` waits for that "
                "hour.",
            )


def advise(
    evidence: Evidence, spec: Spec, lengths: Lengths, uncached: Cacheable | None
) -> Iterator[Advice]:
    """Yield what one spec could save, the largest saving of each kind.

    Args:
        evidence: What it is drawn from.
        spec: The spec.
        lengths: How long its answers were.
        uncached: What its prompts share and nothing caches.
    """
    sums = evidence.sums(spec, evidence.of(spec))
    yield from _room(evidence.catalogue.prices(spec.model), spec, lengths)
    yield from _truncated(spec, lengths)
    yield from _cache(spec, sums)
    if uncached is not None:
        yield from _uncached(evidence, spec, uncached)
    yield from _models(evidence, spec, sums)


def _room(prices: ModelPrices | None, spec: Spec, lengths: Lengths) -> Iterator[Advice]:
    """`max_tokens` is far above the longest answer: the highest price, and so budgets, too."""
    thinking = spec.params.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    least = budget + 1 if isinstance(budget, int) else 0  # the API wants more than the budget
    enough = _round_up(max(int(lengths.most * ROOM), least))
    if lengths.answers < LEAST_ANSWERS or lengths.truncated or enough * 2 > spec.max_tokens:
        return
    freed = ""
    if prices is not None:
        per_answer = (spec.max_tokens - enough) * prices.rates.output * BATCH_FACTOR / _MILLION
        freed = f" and `at most` falls by ${money(per_answer * 1000)} per 1,000 requests"
    yield Advice(
        code="max-tokens",
        spec=spec.name,
        message=f"max_tokens is {spec.max_tokens:,}, but the longest of {lengths.answers:,} "
        f"answers used {lengths.most:,} tokens (95 % at most {lengths.p95:,}). With {enough:,} "
        f"none of them would have been cut{freed}; what is paid stays the same. Changing it asks "
        "every item again.",
    )


def _truncated(spec: Spec, lengths: Lengths) -> Iterator[Advice]:
    """Answers were cut: paid for, and of no use."""
    if not lengths.truncated:
        return
    every = lengths.answers + lengths.truncated
    yield Advice(
        code="truncated",
        spec=spec.name,
        message=f"{lengths.truncated:,} of {every:,} answers were cut short and cost "
        f"${money(lengths.usd_truncated)} without a usable answer. Raise max_tokens "
        f"(now {spec.max_tokens:,}; complete answers used up to {lengths.most:,}).",
        usd=lengths.usd_truncated,
    )


def _cache(spec: Spec, sums: Sums) -> Iterator[Advice]:
    """Caching cost more than it saved, and is still on."""
    loss = sums.usd - sums.usd_uncached
    marks = own_breakpoints(spec)
    if loss <= 0 or (spec.cache == "off" and not marks):
        return
    instead = f"Removing {marks}, with `cache: off`," if marks else "`cache: off`"
    written = sums.token("cache_write_5m") + sums.token("cache_write_1h")
    yield Advice(
        code="cache-loses",
        spec=spec.name,
        message=f"Prompt caching wrote {written:,} tokens and read {sums.token('cache_read'):,}, "
        f"which cost ${money(loss)} more than no caching. {instead} saves that, and asks every "
        "item again; batches that hit more often save it, too.",
        usd=loss,
    )


def _uncached(evidence: Evidence, spec: Spec, uncached: Cacheable) -> Iterator[Advice]:
    """Every request paid in full for what all of them share."""
    prices = evidence.catalogue.prices(spec.model)
    cold = without_cache(evidence.engine, evidence.of(spec))
    sums, batches = evidence.sums(spec, cold), len(cold)
    if prices is None or spec.primer != "auto" or not sums.succeeded:
        return
    rates = prices.rates_for(sums.token("input_tokens") // sums.succeeded)
    token = uncached.tokens * BATCH_FACTOR / _MILLION
    token *= prices.geo_factor(spec.params.get("inference_geo"))

    def saving(hits: Decimal) -> Decimal:
        paid = hits * rates.cache_read + (sums.succeeded - hits) * rates.cache_write_1h
        return (sums.succeeded * rates.input - paid) * token

    saved = saving(PRIMED_HIT_RATE * max(sums.succeeded - batches, 0))
    cold_usd = sums.usd - saving(HIT_RATE * sums.succeeded)
    if saved <= 0 or not primer_pays(cold_usd, sums.usd - saved):
        return
    yield Advice(
        code="cache-off",
        spec=spec.name,
        message=f"The requests begin with about {uncached.tokens:,} tokens that are the same in "
        f"all of them, and {spec.model} caches from {uncached.least:,} on. With `cache: auto` and "
        f"its primer batch, {sums.succeeded:,} answers would have cost about "
        f"${money(sums.usd - saved)} instead of ${money(sums.usd)}, if {PRIMED_HIT_RATE:.0%} of "
        "the requests after the primer hit. Changing it asks every item again.",
        usd=saved,
    )


def _models(evidence: Evidence, spec: Spec, sums: Sums) -> Iterator[Advice]:
    """Name models that would have been cheaper for the same tokens."""
    if sums.unpriced or not sums.usd:
        return
    found = []
    own = evidence.catalogue.model(spec.model)
    for model in evidence.catalogue.models():
        if own is None or not fits(model, own, spec) or model.prices is None:
            continue
        factor = CHARS_PER_TOKEN[own.facts.tokenizer] / CHARS_PER_TOKEN[model.facts.tokenizer]
        usd = repriced(
            evidence.engine,
            evidence.of(spec),
            model.prices,
            factor,
            only=lambda name: evidence.is_own(spec, name),
        )
        if usd <= WORTH * sums.usd:
            found.append((usd, model.facts.id, factor))
    for usd, name, factor in sorted(found)[:NAMED_MODELS]:
        more = "" if factor == 1 else f" (counting {factor:.2f} tokens for each of these)"
        yield Advice(
            code="cheaper-model",
            spec=spec.name,
            message=f"The same tokens would have cost about ${money(usd)} with {name}, "
            f"uncached{more}, instead of ${money(sums.usd)} with {spec.model}. Whether its "
            "answers are as good, a sample tells: `batchspec run --sample 50` and "
            "`batchspec diff`.",
            usd=sums.usd - usd,
        )


def _round_up(tokens: int) -> int:
    """Return a round number of tokens, not below ``tokens``."""
    step = 16 if tokens <= 256 else 64 if tokens <= 1024 else 256  # noqa: PLR2004 - steps of taste
    return max(step, -(-tokens // step) * step)
