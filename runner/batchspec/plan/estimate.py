"""What a plan would cost: at least, expected, at most, and without the batch discount.

Tokens are guessed from characters by tokenizer generation (fact sheet §7) and corrected by what
past answers of the same spec really used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from batchspec.plan.cost import (
    BATCH_FACTOR,
    ModelPrices,
    Rates,
    money,
    schema_output_tokens,
)
from batchspec.plan.hits import Shares
from batchspec.plan.model import Estimate
from batchspec.spec.facts import CHARS_PER_TOKEN

HIT_RATE = Decimal("0.3")
"""The low end of the documented 30 to 98 % cache hits in batches (fact sheet §5)."""
BEST_HIT_RATE = Decimal("0.98")
PRIMED_HIT_RATE = Decimal("0.9")
"""After a one-request primer batch; later batches then hit reliably (fact sheet §5)."""
PRIMER_SHARE = Decimal("0.95")
PRIMER_LEAST = Decimal("0.10")
"""A primer batch is sent when it saves a twentieth of the price and so many USD: it takes as long
as a batch takes, which nobody waits for to save a cent."""
REQUEST_TOKENS = 8
"""Overhead of roles and turns that no character of the text stands for."""
SCAFFOLD_CHARS = 90
"""Characters of a request's JSON that are names and punctuation rather than text."""
UNCALIBRATED = (Decimal("0.75"), Decimal("1.25"))
CALIBRATED = (Decimal("0.95"), Decimal("1.1"))
"""Least and most input tokens as a share of the guess, without and with past answers."""
MANY = 30
"""So many answers, or counted requests, make a guess a calibrated one."""
COLD_BATCH_NOTE = (
    "A cold batch may write its shared prefix more than once: the estimate expects 30 % cache "
    "hits, and the highest price none."
)
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What past answers of the same spec say about the guess."""

    input_ratio: Decimal = Decimal(1)
    """Real prompt tokens divided by guessed ones."""
    input_most: Decimal = Decimal(1)
    """The largest such ratio of one request; not below ``input_ratio``."""
    output_tokens: Decimal | None = None
    """Mean output tokens of an answer; None: no answers yet."""
    output_percentile: int = 0
    """95 % of the answers have at most so many output tokens."""
    hit_rate: Decimal | None = None
    """Share of cacheable prefixes that came from the cache; None: nothing was cached."""
    answers: int = 0
    """How many answers were looked at."""
    counted: int = 0
    """How many requests the API itself counted; the ratios are theirs then."""

    def spread(self) -> tuple[Decimal, Decimal]:
        """Return the least and the most input tokens as a share of the corrected guess.

        The most is what a ceiling stands on, so it follows the worst request seen.
        """
        if not self.answers and not self.counted:
            return UNCALIBRATED
        least, most = CALIBRATED if max(self.answers, self.counted) >= MANY else UNCALIBRATED
        return least, max(most, self.input_most / self.input_ratio)

    def notes(self) -> tuple[str, ...]:
        """Say what the estimate stands on, for the plan's reader."""
        notes = []
        ratio = f"{self.input_ratio.normalize():f} times"
        if self.counted:
            notes.append(
                f"The API counted the input tokens of {_requests(self.counted)}: "
                f"{ratio} what their characters suggest."
            )
        if self.answers:
            mean = (self.output_tokens or Decimal(0)).normalize()
            compared = "" if self.counted else f"{ratio} the input tokens that characters suggest, "
            notes.append(
                f"Calibrated by {self.answers:,} {'answer' if self.answers == 1 else 'answers'} "
                f"of this spec: {compared}"
                f"{mean:f} output tokens on average, 95 % of them at most "
                f"{self.output_percentile:,}."
            )
        return tuple(notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large the questions to submit are."""

    requests: int = 0
    chars: int = 0
    """Characters of all of them; see `estimate_chars`."""
    over_requests: int = 0
    """Those of them whose guessed prompt is longer than the model's price step."""
    over_chars: int = 0
    groups: int = 0
    """Different prefixes behind a breakpoint that an item variable reaches; 0: there is none."""
    marked_chars: int = 0
    """Characters of all of them that all items do not share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What an estimate needs to know of a spec."""

    max_tokens: int
    tokenizer: Literal["old", "new"]
    prices: ModelPrices | None
    geo: str | None = None
    """``params.inference_geo``."""
    prefix_chars: int = 0
    """Characters of the shared prefix before the cache breakpoint."""
    cache_ttl: Literal["5m", "1h"] | None = None
    """None: no breakpoint is placed."""
    group_ttl: Literal["5m", "1h"] | None = None
    """Lifetime of the breakpoint behind values of the item; None: there is none."""
    group_name: str = ""
    """What the spec calls the block before it."""
    min_cache_tokens: int | None = None
    """Shortest prefix that the model caches; None: not on record."""
    schema: Mapping[str, Any] | None = None
    primer: bool = False
    """One request may be sent first, alone, when that pays."""
    tool_tokens: int = 0
    """Tokens that the API adds to a request with tools (fact sheet §4.1)."""
    notes: tuple[str, ...] = ()
    """Remarks made while the prompt was compiled."""


def estimate_chars(params: bytes) -> int:
    """Return the characters of a request that count for its price.

    UTF-8 bytes rather than characters: a CJK character (three bytes) costs a token or more, a Latin
    one a quarter. Escaping backslashes and the request's own scaffolding cost nothing.
    """
    return max(1, len(params) - params.count(b"\\") - SCAFFOLD_CHARS)


def measured_ratio(tokens: int, chars: int, chars_per_token: Decimal) -> Decimal:
    """Return real prompt tokens, without the overhead of requests, by guessed ones.

    Rounded, so that it reads well and is the same on every machine.
    """
    ratio = Decimal(tokens) * chars_per_token / chars
    return max(ratio.quantize(Decimal("0.001")), Decimal("0.001"))


def by_count(
    known: Calibration, counted: Sequence[tuple[int, int]], tokenizer: Literal["old", "new"]
) -> Calibration:
    """Return a calibration whose input tokens are those that the API counted.

    Args:
        known: What past answers say; the rest of it stays.
        counted: Characters (`estimate_chars`) and input tokens of each counted request.
        tokenizer: The generation of the model's tokenizer.
    """
    per_token = CHARS_PER_TOKEN[tokenizer]
    net = [(chars, max(1, tokens - REQUEST_TOKENS)) for chars, tokens in counted]
    chars, tokens = (sum(column) for column in zip(*net, strict=True))
    ratio = measured_ratio(tokens, chars, per_token)
    most = max(measured_ratio(tokens, chars, per_token) for chars, tokens in net)
    return replace(known, input_ratio=ratio, input_most=max(ratio, most), counted=len(net))


def step_chars(job: Job, calibration: Calibration) -> int | None:
    """Return the characters from which a request is guessed to be over the price step, or None."""
    if job.prices is None or job.prices.step_tokens is None:
        return None
    tokens = Decimal(job.prices.step_tokens - REQUEST_TOKENS)
    return int(tokens * CHARS_PER_TOKEN[job.tokenizer] / calibration.input_ratio)


def estimate(sizes: Sizes, job: Job, calibration: Calibration | None = None) -> Estimate:
    """Return tokens and USD of submitting ``sizes``; every USD is None when a price is unknown."""
    if not sizes.requests:
        free = Decimal(0)
        return Estimate(
            usd=free, usd_min=free, usd_max=free, usd_without_batch=free, notes=job.notes
        )
    known = calibration or Calibration()
    shares = _shares(sizes, job, known)
    below = _class_of(sizes.requests - sizes.over_requests, sizes.chars - sizes.over_chars)
    over = _class_of(sizes.over_requests, sizes.over_chars)
    guesses = [_guess(part, job, known, shares) for part in (below, over)]
    notes = (*job.notes, *shares.notes(job.group_name), *known.notes())
    result = Estimate(
        input_tokens=int(sum(guess.input for guess in guesses)),
        output_tokens=int(sum(guess.output for guess in guesses)),
        notes=notes,
        answers=known.answers,
        counted=known.counted,
    )
    if job.prices is None:
        return replace(result, notes=(*notes, "The price of this model is unknown."))
    rates = (job.prices.rates, job.prices.above or job.prices.rates)
    least, most = known.spread()
    hits = HIT_RATE if known.hit_rate is None else known.hit_rate
    factor = BATCH_FACTOR * job.prices.geo_factor(job.geo)
    priced = list(zip(guesses, rates, strict=True))
    # A primer's batch writes what all share; what only some share is as cold as without it.
    at = shares.hits
    usd = sum((g.usd(r, job, at(hits)) for g, r in priced), Decimal(0)) * factor
    primed = sum((g.usd(r, job, at(PRIMED_HIT_RATE, hits)) for g, r in priced), Decimal(0)) * factor
    low = sum((g.least(least).usd(r, job, at(BEST_HIT_RATE)) for g, r in priced), Decimal(0))
    high = sum((g.most(most, job).usd(r, job, at(Decimal(0))) for g, r in priced), Decimal(0))
    cold = sum((g.usd(r, job, at(HIT_RATE)) for g, r in priced), Decimal(0)) * factor
    primer = job.primer and _pays(sizes, job, cold, primed)
    notes += _cache_notes(sizes, job, known, (cold if primer else usd, primed), primer=primer)
    usd = min(usd, primed) if primer else usd
    return replace(
        result,
        primer=primer,
        usd=usd,
        usd_min=min(usd, low * factor),
        usd_max=max(usd, high * factor),
        usd_without_batch=usd / BATCH_FACTOR,
        notes=notes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guess:
    """Tokens of the requests of one price class."""

    requests: int
    input: Decimal
    prefix: Decimal
    """The part of ``input`` before the breakpoint."""
    group: Decimal
    """The part of ``input`` between that and the breakpoint behind values of the item."""
    output: Decimal

    def least(self, factor: Decimal) -> _Guess:
        """Return the same with short prompts and one token per answer."""
        return _Guess(
            requests=self.requests,
            input=self.input * factor,
            prefix=self.prefix * factor,
            group=self.group * factor,
            output=min(self.output, Decimal(self.requests)),
        )

    def most(self, factor: Decimal, job: Job) -> _Guess:
        """Return the same with long prompts and answers as long as they may become."""
        return _Guess(
            requests=self.requests,
            input=self.input * factor,
            prefix=self.prefix * factor,
            group=self.group * factor,
            output=Decimal(self.requests * job.max_tokens),
        )

    def usd(self, rates: Rates, job: Job, hits: tuple[Decimal, Decimal]) -> Decimal:
        """Return USD at standard price when so many of the prefixes come from the cache.

        Args:
            rates: The model's.
            job: The spec's.
            hits: Of what all requests share, and of what only some share.
        """
        shared = _cached(rates, job.cache_ttl, hits[0])
        group = _cached(rates, job.group_ttl, hits[1])
        plain = self.input - self.prefix - self.group
        prompt = plain * rates.input + self.prefix * shared + self.group * group
        return (prompt + self.output * rates.output) / _MILLION


def _cached(rates: Rates, ttl: str | None, hit_rate: Decimal) -> Decimal:
    """Return the price of a token before a breakpoint."""
    if ttl is None:
        return rates.input
    write = rates.cache_write_1h if ttl == "1h" else rates.cache_write_5m
    return hit_rate * rates.cache_read + (1 - hit_rate) * write


def _class_of(requests: int, chars: int) -> Sizes:
    return Sizes(requests=requests, chars=chars)


def _shares(sizes: Sizes, job: Job, known: Calibration) -> Shares:
    per_char = known.input_ratio / CHARS_PER_TOKEN[job.tokenizer]
    return Shares(
        requests=sizes.requests,
        groups=sizes.groups if job.group_ttl else 0,
        shared=job.prefix_chars * per_char,
        marked=sizes.marked_chars * per_char / sizes.requests,
        minimum=job.min_cache_tokens,
    )


def _guess(sizes: Sizes, job: Job, known: Calibration, shares: Shares) -> _Guess:
    per_char = known.input_ratio / CHARS_PER_TOKEN[job.tokenizer]
    # What answers or the API's counter say of the same requests includes their tools.
    tools = job.tool_tokens if known.input_ratio == 1 else 0
    tokens = sizes.chars * per_char + (REQUEST_TOKENS + tools) * sizes.requests
    prefix = sizes.requests * job.prefix_chars * per_char if job.cache_ttl else Decimal(0)
    prefix = min(prefix, tokens)
    return _Guess(
        requests=sizes.requests,
        input=tokens,
        prefix=prefix,
        group=min(sizes.requests * shares.cached, tokens - prefix),
        output=sizes.requests * _expected_output(job, known),
    )


def _expected_output(job: Job, known: Calibration) -> Decimal:
    if known.output_tokens is not None:
        return min(known.output_tokens, Decimal(job.max_tokens))
    if job.schema is not None:
        return Decimal(min(schema_output_tokens(job.schema), job.max_tokens))
    return Decimal(job.max_tokens) / 2


def _pays(sizes: Sizes, job: Job, cold: Decimal, primed: Decimal) -> bool:
    """Tell whether a primer batch saves enough to be waited for.

    What past answers read from the cache says nothing here: they may have had a primer too.
    """
    if job.cache_ttl != "1h" or sizes.requests <= 1:
        return False
    return primed < cold * PRIMER_SHARE and cold - primed >= PRIMER_LEAST


def _cache_notes(
    sizes: Sizes,
    job: Job,
    known: Calibration,
    prices: tuple[Decimal, Decimal],
    *,
    primer: bool,
) -> tuple[str, ...]:
    """Say how cache hits are guessed, and what a primer batch makes of the price."""
    if job.cache_ttl is None or sizes.requests <= 1:
        return ()
    usd, primed = prices
    if primer:
        note = (
            "One request goes first, in a primer batch, so that the others can read the shared"
            f" prefix from the cache: about ${money(primed)} is expected with it and"
            f" ${money(usd)} without. The highest price expects no cache hit."
        )
        return (note,)
    hits = COLD_BATCH_NOTE
    if known.hit_rate is not None:
        hits = (
            f"The estimate expects {known.hit_rate:.0%} cache hits, as past answers had, and the "
            "highest price none."
        )
    notes = [hits]
    if primed < usd * PRIMER_SHARE:
        notes.append(
            f"With a one-request primer batch first, about ${money(primed)} is expected instead."
        )
    return tuple(notes)


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"
