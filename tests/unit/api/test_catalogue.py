from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest

from batchspec.api.catalogue import load_catalogue
from batchspec.plan.cost import Usage, usage_cost
from batchspec.spec.model import Prices

# Fact sheet §4.1: input, 5m write, 1h write, cache read, output, each at batch price.
BATCH_PRICES = """
claude-fable-5-2   4    5     8    0.10  20
claude-mythos-5-2  4    5     8    0.10  20
claude-fable-5-1   5    6.25  10   0.125 25
claude-mythos-5-1  5    6.25  10   0.125 25
claude-fable-5     5    6.25  10   0.50  25
claude-mythos-5    5    6.25  10   0.50  25
claude-opus-5-5    2    2.50  4    0.10  10
claude-opus-5      2.50 3.125 5    0.25  12.50
claude-opus-4-8    2.50 3.125 5    0.25  12.50
claude-opus-4-7    2.50 3.125 5    0.25  12.50
claude-opus-4-6    2.50 3.125 5    0.25  12.50
claude-opus-4-5    2.50 3.125 5    0.25  12.50
claude-sonnet-5-5  1    1.25  2    0.05  5
claude-sonnet-5    1    1.25  2    0.10  5
claude-sonnet-4-6  1.50 1.875 3    0.15  7.50
claude-sonnet-4-5  1.50 1.875 3    0.15  7.50
claude-haiku-4-5   0.50 0.625 1    0.05  2.50
"""
# Fact sheet §4.2: context and most output in thousands, 300K beta, least cacheable tokens.
WINDOWS = """
claude-fable-5-2   1000 128 no  -
claude-fable-5-1   1000 128 no  512
claude-fable-5     1000 128 no  512
claude-opus-5-5    1000 128 yes 512
claude-opus-5      1000 128 yes 512
claude-opus-4-8    1000 128 yes 1024
claude-opus-4-7    1000 128 yes 2048
claude-opus-4-6    1000 128 yes 4096
claude-opus-4-5    200  64  no  4096
claude-sonnet-5-5  1000 128 yes 512
claude-sonnet-5    1000 128 yes 1024
claude-sonnet-4-6  1000 128 yes 1024
claude-sonnet-4-5  200  64  no  1024
claude-haiku-5-5   1000 128 yes 512
claude-haiku-4-5   200  64  no  4096
"""
CATEGORIES = ("input_tokens", "cache_write_5m", "cache_write_1h", "cache_read", "output_tokens")


@pytest.mark.parametrize("line", BATCH_PRICES.strip().splitlines())
def test_batch_prices_are_those_of_the_fact_sheet(line: str) -> None:
    """A million tokens of each category cost in a batch what the table says."""
    name, *amounts = line.split()
    prices = load_catalogue().prices(name)
    for category, amount in zip(CATEGORIES, amounts, strict=True):
        tokens: dict[str, Any] = {category: 1_000_000}
        assert usage_cost(Usage(**tokens), prices) == Decimal(amount), category


@pytest.mark.parametrize(
    ("tokens", "expected"), [(100_000, "0.005"), (100_001, "0.02500025"), (1_000_000, "0.25")]
)
def test_haiku_5_5_has_a_step(tokens: int, expected: str) -> None:
    """Beyond 100,000 prompt tokens the whole request is five times as dear."""
    prices = load_catalogue().prices("claude-haiku-5-5")
    assert usage_cost(Usage(input_tokens=tokens), prices) == Decimal(expected)


@pytest.mark.parametrize("line", WINDOWS.strip().splitlines())
def test_windows_are_those_of_the_fact_sheet(line: str) -> None:
    """Context, most output, the 300K beta and the least cacheable prefix."""
    name, context, output, beta, least = line.split()
    facts = load_catalogue().facts()[name]
    assert facts.context == int(context) * 1000
    assert facts.max_output == int(output) * 1000
    assert facts.max_output_300k == (beta == "yes")
    assert facts.min_cache_tokens == (None if least == "-" else int(least))


@pytest.mark.parametrize(
    ("name", "prefill", "sampling", "tokenizer"),
    [
        ("claude-haiku-4-5", True, True, "old"),
        ("claude-sonnet-4-5", True, True, "old"),
        ("claude-opus-4-6", False, True, "old"),
        ("claude-opus-4-7", False, False, "new"),
        ("claude-sonnet-5", False, False, "new"),
        ("claude-haiku-5-5", False, False, "new"),
        ("claude-mythos-5-2", False, False, "new"),
    ],
)
def test_abilities_follow_the_generation(
    *, name: str, prefill: bool, sampling: bool, tokenizer: str
) -> None:
    """Prefill ended with 4.6, sampling parameters and the old tokenizer with Opus 4.7."""
    facts = load_catalogue().facts()[name]
    assert (facts.prefill, facts.sampling, facts.tokenizer) == (prefill, sampling, tokenizer)


def test_only_announced_retirements_are_dates() -> None:
    """A floor that has passed does not make a living model look retired."""
    facts = load_catalogue().facts()
    assert facts["claude-sonnet-4-5"].retires_at == dt.date(2026, 11, 30)
    assert facts["claude-sonnet-4-5"].deprecated
    assert facts["claude-haiku-4-5"].retires_at is None
    assert facts["claude-opus-4-5"].retires_at is None
    floor = load_catalogue().model("claude-haiku-4-5")
    assert floor is not None
    assert floor.retires_not_before == dt.date(2026, 10, 15)


@pytest.mark.parametrize(
    ("dated", "alias"),
    [
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
    ],
)
def test_dated_ids_mean_their_alias(dated: str, alias: str) -> None:
    """Answers may name the dated id although the alias was asked."""
    own = Prices(input=Decimal(7), output=Decimal(9))
    catalogue = load_catalogue({alias: own})
    assert catalogue.facts()[dated].id == alias
    assert catalogue.prices(dated) == catalogue.prices(alias)
    assert load_catalogue({dated: own}).prices(alias) == catalogue.prices(alias)


def test_a_project_price_wins_and_fills_in_cache_rates() -> None:
    """Stated rates are taken as they are, others follow the known or the usual factors."""
    catalogue = load_catalogue(
        {
            "claude-opus-5-5": Prices(input=Decimal(2), output=Decimal(10)),
            "house-model": Prices(input=Decimal(1), output=Decimal(2), cache_read=Decimal("0.5")),
        }
    )
    opus, house = catalogue.prices("claude-opus-5-5"), catalogue.prices("house-model")
    assert opus is not None
    assert house is not None
    assert opus.rates.cache_read == Decimal("0.1")
    assert opus.rates.cache_write_1h == 4
    assert opus.geo_factor("us") == Decimal("1.1")
    assert (house.rates.cache_read, house.rates.cache_write_5m) == (Decimal("0.5"), Decimal("1.25"))
    assert "house-model" not in catalogue.facts()


@pytest.mark.parametrize("name", ["claude-mythos-preview", "gpt-9", ""])
def test_what_is_not_on_record_has_no_price(name: str) -> None:
    """Nothing is guessed."""
    assert load_catalogue().prices(name) is None


def test_the_data_are_complete_and_exact() -> None:
    """Every model states every field, amounts are text, and the data carry their date."""
    data: dict[str, Any] = json.loads(
        (files("batchspec.api") / "catalogue.json").read_text(encoding="utf-8")
    )
    fields = {tuple(model) for model in data["models"]}
    assert len(fields) == 1
    assert load_catalogue().as_of == dt.date(2026, 11, 22)
    for model in data["models"]:
        for rates in (model["prices"] or {}).values():
            values = rates.values() if isinstance(rates, dict) else [str(rates)]
            assert all(isinstance(value, str) for value in values)
    assert {"claude-fable-5-2", "claude-mythos-preview"} <= set(load_catalogue().facts())
