"""Money, in decimals: what a result line cost and what a plan would cost.

Formula and rules: fact sheet §4.1. Prices themselves are data of `batchspec.api.catalogue`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from batchspec.records import frozen

BATCH_FACTOR = Decimal("0.5")
"""A batch halves every token category, cache writes and reads included (fact sheet §4.1)."""
WEB_SEARCHES = Decimal(10)
"""USD per 1,000 web searches; whether a batch halves it is not on record, so nothing is taken off
(fact sheet §4.1)."""
_THOUSAND = Decimal(1000)
_MILLION = Decimal(1_000_000)


@frozen
class Rates:
    """USD per million tokens at standard, not batch, price."""

    input: Decimal
    output: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal


@frozen
class ModelPrices:
    """What one model costs."""

    rates: Rates
    step_tokens: int | None = None
    """Prompts longer than this, cached parts included, are priced by ``above`` as a whole."""
    above: Rates | None = None
    geo: Mapping[str, Decimal] | None = None
    """Factor on every category by ``inference_geo``; None: the model refuses the parameter."""
    web_searches: Decimal = WEB_SEARCHES
    """USD per 1,000 web searches, in a batch too."""

    def rates_for(self, prompt_tokens: int) -> Rates:
        """Return the rates of a request with so many prompt tokens."""
        if self.step_tokens is None or self.above is None or prompt_tokens <= self.step_tokens:
            return self.rates
        return self.above

    def knows(self, geo: str | None) -> bool:
        """Tell whether the price of a region is on record; that of none is."""
        return geo is None or self.geo is None or geo in self.geo

    def geo_factor(self, geo: str | None) -> Decimal:
        """Return the factor of an ``inference_geo``; 1 when it is unset or not on record."""
        return Decimal(1) if geo is None else (self.geo or {}).get(geo, Decimal(1))


class Usage(NamedTuple):
    """Tokens of one answer as billed (fact sheet §1.8); a field the API left out is 0.

    A named tuple, not a dataclass: collecting makes millions of them.
    """

    input_tokens: int = 0
    """Prompt tokens that were neither written to nor read from the cache."""
    output_tokens: int = 0
    """Answer tokens, thinking included."""
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    thinking_tokens: int = 0
    """The part of ``output_tokens`` spent on thinking."""
    inference_geo: str | None = None
    """Where it ran; ``us`` costs 1.1 times as much (fact sheet §4.1)."""
    web_searches: int = 0
    """Searches of the web that the answer made; each costs by itself (fact sheet §4.1)."""

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt: what decides over the price step."""
        return self.input_tokens + self.cache_write_5m + self.cache_write_1h + self.cache_read


def usage_cost(
    usage: Usage,
    prices: ModelPrices | None,
    *,
    batch: bool = True,
    geo: str | None = None,
    refused: bool = False,
) -> Decimal | None:
    """Return the exact USD of one result line; None when the model's price is unknown.

    Args:
        usage: The tokens of the line; errored, canceled and expired lines cost nothing.
        prices: The model's prices.
        batch: Whether the batch discount applies.
        geo: The request's ``inference_geo``.
        refused: Whether it ended with ``stop_reason: refusal``: before any output, it is free.
    """
    if prices is None:
        return None
    if refused and usage.output_tokens == 0:
        return Decimal(0)
    rates = prices.rates_for(usage.prompt_tokens)
    total = (
        usage.input_tokens * rates.input
        + usage.cache_write_5m * rates.cache_write_5m
        + usage.cache_write_1h * rates.cache_write_1h
        + usage.cache_read * rates.cache_read
        + usage.output_tokens * rates.output
    )
    factor = BATCH_FACTOR if batch else Decimal(1)
    searched = usage.web_searches * prices.web_searches / _THOUSAND
    return total / _MILLION * factor * prices.geo_factor(geo) + searched


def money(amount: Decimal | None, *, rounding: str = ROUND_HALF_UP) -> str | None:
    """Return USD as text: four decimals, or two significant digits when that would hide it."""
    if amount is None:
        return None
    places = 4 if amount == 0 else max(4, 1 - amount.adjusted())
    return f"{amount.quantize(Decimal(1).scaleb(-places), rounding=rounding):f}"


def money_floor(amount: Decimal | None) -> str | None:
    """Return USD as text, rounded down: for amounts that are called "at least"."""
    return money(amount, rounding=ROUND_FLOOR)


def money_ceiling(amount: Decimal | None) -> str | None:
    """Return USD as text, rounded up: for amounts that are called "at most"."""
    return money(amount, rounding=ROUND_CEILING)


def schema_output_tokens(schema: Mapping[str, Any]) -> int:
    """Guess the tokens of an answer that satisfies a JSON Schema, from its leaves."""
    return 4 + _schema_tokens(schema, depth=0)


def _schema_tokens(schema: Any, *, depth: int) -> int:
    if not isinstance(schema, Mapping) or depth > 8:  # noqa: PLR2004 - deeper hardly matters
        return 4
    if options := schema.get("enum"):
        return 2 + max(len(str(option)) for option in options) // 4
    if properties := schema.get("properties"):
        names = sum(3 + len(str(name)) // 4 for name in properties)
        return names + sum(_schema_tokens(part, depth=depth + 1) for part in properties.values())
    if "items" in schema:
        return 3 * _schema_tokens(schema["items"], depth=depth + 1)
    for union in ("anyOf", "allOf", "oneOf"):
        if parts := schema.get(union):
            return max(_schema_tokens(part, depth=depth + 1) for part in parts)
    return 24 if schema.get("type") == "string" else 4
