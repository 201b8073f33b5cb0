"""Models, their limits and their prices, as data with a date.

The data are ``catalogue.json`` beside this module (fact sheet §4.1, §4.2, §6); a project's
``prices:`` wins over them. A model that is not on record has no facts and no price: the plan then
says so rather than guessing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from batchspec.plan.cost import ModelPrices, Rates
from batchspec.spec.facts import ModelFacts
from batchspec.spec.model import Prices

_WRITE_5M = Decimal("1.25")
_WRITE_1H = Decimal(2)
_READ = Decimal("0.1")
"""Factors on the input price where a project states none (fact sheet §4.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of the catalogue."""

    facts: ModelFacts
    prices: ModelPrices | None
    """None: not on record."""
    dated_ids: tuple[str, ...] = ()
    """Ids with a date that mean this model; answers may name either (fact sheet §12.7)."""
    released: dt.date | None = None
    retires_not_before: dt.date | None = None
    """The provider's floor; no retirement is announced by it."""
    thinking: tuple[str, ...] | None = None
    """Accepted ``thinking.type`` values; None: not on record."""
    effort_default: str | None = None
    forced_tool_choice: bool | None = None
    """Whether ``tool_choice`` any/tool is accepted; None: not on record."""


class Catalogue:
    """What is on record of models, by id and by dated id."""

    def __init__(
        self,
        *,
        as_of: dt.date,
        models: tuple[Model, ...],
        overrides: Mapping[str, Prices] = MappingProxyType({}),
    ) -> None:
        self.as_of = as_of
        """The day the data were collected."""
        self._models = {
            name: model for model in models for name in (model.facts.id, *model.dated_ids)
        }
        self._overrides = {name: self._overridden(name, own) for name, own in overrides.items()}

    def facts(self) -> Mapping[str, ModelFacts]:
        """Return the facts by model id, dated ids included."""
        return {name: model.facts for name, model in self._models.items()}

    def model(self, name: str) -> Model | None:
        """Return all that is on record of a model, or None."""
        return self._models.get(name)

    def prices(self, name: str) -> ModelPrices | None:
        """Return a model's prices; a project's own come first; None when nothing is on record.

        An override of the alias holds for its dated ids too.
        """
        model = self._models.get(name)
        names = (name,) if model is None else (name, model.facts.id, *model.dated_ids)
        for candidate in names:
            if candidate in self._overrides:
                return self._overrides[candidate]
        return None if model is None else model.prices

    def _overridden(self, name: str, own: Prices) -> ModelPrices:
        model = self._models.get(name)
        known = None if model is None else model.prices
        return ModelPrices(
            rates=Rates(
                input=own.input,
                output=own.output,
                cache_write_5m=_first(own.cache_write_5m, own.input * _WRITE_5M),
                cache_write_1h=_first(own.cache_write_1h, own.input * _WRITE_1H),
                cache_read=_first(own.cache_read, own.input * _read_factor(known)),
            ),
            geo=None if known is None else known.geo,
        )


def load_catalogue(overrides: Mapping[str, Prices] | None = None) -> Catalogue:
    """Return the shipped catalogue with a project's own prices laid over it."""
    as_of, models = _shipped()
    return Catalogue(as_of=as_of, models=models, overrides=overrides or {})


@cache
def _shipped() -> tuple[dt.date, tuple[Model, ...]]:
    text = (files("batchspec.api") / "catalogue.json").read_text(encoding="utf-8")
    data = json.loads(text)
    return dt.date.fromisoformat(data["as_of"]), tuple(_model(entry) for entry in data["models"])


def _model(entry: Mapping[str, Any]) -> Model:
    thinking = entry["thinking"]
    return Model(
        facts=_facts(entry),
        prices=_prices(entry["prices"]),
        dated_ids=tuple(entry["dated_ids"]),
        released=_date(entry["released"]),
        retires_not_before=_date(entry["retires_not_before"]),
        thinking=None if thinking is None else tuple(thinking),
        effort_default=entry["effort_default"],
        forced_tool_choice=entry["forced_tool_choice"],
    )


def _facts(entry: Mapping[str, Any]) -> ModelFacts:
    return ModelFacts(
        id=entry["id"],
        # Where the limit is not on record, the window is a bound that refuses nothing wrongly.
        max_output=entry["max_output"] or entry["context"],
        max_output_300k=entry["max_output_300k"],
        context=entry["context"],
        prefill=entry["prefill"],
        sampling=entry["sampling"],
        structured_outputs=entry["structured_outputs"],
        min_cache_tokens=entry["min_cache_tokens"],
        tokenizer=entry["tokenizer"],
        retires_at=_date(entry["retires_at"]),
        deprecated=entry["deprecated"],
    )


def _prices(entry: Mapping[str, Any] | None) -> ModelPrices | None:
    if entry is None:
        return None
    above = entry.get("above")
    geo = entry["geo"]
    return ModelPrices(
        rates=_rates(entry["rates"]),
        step_tokens=entry.get("step_tokens"),
        above=None if above is None else _rates(above),
        geo=None if geo is None else {name: Decimal(factor) for name, factor in geo.items()},
    )


def _rates(entry: Mapping[str, str]) -> Rates:
    return Rates(**{name: Decimal(value) for name, value in entry.items()})


def _date(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)


def _first(own: Decimal | None, fallback: Decimal) -> Decimal:
    return fallback if own is None else own


def _read_factor(known: ModelPrices | None) -> Decimal:
    return _READ if known is None else known.rates.cache_read / known.rates.input
