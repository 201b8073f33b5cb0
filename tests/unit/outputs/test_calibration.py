"""Aggregating what answers used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from batchspec.inputs.engine import Engine
from batchspec.outputs.calibration import calibrate
from batchspec.outputs.rows import AnswerWriter, Judge, RawAnswer, Usage
from batchspec.plan.estimate import Calibration

OLD = Decimal("3.5")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Yield an engine that may read the test's folder."""
    with Engine.open(root=tmp_path, temp=tmp_path / "tmp") as opened:
        yield opened


def answered(folder: Path, *usages: Usage | None) -> Path:
    """Write a file of answers; None stands for one that errored."""
    path = folder / "abcdefgh.parquet"
    writer = AnswerWriter(path, submission="abcdefgh", batch_id="msgbatch_1", ended_at=None)
    judge = Judge(None)
    with writer:
        for number, usage in enumerate(usages):
            answer = RawAnswer(custom_id="c", kind="errored", error_type="api_error")
            if usage is not None:
                answer = RawAnswer(custom_id="c", kind="succeeded", text="x", usage=usage)
            writer.add(answer, judge.outcome(answer), digest=digest(number), attempt=1)
    return path


def digest(number: int) -> bytes:
    """Return the key of a question."""
    return hashlib.sha256(str(number).encode()).digest()[:16]


def test_ratios_means_and_percentiles_are_exact(engine: Engine, tmp_path: Path) -> None:
    """Prompts count with their cached parts; answers that errored count for nothing."""
    path = answered(
        tmp_path,
        Usage(input_tokens=108, output_tokens=10),
        Usage(input_tokens=8, output_tokens=20, cache_read=300),
        None,
        Usage(input_tokens=9, output_tokens=90, cache_write_1h=100),
    )
    found = calibrate(engine, [path], {digest(0): 350, digest(1): 700, digest(2): 9}, OLD)
    assert found == Calibration(
        input_ratio=Decimal("1.333"),
        input_most=Decimal("1.500"),
        output_tokens=Decimal("40.00"),
        output_percentile=90,
        hit_rate=Decimal("0.75"),
        answers=3,
    )


def test_nothing_is_learned_from_nothing(engine: Engine, tmp_path: Path) -> None:
    """Without files, or with nothing but errors in them, the guess stays the guess."""
    assert calibrate(engine, [], {}, OLD) == Calibration()
    assert calibrate(engine, [answered(tmp_path, None)], {digest(0): 9}, OLD) == Calibration()


def test_answers_without_their_requests_tell_of_the_output_only(
    engine: Engine, tmp_path: Path
) -> None:
    """The ratio of input tokens stays one."""
    path = answered(tmp_path, Usage(input_tokens=108, output_tokens=10))
    found = calibrate(engine, [path], {}, OLD)
    assert found == Calibration(output_tokens=Decimal(10), output_percentile=10, answers=1)
