"""What a plan would do with one item, and why; for `show`."""

# ruff: noqa: S608 - the names in this SQL are ours, and literals are quoted.

from __future__ import annotations

from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import Row
from batchspec.plan.baseline import Baseline, BaselinePaths, read_baseline
from batchspec.plan.model import Action, Outcome, Reason
from batchspec.plan.reasons import (
    action_expression,
    changed_files,
    changed_parts,
    reason_of_parts,
)
from batchspec.plan.render import Renders
from batchspec.records import frozen
from batchspec.spec.model import Spec


@frozen
class Explained:
    """Where one item stands."""

    action: Action
    """What a plan would do with it."""
    reason: Reason | None
    """Why it would be submitted; None: it would not be."""
    changed: tuple[Reason, ...] = ()
    """Everything that is not what it was in the last applied plan; the first is the reason."""
    changed_files: tuple[str, ...] = ()
    """Files of the prompt among that."""
    former: bytes | None = None
    """The 32-byte request hash that it had in the last applied plan; None: it was in none."""


@frozen
class Standing:
    """What the state knows of an item's question."""

    outcome: Outcome
    attempt: int


def explain_item(
    engine: Engine,
    row: Row,
    renderer: Renders,
    *,
    spec: Spec,
    paths: BaselinePaths,
    standing: Standing | None,
) -> Explained:
    """Decide about one item as `plan.diff` does for all of them."""
    action = _action(engine, spec, standing)
    baseline = read_baseline(paths)
    before = None if baseline is None else _before(engine, baseline, row)
    submits = action is Action.SUBMIT
    if baseline is None or before is None:
        reason = Reason.NEW if standing is None else Reason.RETRY
        return Explained(action=action, reason=reason if submits else None)
    digest, former = before
    parts = changed_parts(renderer.parts, baseline)
    reason = Reason.INPUT if digest != row.digest else reason_of_parts(renderer, baseline)
    if standing is not None:
        reason = Reason.RETRY
    return Explained(
        action=action,
        reason=reason if submits else None,
        changed=(*((Reason.INPUT,) if digest != row.digest else ()), *parts),
        changed_files=changed_files(renderer.files, baseline) if Reason.FILES in parts else (),
        former=former,
    )


def _action(engine: Engine, spec: Spec, standing: Standing | None) -> Action:
    expression = action_expression(spec, retry_failed=False, hold_canceled=False)
    values = (None, None) if standing is None else (int(standing.outcome), standing.attempt)
    (action,) = engine.one(
        f"SELECT {expression} FROM (SELECT ?::UTINYINT AS outcome, ?::USMALLINT AS attempt)", values
    )
    return Action(action)


def _before(engine: Engine, baseline: Baseline, row: Row) -> tuple[bytes, bytes] | None:
    """Return row digest and request hash of the item in the last applied plan."""
    rows = engine.rows(
        f"SELECT row_digest, hash FROM {baseline.relation} WHERE key_json = ?", (row.key_json,)
    )
    return next(((digest, former) for digest, former in rows), None)
