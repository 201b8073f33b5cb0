"""What a plan would cost: at least, expected, at most, and without the batch discount.

Tokens are guessed from characters by tokenizer generation (fact sheet §7) and corrected by what
past answers of the same spec really used.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Literal

from batchspec.plan.calibration import MANY, REQUEST_TOKENS, Calibration
from batchspec.plan.cost import BATCH_FACTOR, ModelPrices, Rates, money, schema_output_tokens
from batchspec.plan.filesizes import file_notes, tool_tokens
from batchspec.plan.hits import Shares
from batchspec.plan.model import Estimate
from batchspec.plan.sizes import Job, Sizes
from batchspec.records import frozen
from batchspec.spec.facts import CHARS_PER_TOKEN

HIT_RATE = Decimal("0.3")
"""The low end of the documented 30 to 98 % cache hits in batches (fact sheet §5)."""
WARM = (Decimal(1), Decimal(1))
"""The hits of a run whose prefixes are all in the cache already: an earlier run, or another spec,
may have written them within their lifetime."""
PRIMED_HIT_RATE = Decimal("0.9")
"""After a one-request primer batch; later batches then hit reliably (fact sheet §5)."""
PRIMER_SHARE = Decimal("0.95")
PRIMER_LEAST = Decimal("0.10")
"""A primer batch is sent when it saves a twentieth of the price and so many USD: it takes as long
as a batch takes, which nobody waits for to save a cent."""
SCAFFOLD_CHARS = 90
"""Characters of a request's JSON that are names and punctuation rather than text."""
COLD_BATCH_NOTE = (
    "A cold batch may write its shared prefix more than once: the estimate expects 30 % cache "
    "hits, and the highest price none."
)
_MILLION = Decimal(1_000_000)


def estimate_chars(params: bytes) -> int:
    """Return the characters of a request that count for its price.

    UTF-8 bytes rather than characters: a CJK character (three bytes) costs a token or more, a Latin
    one a quarter. Escaping backslashes and the request's own scaffolding cost nothing.
    """
    return max(1, len(params) - params.count(b"\\") - SCAFFOLD_CHARS)


def estimate(
    sizes: Sizes,
    job: Job,
    calibration: Calibration | None = None,
    highest: Sizes | None = None,
) -> Estimate:
    """Return tokens and USD of submitting ``sizes``; every USD is None when a price is unknown.

    Args:
        sizes: Summed up by `filesizes.expected_weights`.
        job: The spec.
        calibration: What is known of requests like these.
        highest: The same requests, summed up by `filesizes.highest_weights`; None: as ``sizes``.
    """
    if not sizes.requests:
        free = Decimal(0)
        return Estimate(
            usd=free, usd_min=free, usd_max=free, usd_without_batch=free, notes=job.notes
        )
    known = calibration or Calibration()
    shares = _shares(sizes, job, known)
    guesses = [_guess(part, job, known, shares) for part in _classes(sizes)]
    least, most = known.spread()
    written = _written(job, known, most)
    margin = replace(shares, margin=most)
    longest = [_guess(part, written, known, margin) for part in _classes(highest or sizes)]
    notes = (
        *job.notes,
        *shares.notes(job.group_name),
        *known.notes(),
        *file_notes(sizes, job, known),
    )
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
    hits = HIT_RATE if known.hit_rate is None else known.hit_rate
    factor = BATCH_FACTOR * job.prices.geo_factor(job.geo)
    priced = list(zip(guesses, rates, strict=True))
    # A primer's batch writes what all share; what only some share is as cold as without it.
    at = shares.hits
    usd = sum((g.usd(r, job, at(hits)) for g, r in priced), Decimal(0)) * factor
    primed = sum((g.usd(r, job, at(PRIMED_HIT_RATE, hits)) for g, r in priced), Decimal(0)) * factor
    low = sum((g.least(least).usd(r, job, WARM) for g, r in priced), Decimal(0))
    high = sum(
        (
            guess.most(most, job).usd(r, written, at(Decimal(0)), job.dearest_ttl)
            for guess, r in zip(longest, rates, strict=True)
        ),
        Decimal(0),
    )
    cold = sum((g.usd(r, job, at(HIT_RATE)) for g, r in priced), Decimal(0)) * factor
    primer = job.primer and _pays(sizes, job, cold, primed)
    notes += _cache_notes(sizes, job, known, (cold if primer else usd, primed), primer=primer)
    usd = min(usd, primed) if primer else usd
    searches, most_searches = _searches(sizes, job, known, job.prices)
    return replace(
        result,
        primer=primer,
        usd=usd + searches,
        usd_min=min(usd, low * factor),
        usd_max=max(usd, high * factor) + most_searches,
        usd_without_batch=usd / BATCH_FACTOR + searches,
        notes=notes,
    )


def _written(job: Job, known: Calibration, most: Decimal) -> Job:
    """Return the job with the prefix that may be long enough to be written to the cache."""
    if job.short_prefix is None:
        return job
    chars, ttl = job.short_prefix
    tokens = chars * known.input_ratio / CHARS_PER_TOKEN[job.tokenizer] * most
    if tokens < (job.min_cache_tokens or 0):
        return job
    return replace(job, prefix_chars=chars, cache_ttl=ttl)


def _searches(
    sizes: Sizes, job: Job, known: Calibration, prices: ModelPrices
) -> tuple[Decimal, Decimal]:
    """Return the expected and the highest price of web searches; see `unbounded_note`."""
    if not job.searches_web:
        return Decimal(0), Decimal(0)
    each = sizes.requests * prices.web_searches / 1000
    most = Decimal(known.most_searches if job.most_searches is None else job.most_searches)
    return each * min(known.searches, most), each * most


def unbounded_note(job: Job, known: Calibration) -> str:
    """Say what of server tools the highest price leaves out; empty: nothing, or it was measured."""
    if not job.server_tools or known.answers >= MANY:
        return ""
    text = (
        f"What the API's own tools read ({', '.join(job.server_tools)}) becomes part of the prompt"
        " and is paid as input; no fact says how much that is, so the highest price leaves it out."
    )
    if not job.searches_web:
        return text
    if job.most_searches is None:
        return f"{text} It leaves out the fees of web searches, too; `max_uses` limits them."
    return f"{text} It counts {job.most_searches:,} web searches a request."


@frozen
class _Guess:
    """Tokens of the requests of one price class."""

    requests: int
    input: Decimal
    prefix: Decimal
    """The part of ``input`` before the breakpoint."""
    group: Decimal
    """The part of ``input`` between that and the breakpoint behind values of the item."""
    files: Decimal
    """The part of ``input`` that files of unknown size are taken for."""
    tools: Decimal
    """The part of ``input`` that the API is said to add for tools: only ever a guess."""
    output: Decimal

    def least(self, factor: Decimal) -> _Guess:
        """Return the same with short prompts, next to nothing in files, and one token an answer.

        What the API adds for tools is left out: it may be read from the cache, too.
        """
        return _Guess(
            requests=self.requests,
            input=max(self.input - self.files - self.tools, self.prefix + self.group) * factor,
            prefix=self.prefix * factor,
            group=self.group * factor,
            files=Decimal(0),
            tools=Decimal(0),
            output=min(self.output, Decimal(self.requests)),
        )

    def most(self, factor: Decimal, job: Job) -> _Guess:
        """Return the same with long prompts and answers as long as they may become."""
        return _Guess(
            requests=self.requests,
            input=self.input * factor,
            prefix=self.prefix * factor,
            group=self.group * factor,
            files=self.files * factor,
            tools=self.tools * factor,
            output=Decimal(self.requests * job.max_tokens),
        )

    def usd(
        self,
        rates: Rates,
        job: Job,
        hits: tuple[Decimal, Decimal],
        files_ttl: Literal["5m", "1h"] | None = None,
    ) -> Decimal:
        """Return USD at standard price when so many of the prefixes come from the cache.

        Args:
            rates: The model's.
            job: The spec's.
            hits: Of what all requests share, and of what only some share.
            files_ttl: For how long files of unknown size are written to the cache, wherever they
                stand; None: they are not.
        """
        shared = _cached(rates, job.cache_ttl, hits[0])
        group = _cached(rates, job.group_ttl, hits[1])
        plain = self.input - self.prefix - self.group - self.files
        prompt = plain * rates.input + self.prefix * shared + self.group * group
        prompt += self.files * _cached(rates, files_ttl, Decimal(0))
        return (prompt + self.output * rates.output) / _MILLION


def _cached(rates: Rates, ttl: str | None, hit_rate: Decimal) -> Decimal:
    """Return the price of a token before a breakpoint."""
    if ttl is None:
        return rates.input
    write = rates.cache_write_1h if ttl == "1h" else rates.cache_write_5m
    return hit_rate * rates.cache_read + (1 - hit_rate) * write


def _classes(sizes: Sizes) -> tuple[Sizes, Sizes]:
    """Return the requests below the model's price step, and those over it."""
    over = Sizes(
        requests=sizes.over_requests, chars=sizes.over_chars, file_chars=sizes.over_file_chars
    )
    below = Sizes(
        requests=sizes.requests - over.requests,
        chars=sizes.chars - over.chars,
        file_chars=sizes.file_chars - over.file_chars,
    )
    return below, over


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
    overhead = REQUEST_TOKENS + tool_tokens(job, known)
    text = sizes.chars * per_char + overhead * sizes.requests
    files = sizes.file_chars * per_char
    prefix = sizes.requests * job.prefix_chars * per_char if job.cache_ttl else Decimal(0)
    prefix = min(prefix, text)
    return _Guess(
        requests=sizes.requests,
        input=text + files,
        prefix=prefix,
        group=min(sizes.requests * shares.cached, text - prefix),
        files=files,
        tools=Decimal(tool_tokens(job, known) * sizes.requests),
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
    return primer_pays(cold, primed)


def primer_pays(cold: Decimal, primed: Decimal) -> bool:
    """Tell whether the price with a primer batch is so much lower that one is sent."""
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
