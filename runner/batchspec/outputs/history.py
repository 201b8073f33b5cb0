"""Every answer that a question ever got, from the answer files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from batchspec.inputs.engine import Engine, quote_literal
from batchspec.outputs.money import cost_expression
from batchspec.plan.cost import ModelPrices
from batchspec.plan.model import Outcome
from batchspec.records import frozen


@frozen
class Asked:
    """One answer to a question."""

    submission: str
    attempt: int
    outcome: Outcome
    batch_id: str | None
    ended_at: dt.datetime | None
    """UTC."""
    text: str
    result: str | None
    """The parsed answer as JSON text, when a schema asked for JSON."""
    detail: str
    """Why it is no usable answer; empty for one that is."""
    input_tokens: int
    """Of the whole prompt, cached parts included."""
    output_tokens: int
    usd: Decimal | None
    """What it cost; None: the model's price is unknown."""


def history(
    engine: Engine, answers: Iterable[Path], digest: bytes, prices: ModelPrices | None
) -> tuple[Asked, ...]:
    """Return the answers to one question (first 16 bytes of its hash), oldest attempt first."""
    files = ", ".join(quote_literal(str(path)) for path in answers)
    if not files:
        return ()
    rows = engine.rows(
        "SELECT submission, attempt, outcome, batch_id, ended_at, text, result,"  # noqa: S608 - quoted
        " coalesce(invalid_reason, error_message, ''),"
        " input_tokens::BIGINT + cache_write_5m + cache_write_1h + cache_read, output_tokens,"
        f" {cost_expression(prices)}"
        f" FROM read_parquet([{files}]) WHERE hash = ? ORDER BY attempt, ended_at",
        (digest,),
    )
    return tuple(
        Asked(
            submission=row[0],
            attempt=row[1],
            outcome=Outcome(row[2]),
            batch_id=row[3],
            ended_at=None if row[4] is None else row[4].replace(tzinfo=dt.UTC),
            text=row[5],
            result=row[6],
            detail=row[7],
            input_tokens=row[8],
            output_tokens=row[9],
            usd=row[10],
        )
        for row in rows
    )
