"""What a person looks at after a run: items, batches and figures of a project, as records.

Everything that grows with the number of items is a sum or a sample, so a page made from it stays
small for a million items.
"""

# ruff: noqa: S608 - the names in this SQL are ours.

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import field
from decimal import Decimal
from typing import Any, Final

from batchspec.inputs.engine import Engine, quote_literal
from batchspec.outputs.results import RESULTS, STATUS, error_expression
from batchspec.outputs.spending import Asked, Bin, Lengths, Spending
from batchspec.records import frozen
from batchspec.state.runs import RunHistory

ROW_CHARACTERS: Final = 600
ANSWER_CHARACTERS: Final = 1500
KINDS: Final = 20
"""Failures of so many kinds are told."""


@frozen
class ItemLine:
    """One item of the sample; long texts are cut."""

    key: str
    """Canonical JSON."""
    status: str
    row: str
    """The input row as JSON."""
    prompt: str
    """What was sent, as text; empty when it is not to be found any more."""
    answer: str
    detail: str
    """Why there is no usable answer."""
    output_tokens: int
    usd: Decimal | None
    hash: bytes
    """The request hash, 32 bytes."""


@frozen
class FailureKind:
    """One way in which answers are of no use."""

    status: str
    kind: str
    """The type of an error, or why an answer stopped; may be empty."""
    items: int
    """Items whose last answer failed so."""
    answers: int
    """Answers that failed so, those included that were asked again."""


@frozen
class SpecOverview:
    """Where a spec stands."""

    name: str
    model: str
    max_tokens: int
    items: int
    statuses: tuple[tuple[str, int], ...]
    """Items by status; empty while some have no answer yet."""
    waiting: str
    """Why its items are not shown, in a sentence; empty: they are."""
    lengths: Lengths | None
    bins: tuple[Bin, ...]
    """Complete answers by length."""
    failures: tuple[FailureKind, ...]
    """What its items and all of its answers failed by."""
    checks: tuple[Mapping[str, Any], ...]
    """As the receipt of its first output has them."""
    lines: tuple[ItemLine, ...]
    """A sample of the items, those that failed first."""


@frozen
class BatchLine:
    """One submission."""

    spec: str
    batch_id: str
    state: str
    requests: int
    created_at: dt.datetime | None
    ended_at: dt.datetime | None


@frozen
class Overview:
    """A project."""

    project: str
    made_at: dt.datetime
    spending: Spending
    specs: tuple[SpecOverview, ...]
    batches: tuple[BatchLine, ...]
    """The newest ones, newest first."""
    batches_total: int
    history: RunHistory = field(default_factory=RunHistory)
    """The commands that were given, the newest ones first."""


def failed_items(engine: Engine) -> dict[tuple[str, str], int]:
    """Count the items of the open results without a usable answer, by status and kind."""
    return _counted(engine, f"SELECT status, error, stop_reason FROM {RESULTS}")


def failed_answers(engine: Engine, asked: Sequence[Asked]) -> dict[tuple[str, str], int]:
    """Count the answers of some submissions that are of no use, by status and kind."""
    files = ", ".join(quote_literal(str(one.path)) for one in asked)
    if not files:
        return {}
    columns = f"{STATUS} AS status, {error_expression()} AS error, stop_reason"
    return _counted(engine, f"SELECT {columns} FROM read_parquet([{files}])")


def _counted(engine: Engine, source: str) -> dict[tuple[str, str], int]:
    rows = engine.rows(
        "SELECT status, coalesce(error.type, stop_reason, '') AS kind, count(*) AS n"
        f" FROM ({source}) WHERE status <> 'succeeded' GROUP BY ALL"
        f" ORDER BY n DESC, status, kind LIMIT {KINDS}"
    )
    return {(status, kind): count for status, kind, count in rows}


def failures_by_kind(
    items: Mapping[tuple[str, str], int], answers: Mapping[tuple[str, str], int]
) -> tuple[FailureKind, ...]:
    """Return both counts together, the kinds of most items first."""
    found = [
        FailureKind(status=status, kind=kind, items=items.get(one, 0), answers=answers.get(one, 0))
        for one in {**items, **answers}
        for status, kind in [one]
    ]
    ordered = sorted(found, key=lambda one: (-one.items, -one.answers, one.status, one.kind))
    return tuple(ordered[:KINDS])


def sample_lines(engine: Engine, count: int) -> tuple[ItemLine, ...]:
    """Return items of the open results, failures first; the same ones each time.

    Args:
        engine: The engine of the open results.
        count: How many.
    """
    rows = engine.rows(
        "SELECT key_json, status, request_hash, to_json(input)::VARCHAR, result::VARCHAR,"
        " coalesce(error.message, CASE WHEN status <> 'succeeded' THEN 'stop_reason ' ||"
        " stop_reason END, ''), output_tokens, cost_usd"
        f" FROM {RESULTS} ORDER BY status = 'succeeded', request_hash, key_json LIMIT {int(count)}"
    )
    return tuple(_line(row) for row in rows)


def _line(row: Sequence[Any]) -> ItemLine:
    key, status, digest, given, answer, detail, tokens, usd = row
    return ItemLine(
        key=key,
        status=status,
        row=cut(given, ROW_CHARACTERS),
        prompt="",
        answer=cut(answer or "", ANSWER_CHARACTERS),
        detail=cut(detail, ROW_CHARACTERS),
        output_tokens=tokens,
        usd=None if usd is None else Decimal(usd),
        hash=bytes.fromhex(digest),
    )


def cut(text: str, most: int) -> str:
    """Return the text, or its beginning with a mark that says how much is left out."""
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most:,} characters more)"
