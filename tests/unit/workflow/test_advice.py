"""Advice, rule by rule: what it stands on, and when it is not given."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from batchspec.api.catalogue import load_catalogue
from batchspec.inputs.engine import Engine
from batchspec.outputs.spending import Lengths
from batchspec.spec.model import Spec
from batchspec.state.model import Submission, SubmissionState
from batchspec.workflow.advice import Evidence, advise
from batchspec.workflow.fitting import fits, own_breakpoints

EVENING, NOON = 22, 12


def spec(most: int, **changes: Any) -> Spec:
    """Return a spec of which only ``max_tokens`` matters, and what is given."""
    return Spec.model_validate(
        {
            "version": 1,
            "name": "a",
            "inputs": {"rows": [{"id": 1}], "key": ["id"]},
            "model": "claude-haiku-4-5",
            "max_tokens": most,
            "prompt": {"user": "hi"},
            "outputs": [{"path": "out/a.jsonl"}],
            **changes,
        }
    )


def lengths(**changes: Any) -> Lengths:
    """Return the lengths of 100 answers, the longest of 300 tokens."""
    plain: dict[str, Any] = {
        "answers": 100,
        "median": 50,
        "p95": 200,
        "most": 300,
        "truncated": 0,
        "usd_truncated": Decimal(0),
    }
    return Lengths(**(plain | changes))


@pytest.fixture
def evidence() -> Evidence:
    """Return evidence without an answer: the rules under test look at lengths and times only."""
    engine: Engine = None  # type: ignore[assignment]  # nothing is collected, so nothing is asked
    return Evidence(engine=engine, asked=(), catalogue=load_catalogue())


@pytest.mark.parametrize(
    ("most", "changes", "codes"),
    [
        (4096, {}, ["max-tokens"]),
        (768, {}, ["max-tokens"]),
        (767, {}, []),
        (4096, {"answers": 29}, []),
        (4096, {"truncated": 1}, ["truncated"]),
        (16, {"truncated": 1, "most": 12}, ["truncated"]),
    ],
)
def test_the_length_of_answers(
    evidence: Evidence, most: int, changes: dict[str, Any], codes: list[str]
) -> None:
    """Room is named when a tighter ceiling would have cut nothing; cut answers go first."""
    found = list(advise(evidence, spec(most), lengths(**changes), None))
    assert [advice.code for advice in found] == codes


def test_a_tighter_ceiling_in_numbers(evidence: Evidence) -> None:
    """A quarter above the longest answer, rounded up; the difference is output at batch price."""
    (advice,) = advise(evidence, spec(4096), lengths(), None)
    assert "With 384 none of them would have been cut" in advice.message
    assert Decimal(4096 - 384) * 5 / 2 / 1_000_000 * 1000 == Decimal("9.28")
    assert "falls by $9.2800 per 1,000 requests" in advice.message
    assert advice.usd is None


def batches(hour: int, *minutes: int) -> list[Submission]:
    """Return batches made in an hour that took so many minutes."""
    start = dt.datetime(2026, 11, 1, hour, 30, tzinfo=dt.UTC)
    return [
        Submission(
            tag=f"{hour}-{number}",
            spec="a",
            state=SubmissionState.COLLECTED,
            requests=1,
            bytes=1,
            segment=None,
            created_at=start + dt.timedelta(days=number),
            ended_at=start + dt.timedelta(days=number, minutes=took),
        )
        for number, took in enumerate(minutes)
    ]


def test_the_fastest_hour(evidence: Evidence) -> None:
    """Hours are compared by their median; the command to wait for the best one is named."""
    (advice,) = evidence.hours(batches(EVENING, 10, 12, 500) + batches(NOON, 60, 60, 61))
    assert (advice.code, advice.spec) == ("window", "")
    assert "made from 22:00-23:00 UTC ended after 12 min (median of 3)" in advice.message
    assert "from 12:00 on after 60 min" in advice.message
    assert "`batchspec run --window 22:00-23:00`" in advice.message


@pytest.mark.parametrize(
    "made",
    [
        batches(EVENING, 10, 12, 14),
        batches(EVENING, 10, 12, 14) + batches(NOON, 60, 60),
        batches(EVENING, 10, 12, 14) + batches(NOON, 15, 15, 15),
        batches(EVENING, 0, 0, 0) + batches(NOON, 0, 0, 0),
    ],
)
def test_no_hour_stands_out(evidence: Evidence, made: list[Submission]) -> None:
    """One hour, too few batches, or hardly a difference: nothing is said."""
    assert list(evidence.hours(made)) == []


def test_a_ceiling_leaves_room_for_thinking(evidence: Evidence) -> None:
    """The API wants max_tokens above the thinking's budget, whatever answers used."""
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    (advice,) = advise(evidence, spec(8192, params=thinking), lengths(), None)
    assert "With 1,280 none of them would have been cut" in advice.message


TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{"}]


@pytest.mark.parametrize(
    ("changes", "able"),
    [
        ({}, {"claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-4-6"}),
        ({"prompt": {"messages": TURNS}}, set()),
        ({"params": {"thinking": {"type": "enabled"}}}, {"claude-opus-4-6"}),
        (
            {"params": {"tools": [], "tool_choice": {"type": "any"}}},
            {"claude-haiku-5-5", "claude-opus-4-6"},
        ),
    ],
)
def test_models_that_would_refuse_are_not_recommended(
    changes: dict[str, Any], able: set[str]
) -> None:
    """What a validation of the changed spec would say is known before."""
    catalogue = load_catalogue()
    own = catalogue.model("claude-haiku-4-5")
    assert own is not None
    others = (catalogue.model(f"claude-{name}") for name in ("haiku-5-5", "sonnet-5-5", "opus-4-6"))
    found = {m.facts.id for m in others if m is not None and fits(m, own, spec(100, **changes))}
    assert found == able


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"prompt": {"user": [{"text": "hi", "cache": True}]}}, "`cache` from its blocks"),
        (
            {"params": {"tools": [{"name": "t", "cache_control": {"type": "ephemeral"}}]}},
            "`cache_control` from its tools",
        ),
    ],
)
def test_breakpoints_of_the_author_are_named(changes: dict[str, Any], words: str) -> None:
    """Turning the spec's cache off would leave them where they are."""
    assert own_breakpoints(spec(100, **changes)) == words
