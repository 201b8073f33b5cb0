"""Saved plans: written to be reviewed, read to be applied exactly.

Bytes are a function of the plan alone. A saved plan names what it was made against - the digest of
each spec, the root over its items, the state - and `require_fresh` refuses it when that has moved.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

from batchspec.durable import write_file
from batchspec.errors import Refused, StalePlan, UsageFailure
from batchspec.plan.changes import ChangeKeeper, change_row
from batchspec.plan.cost import money_ceiling
from batchspec.plan.document import (
    FORMAT_VERSION,
    change_document,
    document_digest,
    encode,
    inline_changes,
    plan_document,
    read_change,
    read_environment,
    read_spec,
)
from batchspec.plan.model import Change, Plan, SpecPlan
from batchspec.plan.sidecar import read_changes, sidecar_of, write_changes
from batchspec.spec.schema import published_validator

SAMPLED_CHANGES = 100
"""So many changes of a spec are held against the schema; the digest covers all of them."""
INLINE_CHANGES = 10_000
"""A saved plan with more changes keeps the rest in a file beside it."""


def write_plan(path: Path, plan: Plan) -> None:
    """Save a plan, and the changes beyond `INLINE_CHANGES` beside it; whole files or none.

    Raises:
        DiskFailure: The files cannot be written.
    """
    document = plan_document(plan, INLINE_CHANGES)
    whole = sum(len(spec.changes) for spec in plan.specs) <= INLINE_CHANGES
    if not whole:
        document.pop("digest")
        document["changes_file"] = write_changes(sidecar_of(path), _rest(plan))
        document["digest"] = document_digest(document)
    write_file(path, [encode(document)])
    if whole:
        sidecar_of(path).unlink(missing_ok=True)


def read_plan(path: Path) -> Plan:
    """Return a saved plan after checking its version, its shape and its digests.

    Raises:
        UsageFailure: There is no such file.
        Refused: It is not an intact plan of a version that this program knows.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageFailure(f"The plan {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise Refused(f"{path} is not a plan: it is not JSON.", hint=_AGAIN) from error
    _check(path, document)
    try:
        changes = _changes(path, document)
        return Plan(
            specs=tuple(read_spec(spec, changes[spec["name"]]) for spec in document["specs"]),
            state=document.get("state", {}),
            environment=read_environment(document.get("environment")),
            digest=document["digest"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"{path} is not a plan: one of its changes is none.", hint=_AGAIN) from error


def require_environment(saved: Plan, current: Plan) -> None:
    """Make sure that a saved plan was made for the environment that it is to be applied in.

    Raises:
        StalePlan: It was made for another.
    """
    there, here = (None if p.environment is None else p.environment.name for p in (saved, current))
    if there != here:
        raise StalePlan(
            f"The saved plan was made {_where(there)}, and this is {_where(here)}.",
            hint=f"Apply it with --env {there}." if there else "Apply it without an environment.",
        )


def require_fresh(saved: Plan, current: Plan) -> None:
    """Make sure that a saved plan still says exactly what would be done now.

    Raises:
        StalePlan: It does not; the message names what moved: spec, inputs or state.
    """
    now = {spec.name: spec for spec in current.specs}
    # A plan made before anything was ever submitted knows no state; an empty one is the same.
    untouched = not saved.state and current.state.get("serial") == 0
    same_state = untouched or current.state == saved.state
    moved = [
        sentence
        for spec in saved.specs
        for sentence in _moved(spec, now.get(spec.name), same_state)
    ]
    if not same_state:
        moved.append(f"The state has moved from {_at(saved)} to {_at(current)}.")
    if moved:
        raise StalePlan(f"The saved plan is stale. {' '.join(moved)}", hint=_AGAIN)


def _where(environment: str | None) -> str:
    return "without an environment" if environment is None else f"in the environment {environment}"


_AGAIN = "Make the plan again with `batchspec plan --out FILE`, and review it."


def _moved(saved: SpecPlan, now: SpecPlan | None, same_state: bool) -> Iterable[str]:  # noqa: FBT001
    if now is None:
        yield f"The spec `{saved.name}` is gone."
        return
    if saved.digests.get("spec") != now.digests.get("spec"):
        yield f"The spec `{saved.name}` was edited."
    if saved.digests.get("inputs") != now.digests.get("inputs"):
        yield f"The inputs of `{saved.name}`, or what its prompt makes of them, have changed."
    elif same_state and saved.digests == now.digests and not _same_work(saved, now):
        yield f"For `{saved.name}`, other items would be submitted now than were planned."


def require_affordable(stale: StalePlan, saved: Plan, current: Plan) -> str:
    """Agree to what would be done now in place of a stale plan, if it costs no more than that.

    Returns:
        What to tell: why the plan was stale, and what is submitted instead.

    Raises:
        StalePlan: It may cost more, or a price is unknown, or a spec of the plan is gone.
    """
    reviewed, most = _most(saved), _most(current)
    complaint = ""
    if reviewed is None or most is None:
        complaint = "A price is unknown, so a fresh plan cannot be held against it."
    elif most > reviewed:
        complaint = (
            f"A fresh plan may cost up to ${money_ceiling(most)}, more than the "
            f"${money_ceiling(reviewed)} that were reviewed."
        )
    elif {spec.name for spec in saved.specs} != {spec.name for spec in current.specs}:
        complaint = "A fresh plan is of other specs."
    if complaint or most is None:
        raise StalePlan(f"{stale.message} {complaint}", hint=_AGAIN) from stale
    return (
        f"{stale.message} A fresh plan of its specs is submitted instead: it costs at most "
        f"${money_ceiling(most)}, and ${money_ceiling(reviewed)} were reviewed."
    )


def _most(plan: Plan) -> Decimal | None:
    amounts = [spec.estimate.usd_max for spec in plan.specs if spec.requests]
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if len(known) == len(amounts) else None


def _same_work(saved: SpecPlan, now: SpecPlan) -> bool:
    """Tell whether two plans of one spec, whose items are the same, name the same work."""
    pairs = zip_longest(saved.changes, now.changes)
    # Both list their changes in key order; sets of a million would take as much memory as the plan.
    return all(a is not None and b is not None and _work(a) == _work(b) for a, b in pairs)


def _work(change: Change) -> tuple[str, str, str]:
    return change.key, change.action.value, change.request_hash


def _at(plan: Plan) -> str:
    lineage, serial = plan.state.get("lineage", "none"), plan.state.get("serial", "none")
    return f"lineage {lineage}, serial {serial}"


def _rest(plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the changes beyond `INLINE_CHANGES` with their spec."""
    listed = inline_changes(plan, INLINE_CHANGES)
    for spec, inline in zip(plan.specs, listed, strict=True):
        for change in islice(spec.changes, inline, None):
            yield spec.name, change_document(change)


def _changes(path: Path, document: Mapping[str, Any]) -> dict[str, Sequence[Change]]:
    """Return the changes of a saved plan by spec.

    Raises:
        Refused: The file beside it is missing, damaged, or belongs to another plan.
        KeyError, TypeError, ValueError: One of them is no change.
    """
    names = {spec["name"] for spec in document["specs"]}
    beside: Iterable[tuple[str, Mapping[str, Any]]] = ()
    if "changes_file" in document:
        beside = read_changes(sidecar_of(path), document["changes_file"])
    inline = ((spec["name"], change) for spec in document["specs"] for change in spec["changes"])
    keepers = {name: ChangeKeeper() for name in names}
    for name, change in chain(inline, beside):
        keepers[name].add(change_row(read_change(change)))
    return {name: keeper.kept() for name, keeper in keepers.items()}


def _sampled(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with few changes: thousands alike would take the validator seconds."""
    specs = document.get("specs")
    if not isinstance(specs, list):
        return document
    return document | {
        "specs": [
            spec | {"changes": spec["changes"][:SAMPLED_CHANGES]}
            if isinstance(spec, dict) and isinstance(spec.get("changes"), list)
            else spec
            for spec in specs
        ]
    }


def _check(path: Path, document: Any) -> None:
    version = document.get("format_version") if isinstance(document, dict) else None
    if version != FORMAT_VERSION:
        raise Refused(
            f"{path} has format version {version!r}, and this program reads {FORMAT_VERSION}.",
            hint=_AGAIN,
        )
    error = next(iter(published_validator("plan").iter_errors(_sampled(document))), None)
    if error is not None:
        where = "/".join(str(part) for part in error.absolute_path) or "its top level"
        raise Refused(f"{path} is not a plan: {where}: {error.message[:200]}.", hint=_AGAIN)
    if document["digest"] != document_digest(document):
        raise Refused(
            f"{path} was changed after it was made: its digest does not match.", hint=_AGAIN
        )
