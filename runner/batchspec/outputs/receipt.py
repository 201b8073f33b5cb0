"""The receipt beside a manifest: what is true of this run only, such as batches and times.

A manifest is committed and equal for equal work; a receipt is not committed, and says when and by
what the answers that stand were made. Nothing is read from it that an output depends on.
"""

# ruff: noqa: S608 - the names in this SQL are ours

from __future__ import annotations

import datetime as dt
import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import batchspec
from batchspec.durable import write_file
from batchspec.events import CheckDone
from batchspec.inputs.engine import Engine
from batchspec.outputs.manifest import plain_usd
from batchspec.outputs.places import Target, refuse_foreign
from batchspec.outputs.profile import Profile, Profiles, read_profiles
from batchspec.outputs.results import ROWS, USAGE, Results
from batchspec.records import frozen
from batchspec.state.model import Submission

FORMAT_VERSION: Final = 1
_TOOLS: Final = ("duckdb", "pyarrow", "anthropic")


@frozen
class Facts:
    """What the answers that stand were made by; the same for all outputs of a spec."""

    batches: tuple[dict[str, Any], ...]
    """One record per batch, in the order in which the batches were created."""
    models: Mapping[str, int]
    """Answered questions by the model that really answered."""


@frozen
class Receipt:
    """What a receipt says that later runs read."""

    sha256: str
    """Digest of the output that it was written for."""
    profile: Profiles | None
    earlier: Profiles | None
    """The profiles that those of this output were compared with."""
    written_at: str
    """ISO 8601, UTC."""


def receipt_facts(engine: Engine, results: Results, submissions: Sequence[Submission]) -> Facts:
    """Return the facts of the answers in the open results.

    Args:
        engine: The engine of the open results.
        results: The open results.
        submissions: Those that answered.
    """
    sums = ", ".join(f"sum({name})::BIGINT" for name in USAGE)
    asked = f"(FROM {ROWS} WHERE has_answer)"
    if results.shared:
        each = ", ".join(f"any_value({name}) AS {name}" for name in (*USAGE, "cost_usd", "model"))
        asked = f"(SELECT submission, {each} FROM {asked} GROUP BY hash, submission)"
    by_tag: dict[str, Sequence[Any]] = {}
    models: Counter[str] = Counter()
    for tag, model, *summed in engine.rows(
        f"SELECT submission, model, count(*), sum(cost_usd), {sums} FROM {asked}"
        " GROUP BY submission, model"
    ):
        by_tag[tag] = [*map(_plus, by_tag[tag], summed)] if tag in by_tag else summed
        if model is not None:
            models[model] += summed[0]
    known = sorted(submissions, key=lambda s: (s.created_at is None, s.created_at, s.tag))
    return Facts(
        batches=tuple(_batch(s, by_tag[s.tag]) for s in known if s.tag in by_tag),
        models=dict(sorted(models.items())),
    )


def _plus(one: Any, other: Any) -> Any:
    """Return a sum in which, as in SQL, what is unknown does not count."""
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _batch(submission: Submission, row: Sequence[Any]) -> dict[str, Any]:
    answers, usd, *usage = row
    return {
        "id": submission.batch_id,
        "submission": submission.tag,
        "created_at": _moment(submission.created_at),
        "ended_at": _moment(submission.ended_at),
        "requests": submission.requests,
        "answers": answers,
        "usage": dict(zip(USAGE, usage, strict=True)),
        "cost": {"usd": None if usd is None else plain_usd(Decimal(usd))},
    }


def _moment(value: dt.datetime | None) -> str | None:
    return None if value is None else value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def keep_receipt(target: Target, body: Mapping[str, Any], now: dt.datetime) -> None:
    """Write a receipt unless the one that stands there says the same but for its time and tools.

    Args:
        target: The output's place.
        body: What it says: see `receipt_body`.
        now: The time of writing.

    Raises:
        Refused: A foreign file has its name.
        DiskFailure: The disk refuses.
    """
    path = target.receipt
    standing = _read(path)
    if standing is not None and {name: standing.get(name) for name in body} == dict(body):
        return
    shown = path.relative_to(target.root).as_posix()
    refuse_foreign(shown, path, ours=standing is not None)
    tools = {name: version(name) for name in _TOOLS}
    document = {
        "format_version": FORMAT_VERSION,
        **body,
        "written_at": _moment(now),
        "tools": {"batchspec": batchspec.__version__, "python": platform.python_version(), **tools},
    }
    write_file(path, [json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"])


def receipt_body(
    *, spec: str, path: str, sha256: str, emulated: bool, facts: Facts
) -> dict[str, Any]:
    """Return what a receipt says beside its time and tools."""
    return {
        "spec": spec,
        "output": {"path": path, "sha256": sha256},
        "emulated": emulated,
        "models": dict(facts.models),
        "batches": list(facts.batches),
    }


def profiles_body(profile: Profiles, earlier: Profiles | None) -> dict[str, Any]:
    """Return what a receipt says of the columns whose drift is checked; empty without any."""
    if not profile:
        return {}
    return {"profile": _documents(profile), "earlier": _documents(earlier or {})}


def _documents(profiles: Mapping[str, Profile]) -> dict[str, Any]:
    return {name: profile.document() for name, profile in sorted(profiles.items())}


def checks_body(checks: Sequence[CheckDone]) -> dict[str, Any]:
    """Return what a receipt says of the checks of the run; empty without any."""
    if not checks:
        return {}
    return {"checks": [_check_document(check) for check in checks]}


def _check_document(check: CheckDone) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": check.name,
        "kind": check.kind,
        "severity": check.severity,
        "verdict": check.verdict,
        "failures": check.failures,
        "detail": check.detail,
    }
    if check.evaluation is not None:
        document["evaluation"] = {
            "compared": check.evaluation.compared,
            "agreed": check.evaluation.agreed,
            "confusion": [list(row) for row in check.evaluation.confusion],
        }
    return document


def read_checks(path: Path) -> tuple[Mapping[str, Any], ...]:
    """Return the checks that the receipt at ``path`` tells of; empty when it tells of none."""
    document = _read(path) or {}
    checks = document.get("checks")
    return tuple(c for c in checks if isinstance(c, dict)) if isinstance(checks, list) else ()


def read_receipt(path: Path) -> Receipt | None:
    """Return the receipt at ``path``; None when there is none, or it is not one of ours."""
    document = _read(path)
    if document is None:
        return None
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        return Receipt(
            sha256=str(document["output"]["sha256"]),
            profile=read_profiles(document.get("profile")),
            earlier=read_profiles(document.get("earlier")),
            written_at=str(document["written_at"]),
        )
    return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
        ours = document["format_version"] == FORMAT_VERSION and "batches" in document
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return document if ours and isinstance(document, dict) else None
