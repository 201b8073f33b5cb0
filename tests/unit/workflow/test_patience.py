"""What a person is told of refusals that no waiting changes."""

from __future__ import annotations

import pytest

from batchspec.api.port import ApiFailure, FailureKind
from batchspec.workflow.patience import as_failure

LIMIT = "You have reached your specified API usage limits. You will regain access on 2026-12-01."


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        (f"400 invalid_request_error: {LIMIT}", "raise that limit"),
        ("400 invalid_request_error: no", "does not pass by itself. Check the message"),
    ],
)
def test_a_spending_limit_without_a_code(message: str, hint: str) -> None:
    """A limit that the customer set is refused as any 400 is, so the hint names both readings."""
    refused = ApiFailure(FailureKind.REJECTED, message, status=400, request_id="req_1")
    failure = as_failure(refused, "creating a batch")
    assert hint in str(failure.hint)
    assert "request id req_1" in str(failure.hint)
    assert failure.message.endswith(".")
    assert not failure.message.endswith("..")
