"""What collected answers cost and how long they were, summed up inside DuckDB.

One pass over the answer files gives the finest groups (spec, model, day, key); every report adds
those up, so that text, JSON, CSV and pages never disagree.
"""

# ruff: noqa: S608 - the names in this SQL are ours, and literals are quoted.

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from batchspec.api.catalogue import Catalogue
from batchspec.inputs.engine import Engine, quote_literal
from batchspec.outputs.hindsight import Hindsight
from batchspec.outputs.money import COST_TYPE, cost_expression, in_usd, search_units
from batchspec.plan.cost import ModelPrices, Rates
from batchspec.plan.model import Outcome
from batchspec.records import frozen

TOKENS: Final = (
    "input_tokens",
    "cache_write_5m",
    "cache_write_1h",
    "cache_read",
    "output_tokens",
    "thinking_tokens",
)
USABLE: Final = (Outcome.SUCCEEDED, Outcome.UNCHECKED)
WASTED: Final = (Outcome.INVALID, Outcome.REFUSED, Outcome.TRUNCATED)
"""Paid for without a usable answer."""
_COMPLETE: Final = (*USABLE, Outcome.INVALID)
"""Answers that came to their own end: their length says how many tokens are needed."""
_SOURCE: Final = "batchspec_spending"

Pricing = Callable[[str], ModelPrices | None]


@frozen
class Asked:
    """A collected submission, as the summary needs it."""

    tag: str
    path: Path
    """Its answer file."""
    spec: str
    """The spec that asked; empty for an adopted batch."""
    model: str
    """The model that the spec names now; stands in where an answer names none."""
    day: dt.date
    """UTC day on which the batch was made."""
    key: str
    """Label of the key that paid; empty when it is not known."""


@frozen
class Sums:
    """Added-up usage and money of some answers."""

    answers: int = 0
    """Result lines: answers, and errors that cost nothing."""
    succeeded: int = 0
    tokens: tuple[int, ...] = (0,) * len(TOKENS)
    """In the order of `TOKENS`."""
    usd: Decimal = Decimal(0)
    usd_uncached: Decimal = Decimal(0)
    """What the same tokens would have cost without prompt caching."""
    usd_wasted: Decimal = Decimal(0)
    """The part spent on answers that were refused, cut short or invalid."""
    usd_searches: Decimal = Decimal(0)
    """The part spent on web searches, of which a batch takes nothing off."""
    unpriced: int = 0
    """Answers whose model has no price on record: they are in no sum of money."""

    def __add__(self, other: Sums) -> Sums:
        """Return both together."""
        return Sums(
            answers=self.answers + other.answers,
            succeeded=self.succeeded + other.succeeded,
            tokens=tuple(a + b for a, b in zip(self.tokens, other.tokens, strict=True)),
            usd=self.usd + other.usd,
            usd_uncached=self.usd_uncached + other.usd_uncached,
            usd_wasted=self.usd_wasted + other.usd_wasted,
            usd_searches=self.usd_searches + other.usd_searches,
            unpriced=self.unpriced + other.unpriced,
        )

    def token(self, name: str) -> int:
        """Return one of `TOKENS`."""
        return self.tokens[TOKENS.index(name)]


@frozen
class Group:
    """The answers of one spec by one model on one day, paid by one key."""

    spec: str
    model: str
    day: dt.date
    key: str
    sums: Sums


@frozen
class Lengths:
    """How long the complete answers of one spec were, in output tokens."""

    answers: int
    median: int
    p95: int
    most: int
    truncated: int
    """Answers that were cut by a limit."""
    usd_truncated: Decimal


@frozen
class Advice:
    """One thing that could be changed."""

    code: str
    """What kind of advice: ``max-tokens``, ``truncated``, ``cheaper-model``, ``cache-loses``,
    ``window``."""
    spec: str
    """The spec it is for; empty: the project."""
    message: str
    """Full sentences, with the numbers it stands on."""
    usd: Decimal | None = None
    """What the answers on record would have cost less; None: it saves no money by itself."""


@frozen
class InFlight:
    """What is submitted and not collected yet."""

    requests: int = 0
    usd_max: Decimal | None = Decimal(0)
    """The highest it may cost; None: a price is not known."""


@frozen
class Spending:
    """What a project spent, and what it could save."""

    groups: tuple[Group, ...]
    """The finest groups, in the order of spec, model, day and key."""
    in_flight: InFlight
    advice: tuple[Advice, ...]
    prices_as_of: dt.date
    """The day of the shipped prices."""
    emulated: bool
    hindsights: tuple[Hindsight, ...] = ()
    """How far the last answered plan of each spec was off."""
    environment: str | None = None
    """The project's environment whose state it is; None: that of none."""


def spending(engine: Engine, asked: Sequence[Asked], catalogue: Catalogue) -> tuple[Group, ...]:
    """Return the finest groups, in the order of spec, model, day and key.

    Dated ids count as the model that they mean.
    """
    if not asked:
        return ()
    _open(engine, asked, catalogue.prices)
    usable, wasted = _in(USABLE), _in(WASTED)
    sums = ", ".join(f"sum({name})::BIGINT" for name in TOKENS)
    rows = engine.rows(f"""
        SELECT spec, model, day, key, count(*), count(*) FILTER ({usable}), coalesce(sum(usd), 0),
          coalesce(sum(usd_uncached), 0), coalesce(sum(usd) FILTER ({wasted}), 0),
          coalesce(sum(usd_searches), 0), count(*) FILTER (usd IS NULL), {sums}
        FROM {_SOURCE} GROUP BY ALL ORDER BY ALL
    """)
    found: dict[tuple[str, str, dt.date, str], Sums] = {}
    for spec, name, day, key, *figures in rows:
        model = catalogue.model(name)
        place = (spec, name if model is None else model.facts.id, day, key)
        found[place] = found.get(place, Sums()) + _sums(figures)
    return tuple(
        Group(spec=spec, model=model, day=day, key=key, sums=sums)
        for (spec, model, day, key), sums in sorted(found.items())
    )


def _sums(row: Sequence[Any]) -> Sums:
    return Sums(
        answers=row[0],
        succeeded=row[1],
        usd=Decimal(row[2]),
        usd_uncached=Decimal(row[3]),
        usd_wasted=Decimal(row[4]),
        usd_searches=Decimal(row[5]),
        unpriced=row[6],
        tokens=tuple(row[7:]),
    )


def lengths(engine: Engine, asked: Sequence[Asked], pricing: Pricing) -> dict[str, Lengths]:
    """Return how long the answers of each spec were; specs without a complete answer are absent."""
    if not asked:
        return {}
    _open(engine, asked, pricing)
    complete, cut = _in(_COMPLETE), _in((Outcome.TRUNCATED,))
    rows = engine.rows(f"""
        SELECT spec, count(*) FILTER ({complete}),
          quantile_disc(output_tokens, [0.5, 0.95]) FILTER ({complete}),
          max(output_tokens) FILTER ({complete}), count(*) FILTER ({cut}),
          coalesce(sum(usd) FILTER ({cut}), 0)
        FROM {_SOURCE} GROUP BY spec HAVING count(*) FILTER ({complete}) > 0 ORDER BY spec
    """)
    return {
        row[0]: Lengths(
            answers=row[1],
            median=row[2][0],
            p95=row[2][1],
            most=row[3],
            truncated=row[4],
            usd_truncated=Decimal(row[5]),
        )
        for row in rows
    }


@frozen
class Bin:
    """Complete answers of about one length."""

    upto: int
    """Output tokens: more than the bin before, and at most this."""
    answers: int


def length_bins(engine: Engine, asked: Sequence[Asked], spec: str) -> tuple[Bin, ...]:
    """Return one spec's complete answers by length; each bin is twice as wide as the one before."""
    own = [one for one in asked if one.spec == spec]
    if not own:
        return ()
    _open(engine, own, lambda _model: None)
    rows = engine.rows(f"""
        SELECT (2 ** ceil(log2(greatest(output_tokens, 1))))::BIGINT AS upto, count(*)
        FROM {_SOURCE} WHERE {_in(_COMPLETE)} GROUP BY upto ORDER BY upto
    """)
    return tuple(Bin(upto=upto, answers=answers) for upto, answers in rows)


def repriced(
    engine: Engine,
    asked: Sequence[Asked],
    prices: ModelPrices,
    factor: Decimal,
    *,
    only: Callable[[str], bool],
) -> Decimal:
    """Return what some answers would have cost at other prices, nothing cached.

    Args:
        engine: The engine.
        asked: The collected submissions.
        prices: The other model's.
        factor: Its tokens for the same text, as a multiple of those that were counted.
        only: Tells the models whose answers are meant.
    """
    scaled = _scaled(_flat(prices), factor)
    _open(engine, asked, lambda model: scaled if only(model) else None)
    return Decimal(engine.one(f"SELECT coalesce(sum(usd), 0) FROM {_SOURCE}")[0])


def without_cache(engine: Engine, asked: Sequence[Asked]) -> tuple[Asked, ...]:
    """Return the submissions of which no answer read the cache or wrote it."""
    if not asked:
        return ()
    files = ", ".join(quote_literal(str(one.path)) for one in asked)
    used = "cache_read::HUGEINT + cache_write_5m + cache_write_1h > 0"
    rows = engine.rows(f"SELECT DISTINCT submission FROM read_parquet([{files}]) WHERE {used}")
    warm = {tag for (tag,) in rows}
    return tuple(one for one in asked if one.tag not in warm)


def _open(engine: Engine, asked: Sequence[Asked], pricing: Pricing) -> None:
    """Make the view that all sums are taken from: one row for each result line."""
    files = ", ".join(quote_literal(str(one.path)) for one in asked)
    rows = ", ".join(_row(one) for one in asked)
    named = f"SELECT DISTINCT model FROM read_parquet([{files}]) WHERE model IS NOT NULL"
    models = sorted({row[0] for row in engine.rows(named)} | {one.model for one in asked})
    usd = _by_model(models, lambda name: cost_expression(pricing(name)))
    uncached = _by_model(models, lambda name: cost_expression(_flat_or_none(pricing(name))))
    searches = _by_model(models, lambda name: _searches(pricing(name)))
    engine.execute(f"""
        CREATE OR REPLACE VIEW {_SOURCE} AS
        SELECT *, CASE WHEN nothing THEN 0 ELSE {usd} END AS usd,
          CASE WHEN nothing THEN 0 ELSE {uncached} END AS usd_uncached,
          CASE WHEN nothing THEN 0 ELSE {searches} END AS usd_searches
        FROM (
          SELECT s.spec, s.day, s.key, coalesce(a.model, s.model) AS model, a.outcome,
            a.inference_geo, a.web_searches, {", ".join(f"a.{name}" for name in TOKENS)},
            {" + ".join(f"a.{name}::HUGEINT" for name in TOKENS)} = 0 AS nothing
          FROM read_parquet([{files}]) a
          JOIN (VALUES {rows}) s(tag, spec, day, key, model) ON s.tag = a.submission
        )
    """)


def _row(one: Asked) -> str:
    texts = ", ".join(quote_literal(text) for text in (one.key, one.model))
    day = f"DATE {quote_literal(one.day.isoformat())}"
    return f"({quote_literal(one.tag)}, {quote_literal(one.spec)}, {day}, {texts})"


def _searches(prices: ModelPrices | None) -> str:
    return f"NULL::{COST_TYPE}" if prices is None else in_usd(search_units(prices))


def _by_model(models: Iterable[str], amount: Callable[[str], str]) -> str:
    cases = "".join(f" WHEN {quote_literal(name)} THEN {amount(name)}" for name in models)
    return f"CASE model{cases} ELSE NULL::{COST_TYPE} END"


def _flat_or_none(prices: ModelPrices | None) -> ModelPrices | None:
    return None if prices is None else _flat(prices)


def _flat(prices: ModelPrices) -> ModelPrices:
    """Return prices at which a cached token costs as much as any other."""
    above = None if prices.above is None else _flat_rates(prices.above)
    return replace(prices, rates=_flat_rates(prices.rates), above=above)


def _flat_rates(rates: Rates) -> Rates:
    price = rates.input
    return replace(rates, cache_write_5m=price, cache_write_1h=price, cache_read=price)


def _scaled(prices: ModelPrices, factor: Decimal) -> ModelPrices:
    """Return prices for text of which another tokenizer makes ``factor`` times as many tokens."""

    def scaled(rates: Rates) -> Rates:
        return Rates(**{name: getattr(rates, name) * factor for name in Rates.__dataclass_fields__})

    above = None if prices.above is None else scaled(prices.above)
    step = None if prices.step_tokens is None else int(prices.step_tokens / factor)
    return replace(prices, rates=scaled(prices.rates), above=above, step_tokens=step)


def _in(outcomes: Iterable[Outcome]) -> str:
    return f"outcome IN ({', '.join(str(int(outcome)) for outcome in outcomes)})"
