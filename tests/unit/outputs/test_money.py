"""The SQL of a cost against the formula in Python."""

# ruff: noqa: S608 - the SQL is the tests' own.

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchspec.api.catalogue import load_catalogue
from batchspec.inputs.engine import Engine
from batchspec.outputs.money import cost_expression
from batchspec.plan.cost import ModelPrices, Usage, usage_cost
from batchspec.plan.model import Outcome


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Yield one engine for all cases."""
    folder = tmp_path_factory.mktemp("money")
    with Engine.open(root=folder, temp=folder / "tmp") as opened:
        yield opened


def priced(
    engine: Engine, usage: Usage, prices: ModelPrices | None, outcome: Outcome, geo: str | None
) -> Decimal | None:
    """Return what SQL says an answer cost."""
    columns = ", ".join(
        f"{getattr(usage, name)}::UINTEGER AS {name}"
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_write_5m",
            "cache_write_1h",
            "cache_read",
            "web_searches",
        )
    )
    where = "NULL::VARCHAR" if geo is None else f"'{geo}'"
    row = f"SELECT {columns}, {int(outcome)} AS outcome, {where} AS inference_geo"
    found: Decimal | None = engine.one(f"SELECT {cost_expression(prices)} FROM ({row})")[0]
    return found


TOKENS = st.integers(0, 200_000) | st.sampled_from([0, 1, 100_000, 100_001, 2**32 - 1])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    model=st.sampled_from(["claude-haiku-4-5", "claude-haiku-5-5", "claude-opus-5-5"]),
    usage=st.builds(
        Usage,
        input_tokens=TOKENS,
        output_tokens=TOKENS,
        cache_write_5m=TOKENS,
        cache_write_1h=TOKENS,
        cache_read=TOKENS,
        web_searches=st.integers(0, 50),
    ),
    outcome=st.sampled_from([Outcome.SUCCEEDED, Outcome.REFUSED, Outcome.TRUNCATED]),
    geo=st.sampled_from([None, "us", "global", "mars"]),
)
def test_sql_and_python_agree(
    engine: Engine, model: str, usage: Usage, outcome: Outcome, geo: str | None
) -> None:
    """To the last of twelve decimals, price steps and regions included."""
    prices = load_catalogue({}).prices(model)
    assert prices is not None
    expected = usage_cost(usage, prices, geo=geo, refused=outcome is Outcome.REFUSED)
    assert priced(engine, usage, prices, outcome, geo) == expected


def test_unknown_price_is_null(engine: Engine) -> None:
    """No price is never a price of nothing."""
    assert priced(engine, Usage(input_tokens=5), None, Outcome.SUCCEEDED, None) is None
