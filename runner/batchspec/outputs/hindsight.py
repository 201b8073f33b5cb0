"""How far a plan was off: what it expected of some requests, beside what their answers used."""

# ruff: noqa: S608 - the names in this SQL are ours, and literals are quoted.

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from batchspec.inputs.engine import Engine, quote_literal
from batchspec.outputs.money import PLACES, cost_expression
from batchspec.plan.cost import ModelPrices, money
from batchspec.records import frozen
from batchspec.state.history import Expectation

_FINE = Decimal(1).scaleb(-PLACES)
_PROMPT = "input_tokens::BIGINT + cache_write_5m + cache_write_1h + cache_read"


@frozen
class Hindsight:
    """What the last plan of a spec expected for so many answers, and what they used."""

    spec: str
    answers: int
    expected: Expectation
    """Of as many requests as the plan had."""
    input_tokens: int
    """Of their prompts, cached parts included."""
    output_tokens: int
    usd: Decimal | None
    """What was paid; None: a price is not known."""

    @property
    def usd_expected(self) -> Decimal | None:
        """The expected price of as many answers."""
        return self._share(self.expected.usd)

    @property
    def usd_max(self) -> Decimal | None:
        """The highest price of as many answers."""
        return self._share(self.expected.usd_max)

    @property
    def usd_off(self) -> int | None:
        """By how many percent more was paid than expected; less is negative."""
        return _off(self.usd, self.usd_expected)

    @property
    def input_off(self) -> int | None:
        """The same of input tokens."""
        return _off(Decimal(self.input_tokens), self._share(Decimal(self.expected.input_tokens)))

    @property
    def output_off(self) -> int | None:
        """The same of output tokens."""
        return _off(Decimal(self.output_tokens), self._share(Decimal(self.expected.output_tokens)))

    def _share(self, amount: Decimal | None) -> Decimal | None:
        """Return what the plan said of as many requests as were answered."""
        if amount is None or self.answers == self.expected.requests:
            return amount
        return (amount * self.answers / self.expected.requests).quantize(_FINE)

    def note(self) -> str:
        """Say it to the reader of the next plan."""
        answers = f"{self.answers:,} {'answer' if self.answers == 1 else 'answers'}"
        paid = ""
        if self.usd_off is not None:
            paid = (
                f" about ${money(self.usd_expected)} was expected and ${money(self.usd)} paid"
                f" ({signed(self.usd_off)});"
            )
        return (
            f"How near the last plan of this spec was, by {answers}:{paid} input tokens"
            f" {signed(self.input_off)}, output tokens {signed(self.output_off)}."
        )


def measure_plan(
    engine: Engine,
    answers: Sequence[Path],
    spec: str,
    expected: Expectation,
    prices: ModelPrices | None,
) -> Hindsight | None:
    """Compare a plan with the answers to what it submitted; None: there is none that was paid.

    Args:
        engine: The engine to which the files are open.
        answers: Files of `AnswerWriter`.
        spec: The spec's name.
        expected: What the plan said.
        prices: The model's.
    """
    files = ", ".join(quote_literal(str(path)) for path in answers)
    count, prompt, output, usd = engine.one(
        f"SELECT count(*), sum({_PROMPT})::BIGINT, sum(output_tokens)::BIGINT,"
        f" sum({cost_expression(prices)}) FROM read_parquet([{files}]) WHERE kind = 'succeeded'"
    )
    if not count:
        return None
    return Hindsight(
        spec=spec,
        answers=count,
        expected=expected,
        input_tokens=prompt,
        output_tokens=output,
        usd=None if usd is None else Decimal(usd),
    )


def signed(percent: int | None) -> str:
    """Return a difference in percent with its sign."""
    if percent is None:
        return "unknown"
    return f"{percent:+,} %" if percent else "0 %"


def _off(used: Decimal | None, expected: Decimal | None) -> int | None:
    if used is None or not expected:
        return None
    return int((100 * (used / expected - 1)).to_integral_value(rounding=ROUND_HALF_UP))
