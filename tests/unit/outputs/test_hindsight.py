"""What a plan expected beside what was used."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from batchspec.outputs.hindsight import Hindsight
from batchspec.state.history import Expectation

PLAN = Expectation(
    model="claude-haiku-4-5",
    requests=10,
    input_tokens=1000,
    output_tokens=500,
    usd=Decimal("0.04"),
    usd_max=Decimal("0.08"),
)
TOLD = Hindsight(
    spec="triage",
    answers=10,
    expected=PLAN,
    input_tokens=1100,
    output_tokens=400,
    usd=Decimal("0.05"),
)


def test_a_plan_is_compared_with_as_many_answers_as_came() -> None:
    """An errored request costs nothing, and is not held against the plan."""
    assert (TOLD.usd_off, TOLD.input_off, TOLD.output_off) == (25, 10, -20)
    half = replace(TOLD, answers=5, input_tokens=500, output_tokens=250, usd=Decimal("0.02"))
    assert (half.usd_expected, half.usd_max) == (Decimal("0.02"), Decimal("0.04"))
    assert (half.usd_off, half.input_off, half.output_off) == (0, 0, 0)


@pytest.mark.parametrize(
    ("told", "note"),
    [
        (TOLD, "about $0.0400 was expected and $0.0500 paid (+25 %); input tokens +10 %"),
        (replace(TOLD, usd=None), "by 10 answers: input tokens +10 %, output tokens -20 %."),
        (replace(TOLD, expected=replace(PLAN, usd=None)), "by 10 answers: input tokens +10 %"),
        (replace(TOLD, expected=replace(PLAN, input_tokens=0)), "input tokens unknown"),
    ],
)
def test_the_note_says_what_is_known(told: Hindsight, note: str) -> None:
    """Without a price it is about tokens only."""
    assert note in told.note()
