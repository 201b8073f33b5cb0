"""The price of an answer as SQL, so that a million rows are priced inside DuckDB.

The same formula as `plan.cost.usage_cost` (fact sheet §4.1); a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Final, NamedTuple

from batchspec.inputs.engine import Engine, quote_literal
from batchspec.plan.cost import BATCH_FACTOR, ModelPrices, Rates
from batchspec.plan.model import Outcome

PLACES: Final = 12
"""Decimal places of a cost in USD: the cheapest token on record costs 5e-9."""
COST_TYPE: Final = f"DECIMAL(26,{PLACES})"

_UNIT: Final = Decimal(10) ** (PLACES - 6)
"""Prices are per million tokens; what stands in the SQL is whole units of 1e-12 USD per token."""
_PROMPT: Final = "(input_tokens::HUGEINT + cache_write_5m + cache_write_1h + cache_read)"


def cost_expression(prices: ModelPrices | None) -> str:
    """Return the SQL of an answer's cost in USD; NULL when the model's price is unknown.

    It reads the columns ``outcome``, ``inference_geo``, ``web_searches`` and those of the token
    counts.
    """
    if prices is None:
        return f"NULL::{COST_TYPE}"
    total = _by_geo(prices, prices.rates)
    if prices.step_tokens is not None and prices.above is not None:
        above = _by_geo(prices, prices.above)
        total = f"CASE WHEN {_PROMPT} > {prices.step_tokens} THEN {above} ELSE {total} END"
    total = f"({total} + {search_units(prices)})"
    # Refused before any output: shown in the usage, not on the bill (fact sheet §4.1).
    free = f"outcome = {int(Outcome.REFUSED)} AND output_tokens = 0"
    return in_usd(f"CASE WHEN {free} THEN 0 ELSE {total} END")


def search_units(prices: ModelPrices) -> str:
    """Return the SQL of what an answer's web searches cost, in units of 1e-12 USD."""
    each = (prices.web_searches / 1000).scaleb(PLACES)
    return f"web_searches::HUGEINT * {int(each.to_integral_value(rounding=ROUND_HALF_UP))}"


def in_usd(units: str) -> str:
    """Return the SQL of an amount in USD that is given in units of 1e-12 USD."""
    one = "0." + "1".rjust(PLACES, "0")
    return f"CAST(CAST({units} AS DECIMAL(26,0)) * CAST('{one}' AS DECIMAL(12,12)) AS {COST_TYPE})"


def spent(engine: Engine, answers: Iterable[Path], prices: ModelPrices | None) -> Decimal | None:
    """Return what the answers of some files cost, in USD; None when the price is unknown."""
    if prices is None:
        return None
    files = ", ".join(quote_literal(str(path)) for path in answers)
    if not files:
        return Decimal(0)
    total = f"SELECT sum({cost_expression(prices)}) FROM read_parquet([{files}])"  # noqa: S608 - quoted
    return Decimal(engine.one(total)[0] or 0)


class Use(NamedTuple):
    """Tokens of some answers."""

    input: int = 0
    """Of prompts, where no cache was used."""
    output: int = 0
    read: int = 0
    """Of prompts, from the cache."""
    written: int = 0
    """Of prompts, into the cache."""


def token_use(engine: Engine, answers: Iterable[Path]) -> Use:
    """Return the tokens of some answers."""
    files = ", ".join(quote_literal(str(path)) for path in answers)
    if not files:
        return Use()
    sums = (
        "sum(input_tokens), sum(output_tokens), sum(cache_read),"
        " sum(cache_write_5m::HUGEINT + cache_write_1h)"
    )
    row = engine.one(f"SELECT {sums} FROM read_parquet([{files}])")  # noqa: S608 - quoted
    return Use(*(int(value or 0) for value in row))


def _by_geo(prices: ModelPrices, rates: Rates) -> str:
    total = _total(rates, Decimal(1))
    for geo, factor in sorted((prices.geo or {}).items()):
        case = f"inference_geo = {quote_literal(geo)}"
        total = f"CASE WHEN {case} THEN {_total(rates, factor)} ELSE {total} END"
    return total


def _total(rates: Rates, factor: Decimal) -> str:
    columns = {
        "input_tokens": rates.input,
        "cache_write_5m": rates.cache_write_5m,
        "cache_write_1h": rates.cache_write_1h,
        "cache_read": rates.cache_read,
        "output_tokens": rates.output,
    }
    terms = (f"{column}::HUGEINT * {_units(price, factor)}" for column, price in columns.items())
    return f"({' + '.join(terms)})"


def _units(price: Decimal, factor: Decimal) -> int:
    exact = price * BATCH_FACTOR * factor * _UNIT
    return int(exact.to_integral_value(rounding=ROUND_HALF_UP))
