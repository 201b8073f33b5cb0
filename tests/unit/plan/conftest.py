"""Plans as values, for every test of what becomes of them."""

from __future__ import annotations

from decimal import Decimal

import pytest

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


@pytest.fixture
def plan() -> Plan:
    """A plan with every kind of change."""
    changes = (
        Change(key='"T-17"', action=Action.SUBMIT, reason=Reason.NEW, request_hash="a" * 64),
        Change(
            key='["ü",18]',
            action=Action.SUBMIT,
            reason=Reason.RETRY,
            request_hash="b" * 64,
            outcome=Outcome.EXPIRED,
        ),
        Change(
            key="19",
            action=Action.FAILED,
            reason=None,
            request_hash="c" * 64,
            outcome=Outcome.BAD_REQUEST,
        ),
        Change(key='"T-20"', action=Action.REMOVED, reason=None, request_hash="d" * 64),
    )
    spec = SpecPlan(
        name="ticket-triage",
        model="claude-haiku-4-5",
        items=1000,
        counts=Counts(submit=2, unchanged=997, failed=1, removed=1),
        reasons={Reason.NEW: 1, Reason.RETRY: 1},
        requests=2,
        batches=1,
        bytes=23_811,
        estimate=Estimate(
            input_tokens=4120,
            output_tokens=320,
            usd=Decimal("0.00286"),
            usd_min=Decimal("0.00171"),
            usd_max=Decimal("0.00401"),
            usd_without_batch=Decimal("0.00572"),
            notes=("No breakpoint: the prefix is too short.",),
        ),
        changes=changes,
        digests={"spec": "5" * 64, "inputs": "6" * 64},
    )
    return Plan(specs=(spec,), state={"lineage": "abc", "serial": 7})
