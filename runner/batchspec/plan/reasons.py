"""What is done with an item, and why: the two decisions that a plan and `show` share."""

from __future__ import annotations

from collections.abc import Mapping

from batchspec.plan.baseline import Baseline
from batchspec.plan.model import Action, Outcome, Reason
from batchspec.plan.render import Renders
from batchspec.spec.model import Spec

_PARTS = (
    ("model", Reason.MODEL),
    ("schema", Reason.SCHEMA),
    ("params", Reason.PARAMS),
    ("vars", Reason.VARS),
    ("prompt", Reason.PROMPT),
    ("files", Reason.FILES),
    ("cache", Reason.CACHE),
)
"""Parts of a request in the order in which a changed one is named as the reason."""


def changed_parts(parts: Mapping[str, str], baseline: Baseline) -> tuple[Reason, ...]:
    """Return the parts of the request that are not what the last applied plan was made with."""
    return tuple(reason for name, reason in _PARTS if parts.get(name) != baseline.parts.get(name))


def reason_of_parts(renderer: Renders, baseline: Baseline) -> Reason:
    """Return the reason of an item whose row is as it was in the last applied plan."""
    changed = changed_parts(renderer.parts, baseline)
    if changed:
        return changed[0]
    if baseline.render_digest != renderer.render_digest:
        return Reason.PROMPT
    return Reason.INPUT if renderer.reads_files else Reason.NEW


def changed_files(files: Mapping[str, str], baseline: Baseline) -> tuple[str, ...]:
    """Return the files of the prompt whose content is not what it was, new and gone ones too."""
    names = files.keys() | baseline.files.keys()
    return tuple(sorted(name for name in names if files.get(name) != baseline.files.get(name)))


def action_expression(spec: Spec, *, retry_failed: bool, hold_canceled: bool) -> str:
    """Return the SQL expression for an item's action from its ``outcome`` and ``attempt``.

    Args:
        spec: For its rules of asking again.
        retry_failed: Ask again for items whose retries are spent.
        hold_canceled: Count canceled items as failed instead of asking again.
    """
    failed = Action.SUBMIT if retry_failed else Action.FAILED
    invalid = {
        "keep": f"'{Action.UNCHANGED}'",
        "fail": f"'{failed}'",
        "retry": f"if(attempt < {int(spec.response.attempts)}, '{Action.SUBMIT}', '{failed}')",
    }[spec.response.on_invalid]
    canceled = failed if hold_canceled else Action.SUBMIT
    return (
        f"CASE WHEN outcome IS NULL THEN '{Action.SUBMIT}'"
        f" WHEN outcome = {int(Outcome.IN_FLIGHT)} THEN '{Action.IN_FLIGHT}'"
        f" WHEN outcome IN ({int(Outcome.SUCCEEDED)}, {int(Outcome.UNCHECKED)})"
        f" THEN '{Action.UNCHANGED}'"
        f" WHEN outcome = {int(Outcome.INVALID)} THEN {invalid}"
        f" WHEN outcome IN ({int(Outcome.ERRORED)}, {int(Outcome.MISSING)})"
        f" AND attempt <= {int(spec.retry.errored)} THEN '{Action.SUBMIT}'"
        f" WHEN outcome = {int(Outcome.EXPIRED)} AND attempt <= {int(spec.retry.expired)}"
        f" THEN '{Action.SUBMIT}'"
        f" WHEN outcome = {int(Outcome.CANCELED)} THEN '{canceled}' ELSE '{failed}' END"
    )
