"""Aggregating what answers used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from batchspec.inputs.engine import Engine
from batchspec.outputs.calibration import calibrate
from batchspec.outputs.rows import AnswerWriter, Judge, RawAnswer, Usage
from batchspec.plan.calibration import Calibration, FileUse

OLD: Final = "old"


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
    found = calibrate(
        engine, [path], {digest(0): (350, 0, 0), digest(1): (700, 0, 0), digest(2): (9, 0, 0)}, OLD
    )
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
    assert (
        calibrate(engine, [answered(tmp_path, None)], {digest(0): (9, 0, 0)}, OLD) == Calibration()
    )


def test_answers_without_their_requests_tell_of_the_output_only(
    engine: Engine, tmp_path: Path
) -> None:
    """The ratio of input tokens stays one."""
    path = answered(tmp_path, Usage(input_tokens=108, output_tokens=10))
    found = calibrate(engine, [path], {}, OLD)
    assert found == Calibration(output_tokens=Decimal(10), output_percentile=10, answers=1)


def test_web_searches_are_counted(engine: Engine, tmp_path: Path) -> None:
    """Each costs by itself, so their number is part of the next estimate."""
    path = answered(
        tmp_path,
        Usage(input_tokens=1, web_searches=4),
        Usage(input_tokens=1),
        Usage(input_tokens=1, web_searches=1),
    )
    found = calibrate(engine, [path], {}, OLD)
    assert (found.searches, found.most_searches) == (Decimal("1.67"), 4)


def test_files_of_unknown_size_are_told_apart_from_text(engine: Engine, tmp_path: Path) -> None:
    """Text is judged where it stands alone; the rest of the other prompts is their files'."""
    used = [108, 108 + 1000, 108 + 2 * 1600, 108 + 1300 + 5000]
    path = answered(tmp_path, *(Usage(input_tokens=tokens, output_tokens=1) for tokens in used))
    files = [(0, 0), (1, 0), (2, 0), (1, 1)]
    asked = {digest(number): (350, *each) for number, each in enumerate(files)}
    found = calibrate(engine, [path], asked, OLD)
    assert found.input_ratio == found.input_most == 1
    assert found.images == FileUse(mean=Decimal(1400), most=1600, requests=2)
    assert found.documents == FileUse(mean=Decimal(4900), most=4900, requests=1)
