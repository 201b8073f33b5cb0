from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from batchspec.plan.diff import DiffOptions
from batchspec.plan.model import Action, Counts, Outcome, Reason
from batchspec.spec.model import Response, Retry

if TYPE_CHECKING:
    from tests.unit.plan.conftest import World

KEEP, FAIL = Response(on_invalid="keep"), Response(on_invalid="fail")
THRICE = Response(on_invalid="retry", attempts=3)
RULES: Sequence[tuple[Outcome, int, dict[str, Any], DiffOptions, Action]] = [
    (Outcome.IN_FLIGHT, 1, {}, DiffOptions(), Action.IN_FLIGHT),
    (Outcome.IN_FLIGHT, 1, {}, DiffOptions(retry_failed=True), Action.IN_FLIGHT),
    (Outcome.SUCCEEDED, 1, {}, DiffOptions(retry_failed=True), Action.UNCHANGED),
    (Outcome.UNCHECKED, 1, {}, DiffOptions(), Action.UNCHANGED),
    (Outcome.INVALID, 1, {"response": KEEP}, DiffOptions(), Action.UNCHANGED),
    (Outcome.INVALID, 1, {"response": FAIL}, DiffOptions(), Action.FAILED),
    (Outcome.INVALID, 1, {"response": FAIL}, DiffOptions(retry_failed=True), Action.SUBMIT),
    (Outcome.INVALID, 2, {"response": THRICE}, DiffOptions(), Action.SUBMIT),
    (Outcome.INVALID, 3, {"response": THRICE}, DiffOptions(), Action.FAILED),
    (Outcome.INVALID, 3, {"response": THRICE}, DiffOptions(retry_failed=True), Action.SUBMIT),
    (Outcome.REFUSED, 1, {}, DiffOptions(), Action.FAILED),
    (Outcome.TRUNCATED, 1, {}, DiffOptions(), Action.FAILED),
    (Outcome.BAD_REQUEST, 1, {}, DiffOptions(), Action.FAILED),
    (Outcome.LOST, 1, {}, DiffOptions(), Action.FAILED),
    (Outcome.LOST, 1, {}, DiffOptions(retry_failed=True), Action.SUBMIT),
    (Outcome.ERRORED, 3, {}, DiffOptions(), Action.SUBMIT),
    (Outcome.ERRORED, 4, {}, DiffOptions(), Action.FAILED),
    (Outcome.ERRORED, 1, {"retry": Retry(errored=0)}, DiffOptions(), Action.FAILED),
    (Outcome.MISSING, 3, {}, DiffOptions(), Action.SUBMIT),
    (Outcome.MISSING, 4, {}, DiffOptions(), Action.FAILED),
    (Outcome.EXPIRED, 2, {"retry": Retry(expired=2)}, DiffOptions(), Action.SUBMIT),
    (Outcome.EXPIRED, 3, {"retry": Retry(expired=2)}, DiffOptions(), Action.FAILED),
    (Outcome.CANCELED, 9, {}, DiffOptions(), Action.SUBMIT),
    (Outcome.CANCELED, 1, {}, DiffOptions(hold_canceled=True), Action.FAILED),
]


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize(("outcome", "attempt", "changes", "options", "action"), RULES)
def test_outcomes_decide(
    world: World,
    rows: dict[object, str],
    outcome: Outcome,
    attempt: int,
    changes: dict[str, Any],
    *,
    options: DiffOptions,
    action: Action,
    remembered: bool,
) -> None:
    """Each outcome leads to its action, whether the item was found by row or by rendering."""
    world.spec = world.spec.model_copy(update=changes)
    if remembered:
        world.applied(rows)
    world.answer(rows)
    world.outcomes[world.hash("two")] = (outcome, attempt)
    items = world.good(rows, options)
    other = 0 if action is Action.UNCHANGED else 1
    assert items.counts == Counts(unchanged=3 - other, **({action.value: 1} if other else {}))
    if action is Action.SUBMIT:
        assert items.reasons == {Reason.RETRY: 1}
        assert [ask.attempt for ask in items.asks()] == [attempt + 1]
    if action is Action.FAILED:
        (change,) = items.changes()
        assert (change.key, change.reason, change.outcome) == ('"b"', None, outcome)
