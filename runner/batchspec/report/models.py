"""What is known of models, as text and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from batchspec.report.figures import number, table
from batchspec.report.hygiene import clean_line
from batchspec.report.style import PLAIN, Style

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from batchspec.plan.cost import ModelPrices
    from batchspec.spec.facts import ModelFacts

FORMAT_VERSION = 1
UNBOUNDED = 10**9
"""Limits from here on stand for limits that nobody stated."""


class KnownModel(Protocol):
    """One model of the catalogue."""

    @property
    def facts(self) -> ModelFacts:
        """Limits and abilities."""

    @property
    def prices(self) -> ModelPrices | None:
        """None: not on record."""

    @property
    def dated_ids(self) -> tuple[str, ...]:
        """Ids with a date that mean this model."""

    @property
    def released(self) -> dt.date | None:
        """Its first day."""

    @property
    def retires_not_before(self) -> dt.date | None:
        """The provider's floor."""


def models_text(
    models: Sequence[KnownModel], notes: Sequence[str], today: dt.date, style: Style = PLAIN
) -> str:
    """Return a table of models with batch prices, and where the data are from."""
    head = ("model", "status", "context", "max output", "batch $/M in", "out", "data of")
    rows = [head, *(_row(model, today) for model in models)]
    first, *lines = table(rows)
    return "\n".join([style.bold(first), *lines, "", *notes]) + "\n"


def _row(model: KnownModel, today: dt.date) -> tuple[str, ...]:
    facts = model.facts
    return (
        clean_line(facts.id),
        status(facts, today),
        _limit(facts.context),
        "-" if _unstated(facts) else _limit(facts.max_output),
        *_prices(model.prices),
        "-" if facts.as_of is None else str(facts.as_of),
    )


def status(facts: ModelFacts, today: dt.date) -> str:
    """Return whether a model answers: active, deprecated with its last day, or retired.

    A last day that has passed does not mean that the model is gone: only the Models API's word for
    it does (fact sheet §8).
    """
    word = "retired" if facts.retired else "deprecated" if facts.deprecated else "active"
    if facts.retires_at is None or word != "deprecated":
        return word
    ends = "was to retire" if facts.retires_at <= today else "retires"
    return f"{word}, {ends} {facts.retires_at}"


def _unstated(facts: ModelFacts) -> bool:
    """Tell whether the longest output is not on record: then the window stands in for it."""
    return facts.max_output >= min(facts.context, UNBOUNDED)


def _limit(tokens: int) -> str:
    return "-" if tokens >= UNBOUNDED else number(tokens)


def _prices(prices: ModelPrices | None) -> tuple[str, str]:
    if prices is None:
        return "unknown", "unknown"
    return f"{prices.rates.input / 2:f}", f"{prices.rates.output / 2:f}"


def models_json(models: Sequence[KnownModel], *, refreshed: str | None) -> dict[str, Any]:
    """Return all that is known of models; USD per million tokens at standard price, as text."""
    return {
        "format_version": FORMAT_VERSION,
        "refreshed": refreshed,
        "models": [dict(_fields(model)) for model in models],
    }


def _fields(model: KnownModel) -> Iterator[tuple[str, Any]]:
    facts = model.facts
    yield "id", facts.id
    yield "dated_ids", list(model.dated_ids)
    yield "status", "retired" if facts.retired else "deprecated" if facts.deprecated else "active"
    yield "released", _date(model.released)
    yield "retires_at", _date(facts.retires_at)
    yield "retires_not_before", _date(model.retires_not_before)
    yield "context", None if facts.context >= UNBOUNDED else facts.context
    yield "max_output", None if _unstated(facts) else facts.max_output
    yield "min_cache_tokens", facts.min_cache_tokens
    yield "batch", facts.batch
    yield "structured_outputs", facts.structured_outputs
    yield "thinking", None if facts.thinking is None else list(facts.thinking)
    yield "prices", None if model.prices is None else _rates(model.prices)
    yield "as_of", _date(facts.as_of)


def _rates(prices: ModelPrices) -> dict[str, str]:
    rates = prices.rates
    return {
        "input": f"{rates.input:f}",
        "output": f"{rates.output:f}",
        "cache_write_5m": f"{rates.cache_write_5m:f}",
        "cache_write_1h": f"{rates.cache_write_1h:f}",
        "cache_read": f"{rates.cache_read:f}",
    }


def _date(day: dt.date | None) -> str | None:
    return None if day is None else str(day)
