"""The figures of the report's page as JSON: of specs and batches, without the items."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt

    from batchspec.outputs.overview import BatchLine, Overview, SpecOverview
    from batchspec.outputs.spending import Lengths


def overview_json(overview: Overview) -> dict[str, Any]:
    """Return what the page shows of specs and batches; money is decimal text, times are UTC."""
    return {
        "specs": [_spec(spec) for spec in overview.specs],
        "batches": [_batch(batch) for batch in overview.batches],
        "batches_total": overview.batches_total,
    }


def _spec(spec: SpecOverview) -> dict[str, Any]:
    return {
        "name": spec.name,
        "model": spec.model,
        "max_tokens": spec.max_tokens,
        "items": spec.items,
        "statuses": dict(spec.statuses),
        "waiting": spec.waiting or None,
        "lengths": None if spec.lengths is None else _lengths(spec.lengths),
        "length_bins": [{"upto": bin_.upto, "answers": bin_.answers} for bin_ in spec.bins],
        "failures": [
            {
                "status": one.status,
                "kind": one.kind or None,
                "items": one.items,
                "answers": one.answers,
            }
            for one in spec.failures
        ],
        "checks": [dict(check) for check in spec.checks],
    }


def _lengths(lengths: Lengths) -> dict[str, Any]:
    usd = lengths.usd_truncated.normalize() or Decimal(0)
    return {
        "answers": lengths.answers,
        "median": lengths.median,
        "p95": lengths.p95,
        "most": lengths.most,
        "truncated": lengths.truncated,
        "usd_truncated": f"{usd:f}",
    }


def _batch(batch: BatchLine) -> dict[str, Any]:
    created, ended = batch.created_at, batch.ended_at
    took = None
    if created is not None and ended is not None:
        took = round(max(0.0, (ended - created).total_seconds()), 3)
    return {
        "spec": batch.spec,
        "batch_id": batch.batch_id or None,
        "state": batch.state,
        "requests": batch.requests,
        "created_at": _time(created),
        "ended_at": _time(ended),
        "seconds": took,
    }


def _time(value: dt.datetime | None) -> str | None:
    return None if value is None else value.isoformat().replace("+00:00", "Z")
