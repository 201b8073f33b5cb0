"""The plan as a JSON document, both ways: for people, for CI and for saved plans."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import Any

import orjson

from batchspec.plan.cost import money, money_ceiling, money_floor
from batchspec.plan.model import (
    Action,
    Change,
    Counts,
    Estimate,
    Outcome,
    Plan,
    Reason,
    Reworded,
    SpecPlan,
)
from batchspec.plan.wording import Piece, Rewording, Wording
from batchspec.spec.environments import Environment
from batchspec.spec.model import Sample

FORMAT_VERSION = 1
_AT_ONCE = 1000
"""So many changes become text at once."""
_REASONS = (
    Reason.NEW,
    Reason.INPUT,
    Reason.PROMPT,
    Reason.MODEL,
    Reason.PARAMS,
    Reason.RETRY,
    Reason.SCHEMA,
    Reason.VARS,
    Reason.CACHE,
    Reason.FILES,
)
"""The contract's six first; what came later follows."""


def plan_document(plan: Plan, most: int | None = None) -> dict[str, Any]:
    """Return the plan in the shape and key order of `schemas/plan.schema.json`, ``digest`` last.

    Args:
        plan: The plan.
        most: So many changes are listed, those of the first specs first; None: all.
    """
    listed = inline_changes(plan, most)
    document: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "specs": [spec_document(*pair) for pair in zip(plan.specs, listed, strict=True)],
        "totals": _totals(plan.specs),
    }
    if plan.environment is not None:
        document["environment"] = environment_document(plan.environment)
    if plan.state:
        document["state"] = dict(plan.state)
    return document | {"digest": document_digest(document)}


def inline_changes(plan: Plan, most: int | None) -> list[int]:
    """Return how many changes of each spec a document lists that may list ``most``."""
    counts = []
    for spec in plan.specs:
        counts.append(len(spec.changes) if most is None else min(len(spec.changes), most))
        most = None if most is None else most - counts[-1]
    return counts


def environment_document(environment: Environment) -> dict[str, Any]:
    """Return an environment as JSON data."""
    sample = environment.sample
    return {
        "name": environment.name,
        "outputs": environment.outputs,
        "sample": None if sample is None else {"rows": sample.rows, "seed": sample.seed},
        "sample_by_default": environment.sample_by_default,
    }


def read_environment(document: Mapping[str, Any] | None) -> Environment | None:
    """Return the environment of a document whose shape was checked."""
    if document is None:
        return None
    sample = document["sample"]
    return Environment(
        name=document["name"],
        outputs=document["outputs"],
        sample=None if sample is None else Sample(**sample),
        sample_by_default=document["sample_by_default"],
    )


def document_digest(document: Mapping[str, Any]) -> str:
    """Return ``sha256:…`` over the canonical JSON of everything but ``digest``.

    Plans hold no fractions but as text and only ASCII keys, so sorted compact JSON is RFC 8785.
    """
    rest = {key: value for key, value in document.items() if key != "digest"}
    return f"sha256:{hashlib.sha256(_canonical(rest).encode()).hexdigest()}"


def _canonical(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def own_digest(plan: Plan) -> str:
    """Return the digest of a plan without its list of changes, which a run does not make.

    The digest of each spec's inputs stands for them: it covers every item's question.
    """
    bare = [replace(spec, changes=(), reworded=()) for spec in plan.specs]
    return str(plan_document(replace(plan, specs=tuple(bare)))["digest"])


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the document's bytes: indented, one change per line, ending with a line feed."""
    specs = [
        spec | {"changes": [orjson.Fragment(_line(change)) for change in spec["changes"]]}
        for spec in document["specs"]
    ]
    return orjson.dumps(
        {**document, "specs": specs}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )


def encoded_plan(plan: Plan) -> Iterator[bytes]:
    """Yield the bytes of ``encode(plan_document(plan))``, with memory for a few changes only."""
    place = secrets.token_hex()  # which no text of a plan can know
    document = plan_document(plan, 0)
    del document["digest"]
    for part, spec in zip(document["specs"], plan.specs, strict=True):
        part["changes"] = [place] if spec.changes else []
    lists = [spec.changes for spec in plan.specs if spec.changes]
    digest = hashlib.sha256()
    for text in _filled(_canonical(document).split(f'"{place}"'), lists, _canonical, ","):
        digest.update(text.encode())
    document["digest"] = f"sha256:{digest.hexdigest()}"
    parts = encode(document).decode().split(f'"{place}"')
    for text in _filled(parts, lists, _line, f",\n{' ' * 8}"):
        yield text.encode()


def _filled(
    parts: Sequence[str],
    lists: Sequence[Iterable[Change]],
    written: Callable[[Mapping[str, Any]], str],
    between: str,
) -> Iterator[str]:
    """Yield text whose parts have lists of changes between them, many changes at a time."""
    yield parts[0]
    for changes, part in zip(lists, parts[1:], strict=True):
        rest, before = iter(changes), ""
        while some := [written(change_document(change)) for change in islice(rest, _AT_ONCE)]:
            yield before + between.join(some)
            before = between
        yield part


def read_spec(document: Mapping[str, Any], changes: Sequence[Change]) -> SpecPlan:
    """Return one spec of a document whose shape was checked, with all of its changes."""
    return SpecPlan(
        name=document["name"],
        model=document["model"],
        items=document["items"],
        counts=Counts(**document["counts"]),
        reasons={Reason(name): count for name, count in document["reasons"].items()},
        requests=document["requests"],
        batches=document["batches"],
        bytes=document["bytes"],
        estimate=_read_estimate(document["estimate"]),
        changes=changes,
        digests=dict(document.get("digests", {})),
        changed_files=tuple(document.get("changed_files", ())),
        reworded=tuple(_read_reworded(item) for item in document.get("reworded", ())),
        after=tuple(document.get("after", ())),
    )


def _read_estimate(document: Mapping[str, Any]) -> Estimate:
    return Estimate(
        input_tokens=document["input_tokens"],
        output_tokens=document["output_tokens"],
        usd=_amount(document["usd"]),
        usd_min=_amount(document["usd_min"]),
        usd_max=_amount(document["usd_max"]),
        usd_without_batch=_amount(document["usd_without_batch"]),
        notes=tuple(document["notes"]),
        answers=document.get("calibrated_by", {}).get("answers", 0),
        counted=document.get("calibrated_by", {}).get("counted", 0),
    )


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def read_change(document: Mapping[str, Any]) -> Change:
    """Return one change of a document whose shape was checked."""
    reason, outcome = document["reason"], document.get("outcome")
    return Change(
        key=json.dumps(document["key"], ensure_ascii=False, separators=(",", ":")),
        action=Action(document["action"]),
        reason=None if reason is None else Reason(reason),
        request_hash=document["request_hash"],
        outcome=None if outcome is None else Outcome[outcome.upper()],
    )


def spec_document(spec: SpecPlan, listed: int | None = None) -> dict[str, Any]:
    """Return one spec's part of the document, in the contract's key order.

    Args:
        spec: The spec's plan.
        listed: How many of its changes it lists; None: all.
    """
    document: dict[str, Any] = {
        "name": spec.name,
        "model": spec.model,
        "items": spec.items,
        "counts": {
            "submit": spec.counts.submit,
            "unchanged": spec.counts.unchanged,
            "in_flight": spec.counts.in_flight,
            "failed": spec.counts.failed,
            "removed": spec.counts.removed,
            "duplicate": spec.counts.duplicate,
        },
        "reasons": {reason.value: spec.reasons.get(reason, 0) for reason in _REASONS},
        "requests": spec.requests,
        "batches": spec.batches,
        "bytes": spec.bytes,
        "estimate": _estimate(spec.estimate),
        "changes": [change_document(change) for change in islice(spec.changes, listed)],
    }
    if spec.changed_files:
        document["changed_files"] = list(spec.changed_files)
    if spec.reworded:
        document["reworded"] = [_reworded(item) for item in spec.reworded]
    if spec.digests:
        document["digests"] = dict(sorted(spec.digests.items()))
    if spec.after:
        document["after"] = list(spec.after)
    return document


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "usd": money(estimate.usd),
        "usd_max": money_ceiling(estimate.usd_max),
        "usd_without_batch": money(estimate.usd_without_batch),
        "usd_min": money_floor(estimate.usd_min),
        "notes": list(estimate.notes),
        "calibrated_by": {"answers": estimate.answers, "counted": estimate.counted},
    }


def change_document(change: Change) -> dict[str, Any]:
    """Return one change as JSON data."""
    document: dict[str, Any] = {
        "key": json.loads(change.key),
        "action": change.action.value,
        "reason": None if change.reason is None else change.reason.value,
        "request_hash": change.request_hash,
    }
    if change.outcome is not None:
        document["outcome"] = change.outcome.name.lower()
    return document


def _reworded(item: Reworded) -> dict[str, Any]:
    return {
        "key": json.loads(item.key),
        "reason": item.reason.value,
        **rewording_document(item.rewording),
    }


def rewording_document(rewording: Rewording) -> dict[str, Any]:
    """Return what differs between two requests as JSON data."""
    return {
        "places": [
            {"path": wording.path, "pieces": [_piece(piece) for piece in wording.pieces]}
            for wording in rewording.wordings
        ],
        "more_places": rewording.more,
    }


def _piece(piece: Piece) -> dict[str, Any]:
    if piece.op == "skipped":
        return {"op": piece.op, "characters": piece.characters}
    return {"op": piece.op, "text": piece.text}


def _read_reworded(document: Mapping[str, Any]) -> Reworded:
    wordings = tuple(
        Wording(path=place["path"], pieces=tuple(Piece(**piece) for piece in place["pieces"]))
        for place in document["places"]
    )
    return Reworded(
        key=json.dumps(document["key"], ensure_ascii=False, separators=(",", ":")),
        reason=Reason(document["reason"]),
        rewording=Rewording(wordings=wordings, more=document["more_places"]),
    )


def _totals(specs: tuple[SpecPlan, ...]) -> dict[str, Any]:
    paying = [spec.estimate for spec in specs if spec.requests]
    return {
        "submit": sum(spec.counts.submit for spec in specs),
        "requests": sum(spec.requests for spec in specs),
        "batches": sum(spec.batches for spec in specs),
        "usd": money(_sum(estimate.usd for estimate in paying)),
        "usd_max": money_ceiling(_sum(estimate.usd_max for estimate in paying)),
    }


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Return the sum, or None when one of the amounts is unknown."""
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def _line(change: Mapping[str, Any]) -> str:
    return json.dumps(change, ensure_ascii=False)
