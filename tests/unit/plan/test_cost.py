from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.plan import cost
from batchspec.plan.cost import ModelPrices, Rates, Usage

HAIKU_55 = ModelPrices(
    rates=Rates(
        input=Decimal("0.10"),
        output=Decimal("0.50"),
        cache_write_5m=Decimal("0.125"),
        cache_write_1h=Decimal("0.20"),
        cache_read=Decimal("0.01"),
    ),
    step_tokens=100_000,
    above=Rates(
        input=Decimal("0.50"),
        output=Decimal("2.50"),
        cache_write_5m=Decimal("0.625"),
        cache_write_1h=Decimal("1.00"),
        cache_read=Decimal("0.05"),
    ),
    geo={"global": Decimal(1), "us": Decimal("1.1")},
)


@pytest.mark.parametrize(
    ("usage", "options", "expected"),
    [
        (Usage(input_tokens=1_000_000 // 20), {}, "0.0025"),
        (Usage(input_tokens=50_000, output_tokens=1000), {}, "0.00275"),
        (Usage(input_tokens=50_000, output_tokens=1000), {"batch": False}, "0.0055"),
        (Usage(input_tokens=50_000, output_tokens=1000), {"geo": "us"}, "0.003025"),
        (Usage(input_tokens=50_000, output_tokens=1000), {"geo": "global"}, "0.00275"),
        (Usage(cache_write_5m=80_000), {}, "0.005"),
        (Usage(cache_write_1h=80_000), {}, "0.008"),
        (Usage(cache_read=80_000), {}, "0.0004"),
        (Usage(input_tokens=100_000, output_tokens=10), {}, "0.0050025"),
        (Usage(input_tokens=100_001, output_tokens=10), {}, "0.02501275"),
        (Usage(input_tokens=1, cache_read=60_000, cache_write_1h=40_000), {}, "0.02150025"),
        (Usage(input_tokens=50_000, web_searches=3), {}, "0.0325"),
        (Usage(input_tokens=50_000, web_searches=3), {"geo": "us"}, "0.03275"),
        (Usage(input_tokens=500), {"refused": True}, "0"),
        (Usage(input_tokens=50_000, output_tokens=1000), {"refused": True}, "0.00275"),
    ],
)
def test_a_result_line_costs_what_the_formula_says(
    usage: Usage, options: dict[str, Any], expected: str
) -> None:
    """Every category, the step, the discount and the region count exactly, in decimals."""
    assert cost.usage_cost(usage, HAIKU_55, **options) == Decimal(expected)


def test_unknown_price_is_unknown() -> None:
    """A line of an unpriced model has no cost rather than a guessed one."""
    assert cost.usage_cost(Usage(input_tokens=10), None) is None


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.0000"),
        ("0.00286", "0.0029"),
        ("0.00045", "0.00045"),
        ("0.0000012345", "0.0000012"),
        ("0.42", "0.4200"),
        ("12", "12.0000"),
        ("1234567.00005", "1234567.0001"),
        ("0.00004999", "0.000050"),
    ],
)
def test_money_has_four_decimals_or_two_digits(amount: str, text: str) -> None:
    """Amounts read alike and tiny ones do not vanish."""
    assert cost.money(Decimal(amount)) == text


@given(st.decimals(min_value=0, max_value=10**6, places=9))
def test_bounds_stay_bounds_when_written(amount: Decimal) -> None:
    """An amount called "at most" is never written smaller, "at least" never larger."""
    high, low = cost.money_ceiling(amount), cost.money_floor(amount)
    assert high is not None
    assert low is not None
    assert Decimal(low) <= amount <= Decimal(high)
    assert cost.money(amount, rounding=ROUND_CEILING) == high


def test_unknown_money_stays_unknown() -> None:
    """No text pretends to be a price."""
    assert cost.money(None) is None


@pytest.mark.parametrize(
    ("schema", "low", "high"),
    [
        ({"enum": ["high", "low"]}, 4, 12),
        (
            {"type": "object", "properties": {"label": {"enum": ["high", "low"]}}},
            8,
            20,
        ),
        ({"type": "array", "items": {"type": "string"}}, 40, 100),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, 20, 40),
        ({"type": "integer"}, 4, 12),
    ],
)
def test_output_guess_follows_the_schema(schema: dict[str, Any], low: int, high: int) -> None:
    """A label is guessed as a few tokens, a list of texts as more."""
    assert low <= cost.schema_output_tokens(schema) <= high
