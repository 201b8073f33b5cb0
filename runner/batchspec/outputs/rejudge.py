"""Adopted answers meet their spec: what `recover` took in unchecked is judged before writing."""

# ruff: noqa: S608 - the names in this SQL are ours.

from __future__ import annotations

from typing import Final

import pyarrow as pa

from batchspec.inputs.engine import Engine
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
    ]
)
_CHUNK: Final = 10_000
_REMADE: Final = (
    f" OR (k.outcome IN ({int(Outcome.SUCCEEDED)}, {int(Outcome.INVALID)})"
    " AND a.result IS NULL AND a.invalid_reason IS NULL)"
)


def judge_unchecked(
    engine: Engine, answers: str, known: str, judge: Judge, *, structured: bool
) -> None:
    """Make the table `JUDGED` of verdicts on the answers whose outcome is UNCHECKED.

    Answer files that were made anew from their segments know no schema: what is complete and lacks
    its parsed result is judged as well.

    Args:
        engine: Where the relations are.
        answers: Relation of answers.
        known: Relation of what the state knows of questions.
        judge: The spec's judge.
        structured: Whether the spec has a schema, so that complete answers have a parsed result.
    """
    engine.register(JUDGED, _SCHEMA.empty_table())
    rows = engine.rows(
        f"SELECT a.hash, a.submission, a.text FROM {answers} a JOIN {known} k"
        " ON a.hash = k.hash AND a.submission = k.submission"
        f" WHERE k.outcome = {int(Outcome.UNCHECKED)}{_REMADE if structured else ''}"
    )
    judged: list[tuple[object, ...]] = []
    for digest, submission, text in rows:
        verdict = judge.text(text)
        result = None if verdict.result is None else verdict.result.decode()
        judged.append((digest, submission, int(verdict.outcome), result, verdict.reason))
        if len(judged) == _CHUNK:
            _append(engine, judged)
            judged = []
    if judged:
        _append(engine, judged)


def _append(engine: Engine, judged: list[tuple[object, ...]]) -> None:
    columns = zip(*judged, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    engine.append(JUDGED, pa.Table.from_arrays(arrays, schema=_SCHEMA))
