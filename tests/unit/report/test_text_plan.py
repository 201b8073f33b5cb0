"""Whole-screen snapshots of the plan as text."""

from __future__ import annotations

from decimal import Decimal

from batchspec.plan.model import (
    Action,
    Change,
    Counts,
    Estimate,
    Outcome,
    Plan,
    Reason,
    SpecPlan,
)
from batchspec.report.style import Style
from batchspec.report.text import plan_text


def change(key: str, action: Action, reason: Reason | None = None, **more: Outcome) -> Change:
    """Return a change whose hash does not matter."""
    return Change(key=key, action=action, reason=reason, request_hash="0" * 64, **more)


FULL = SpecPlan(
    name="ticket-triage",
    model="claude-haiku-4-5",
    items=1000,
    counts=Counts(submit=16, unchanged=976, in_flight=3, failed=5, removed=2, duplicate=1),
    reasons={Reason.NEW: 12, Reason.INPUT: 1, Reason.PROMPT: 0, Reason.RETRY: 3},
    requests=15,
    batches=1,
    bytes=23811,
    estimate=Estimate(
        input_tokens=4120,
        output_tokens=320,
        usd=Decimal("0.0029"),
        usd_min=Decimal("0.0021"),
        usd_max=Decimal("0.00401"),
        usd_without_batch=Decimal("0.0058"),
        notes=("The constant prefix is too short to be cached.",),
    ),
    changes=(
        *(change(f'"T-{number}"', Action.SUBMIT, Reason.NEW) for number in range(17, 29)),
        change('"T-4"', Action.SUBMIT, Reason.INPUT),
        change('"T-5"', Action.SUBMIT, Reason.RETRY, outcome=Outcome.ERRORED),
        change('"T-6"', Action.SUBMIT, Reason.RETRY, outcome=Outcome.EXPIRED),
        change('"T-7"', Action.SUBMIT, Reason.RETRY, outcome=Outcome.EXPIRED),
        *(
            change(f'"T-{number}"', Action.FAILED, outcome=Outcome.BAD_REQUEST)
            for number in range(90, 95)
        ),
        change('"T-1"', Action.REMOVED),
        change('["a",1]', Action.REMOVED),
    ),
)

FULL_SCREEN = """\
ticket-triage (claude-haiku-4-5), 1,000 items
  + 12 new: "T-17", "T-18", "T-19" and 9 more
  + 1 input: "T-4"
  + 3 retry: "T-5", "T-6", "T-7"
    1 of them asks what another one asks; one request answers both.
  > 3 in flight
  ! 5 failed
      "T-90" bad request
      "T-91" bad request
      "T-92" bad request
      "T-93" bad request
      "T-94" bad request
      Their retries are spent; `batchspec run --retry-failed` asks again.
  - 2 removed: "T-1", ["a",1]
    976 unchanged

  15 requests in 1 batch (23.8 KB)
  about 4,120 input and 320 output tokens
  about $0.0029, at most $0.0041, without batch $0.0058
  note: The constant prefix is too short to be cached.

Plan: 16 items to submit as 15 requests in 1 batch, about $0.0029 (at most $0.0041).
"""


def quiet(**counts: int) -> SpecPlan:
    """Return a spec with nothing to submit."""
    items = counts.get("unchanged", 0) + counts.get("in_flight", 0)
    return SpecPlan(
        name="quiet",
        model="claude-sonnet-5",
        items=items,
        counts=Counts(**counts),
        reasons={},
        requests=0,
        batches=0,
        bytes=0,
        estimate=Estimate(notes=("Of no interest when nothing is submitted.",)),
        changes=(),
    )


def test_full_plan() -> None:
    """Every kind of line appears once, in a fixed order, ending with the totals."""
    assert plan_text(Plan(specs=(FULL,))) == FULL_SCREEN


def test_nothing_to_submit() -> None:
    """A plan without work says so in its last line."""
    expected = "quiet (claude-sonnet-5), 1,000 items\n    1,000 unchanged\n\nNothing to submit.\n"
    assert plan_text(Plan(specs=(quiet(unchanged=1000),))) == expected


def test_answers_on_their_way() -> None:
    """Items in flight are named when nothing else is to be submitted."""
    text = plan_text(Plan(specs=(quiet(unchanged=9, in_flight=1),)))
    assert text.endswith("Nothing to submit. 1 item is in flight; `batchspec run` collects.\n")


def test_hints_keep_to_the_emulator() -> None:
    """A hint of an emulated plan, typed as it stands, never reaches the API."""
    emulated = plan_text(Plan(specs=(FULL,)), command="batchspec run --emulate")
    assert "`batchspec run --emulate --retry-failed` asks again." in emulated
    waiting = plan_text(Plan(specs=(quiet(in_flight=2),)), command="batchspec run --emulate")
    assert waiting.endswith("2 items are in flight; `batchspec run --emulate` collects.\n")


def test_a_budget_that_refuses_is_told() -> None:
    """Below the totals stands why `run` would submit none of it."""
    told = plan_text(Plan(specs=(FULL,)), refusals=("Spec 'a' costs too much.",))
    assert told == f"{FULL_SCREEN}refused: Spec 'a' costs too much.\n"


def test_totals_of_two_specs() -> None:
    """The last line adds up all specs; a spec with nothing to submit adds nothing."""
    text = plan_text(Plan(specs=(FULL, quiet(unchanged=3), FULL)))
    assert text.splitlines()[-1] == (
        "Plan: 32 items to submit as 30 requests in 2 batches, about $0.0058 (at most $0.0081)."
    )


def test_unknown_price() -> None:
    """One unknown price makes the total unknown: it is never guessed."""
    unpriced = SpecPlan(
        name="odd",
        model="claude-unheard-of",
        items=1,
        counts=Counts(submit=1),
        reasons={Reason.NEW: 1},
        requests=1,
        batches=1,
        bytes=500,
        estimate=Estimate(input_tokens=10, output_tokens=5),
        changes=(change("1", Action.SUBMIT, Reason.NEW),),
    )
    assert plan_text(Plan(specs=(unpriced, FULL))).splitlines()[-1] == (
        "Plan: 17 items to submit as 16 requests in 2 batches, price unknown."
    )
    assert plan_text(Plan(specs=(unpriced,))).splitlines()[3:6] == [
        "  1 request in 1 batch (500 B)",
        "  about 10 input and 5 output tokens",
        "  price unknown",
    ]


def test_many_failures_are_cut() -> None:
    """Ten failed items are named, the rest counted."""
    failed = SpecPlan(
        name="bad",
        model="claude-haiku-4-5",
        items=25,
        counts=Counts(failed=25),
        reasons={},
        requests=0,
        batches=0,
        bytes=0,
        estimate=Estimate(),
        changes=tuple(
            change(str(number), Action.FAILED, outcome=Outcome.REFUSED) for number in range(25)
        ),
    )
    lines = plan_text(Plan(specs=(failed,))).splitlines()
    assert [line for line in lines if line.endswith("refused")] == [
        f"      {number} refused" for number in range(10)
    ]
    assert "      and 15 more" in lines


def test_hostile_keys_are_harmless() -> None:
    """Keys with escape sequences, line breaks and direction marks stay one visible line."""
    hostile = SpecPlan(
        name="odd",
        model="claude-haiku-4-5",
        items=1,
        counts=Counts(submit=1),
        reasons={Reason.NEW: 1},
        requests=1,
        batches=1,
        bytes=1,
        estimate=Estimate(),
        changes=(change('"\x1b]0;x\x07\u202e\n::error::"', Action.SUBMIT, Reason.NEW),),
    )
    assert plan_text(Plan(specs=(hostile,))).splitlines()[1] == '  + 1 new: "]0;x ::error::"'


def test_colour_changes_no_layout() -> None:
    """Without its escape sequences the coloured plan is the plain one."""
    colored = plan_text(Plan(specs=(FULL,)), style=Style(color=True))
    assert "\x1b[1m" in colored
    for code in ("0", "1", "2", "31", "32", "33"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert colored == FULL_SCREEN
