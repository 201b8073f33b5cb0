"""Answers without their spec's verdict in their file meet it before they are written.

Three kinds: what `recover` adopted unchecked, what was derived anew from a segment when nobody knew
which spec asked, and what was judged by another form than the spec has now: a pattern, a local
schema or the way of reading can change without asking again.
"""

# ruff: noqa: S608 - the names in this SQL are ours.

from __future__ import annotations

import json
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from batchspec.inputs.engine import Engine, quote_literal
from batchspec.outputs.judge import Judge
from batchspec.plan.model import Outcome

JUDGED: Final = "batchspec_judged"
_SCHEMA: Final = pa.schema(
    [
        ("hash", pa.binary()),
        ("submission", pa.string()),
        ("outcome", pa.uint8()),
        ("result", pa.string()),
        ("invalid_reason", pa.string()),
        ("known", pa.uint8()),
    ]
)
_CHUNK: Final = 10_000


def judge_again(engine: Engine, answers: str, known: str, judge: Judge) -> int:
    """Make the table `JUDGED` of verdicts on the answers that lack one.

    Its column ``known`` is the outcome that the ledger has.

    Args:
        engine: Where the relations are.
        answers: Relation of answers.
        known: Relation of what the state knows of questions.
        judge: The spec's judge.

    Returns:
        How many there are.
    """
    engine.register(JUDGED, _SCHEMA.empty_table())
    digest = "NULL" if judge.digest is None else quote_literal(judge.digest)
    judged = f"{int(Outcome.SUCCEEDED)}, {int(Outcome.INVALID)}"
    rows = engine.rows(
        f"SELECT a.hash, a.submission, a.text, a.content, k.outcome FROM {answers} a JOIN {known} k"
        f" ON a.hash = k.hash AND a.submission = k.submission"
        f" WHERE k.outcome = {int(Outcome.UNCHECKED)}"
        f" OR (k.outcome IN ({judged}) AND (a.judge IS DISTINCT FROM {digest}"
        f" OR (a.outcome IN ({judged}) AND a.outcome <> k.outcome)))"
    )
    count = 0
    while chunk := [_judged(row, judge) for row in islice(rows, _CHUNK)]:
        _append(engine, chunk)
        count += len(chunk)
    return count


def _judged(row: tuple[Any, ...], judge: Judge) -> tuple[object, ...]:
    digest, submission, text, content, outcome = row
    verdict = judge.complete(text, () if content is None else json.loads(content))
    result = None if verdict.result is None else verdict.result.decode()
    return digest, submission, int(verdict.outcome), result, verdict.reason, outcome


def _append(engine: Engine, judged: list[tuple[object, ...]]) -> None:
    columns = zip(*judged, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    engine.append(JUDGED, pa.Table.from_arrays(arrays, schema=_SCHEMA))
