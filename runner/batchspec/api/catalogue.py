"""Models, their limits and their prices, as data with a date.

The data are ``catalogue.json`` beside this module (fact sheet §4.1, §4.2, §6); a project's
``prices:`` and its own list of models (`spec.listed`) win over them. A model that is not on record
has no facts and no price: the plan then says so rather than guessing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from batchspec.plan.cost import WEB_SEARCHES, ModelPrices, Rates
from batchspec.records import frozen
from batchspec.spec.facts import UNBOUNDED, ModelFacts
from batchspec.spec.listed import ListedModel, ListedModels
from batchspec.spec.model import Prices

_WRITE_5M = Decimal("1.25")
_WRITE_1H = Decimal(2)
_READ = Decimal("0.1")
"""Factors on the input price where a project states none (fact sheet §4.1)."""


@frozen
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
    effort_default: str | None = None
    tool_prompt_tokens: tuple[int, int] | None = None
    """Tokens that tools add to a prompt: with a free choice, with a forced one (fact sheet §4.1);
    None: not on record."""


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
        self._all = models
        self._models = {
            name: model for model in models for name in (model.facts.id, *model.dated_ids)
        }
        self._overrides = {name: self._overridden(name, own) for name, own in overrides.items()}

    def facts(self) -> Mapping[str, ModelFacts]:
        """Return the facts by model id, dated ids included."""
        return {name: model.facts for name, model in self._models.items()}

    def models(self) -> tuple[Model, ...]:
        """Return all models, in the order of the catalogue; those of the project's list last."""
        return self._all

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
            web_searches=_first(own.web_searches, WEB_SEARCHES),
        )


def load_catalogue(
    overrides: Mapping[str, Prices] | None = None, listed: ListedModels | None = None
) -> Catalogue:
    """Return the shipped catalogue with a project's own prices and list of models laid over it."""
    as_of, models = _shipped()
    if listed is not None:
        models = _with_listed(models, listed)
    return Catalogue(as_of=as_of, models=models, overrides=overrides or {})


def _with_listed(models: tuple[Model, ...], listed: ListedModels) -> tuple[Model, ...]:
    """Lay what the Models API said over what was shipped; models only it knows come last."""
    said = {model.id: model for model in listed.models}
    merged = []
    for model in models:
        names = (model.facts.id, *model.dated_ids)
        own = next((said.pop(name) for name in names if name in said), None)
        merged.append(model if own is None else _corrected(model, own, listed.as_of))
    return (*merged, *(_corrected(_unheard(name), said[name], listed.as_of) for name in said))


def _corrected(model: Model, own: ListedModel, as_of: dt.date) -> Model:
    """Return a model with what the API said of it; on the rest the API is silent."""
    stated: dict[str, Any] = {
        "max_output": own.max_output,
        "context": own.context,
        "batch": own.batch,
        "structured_outputs": own.structured_outputs,
        "effort": own.effort,
        "efforts": own.efforts,
        "thinking": own.thinking,
    }
    facts = replace(model.facts, as_of=as_of, **{k: v for k, v in stated.items() if v is not None})
    if own.abilities is not None:
        facts = replace(facts, missing=frozenset(n for n, has in own.abilities.items() if not has))
    if own.lifecycle is not None:
        facts = replace(
            facts,
            deprecated=own.lifecycle != "active",
            retired=own.lifecycle == "retired",
            retires_at=own.retires_at,
        )
    return replace(model, facts=facts, released=own.released or model.released)


def _unheard(name: str) -> Model:
    """Return a model that was not shipped: what is not known of it refuses nothing.

    Every model since Opus 4.7 has the new tokenizer (fact sheet §7).
    """
    facts = ModelFacts(
        id=name,
        max_output=UNBOUNDED,
        max_output_300k=False,
        context=UNBOUNDED,
        prefill=True,
        sampling=True,
        structured_outputs=True,
        min_cache_tokens=None,
        tokenizer="new",
        retires_at=None,
        deprecated=False,
    )
    return Model(facts=facts, prices=None)


@cache
def _shipped() -> tuple[dt.date, tuple[Model, ...]]:
    text = (files("batchspec.api") / "catalogue.json").read_text(encoding="utf-8")
    data = json.loads(text)
    as_of = dt.date.fromisoformat(data["as_of"])
    return as_of, tuple(_model(entry, as_of) for entry in data["models"])


def _model(entry: Mapping[str, Any], as_of: dt.date) -> Model:
    return Model(
        facts=_facts(entry, as_of),
        prices=_prices(entry["prices"]),
        dated_ids=tuple(entry["dated_ids"]),
        released=_date(entry["released"]),
        retires_not_before=_date(entry["retires_not_before"]),
        effort_default=entry["effort_default"],
        tool_prompt_tokens=_pair(entry["tool_prompt_tokens"]),
    )


def _facts(entry: Mapping[str, Any], as_of: dt.date) -> ModelFacts:
    thinking = entry["thinking"]
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
        effort=entry["effort"],
        thinking=None if thinking is None else tuple(thinking),
        forced_tool_choice=entry["forced_tool_choice"],
        thinking_up_to_high=tuple(entry["thinking_up_to_high"]),
        geo=None if entry["prices"] is None else entry["prices"]["geo"] is not None,
        as_of=as_of,
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


def _pair(numbers: list[int] | None) -> tuple[int, int] | None:
    return None if numbers is None else (numbers[0], numbers[1])


def _first(own: Decimal | None, fallback: Decimal) -> Decimal:
    return fallback if own is None else own


def _read_factor(known: ModelPrices | None) -> Decimal:
    return _READ if known is None else known.rates.cache_read / known.rates.input
