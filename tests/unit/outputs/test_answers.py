"""The answers file of a submission."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchspec.errors import DiskFailure
from batchspec.outputs import answers
from batchspec.outputs.rows import AnswerWriter, Judge, Judgement, RawAnswer, Usage
from batchspec.plan.model import Outcome

DIGEST = bytes(range(16))
ENDED = dt.datetime(2026, 11, 23, 3, 0, tzinfo=dt.timezone(dt.timedelta(hours=2)))


def writer(path: Path) -> AnswerWriter:
    """Return a writer for one submission."""
    return AnswerWriter(path, submission="abcdefgh", batch_id="msgbatch_1", ended_at=ENDED)


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    """Every column of an answer is kept, hostile text included, and times are UTC."""
    path = tmp_path / "answers" / "abcdefgh.parquet"
    text = "a\x00\x1b[31m\u2028=1+1 😀"
    usage = Usage(input_tokens=1, output_tokens=2, cache_write_1h=3, inference_geo="us")
    answer = RawAnswer(custom_id="c", kind="succeeded", text=text, model="m", usage=usage)
    with writer(path) as rows:
        rows.add(
            answer,
            Judgement(outcome=Outcome.INVALID, result='{"é":1}'.encode(), reason="why"),
            digest=DIGEST,
            attempt=2,
            judge="j1",
        )
    assert pq.read_table(path).to_pylist() == [
        {
            "hash": DIGEST,
            "attempt": 2,
            "outcome": 2,
            "kind": "succeeded",
            "stop_reason": None,
            "text": text,
            "result": '{"é":1}',
            "content": None,
            "judge": "j1",
            "invalid_reason": "why",
            "error_type": None,
            "error_message": None,
            "model": "m",
            "message_id": None,
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_write_5m": 0,
            "cache_write_1h": 3,
            "cache_read": 0,
            "thinking_tokens": 0,
            "inference_geo": "us",
            "web_searches": 0,
            "batch_id": "msgbatch_1",
            "ended_at": dt.datetime(2026, 11, 23, 1, 0),  # noqa: DTZ001 - Parquet keeps UTC without a zone
            "submission": "abcdefgh",
        }
    ]
    assert list(path.parent.iterdir()) == [path]


def test_no_answers_is_a_file_too(tmp_path: Path) -> None:
    """A submission without one readable line leaves an empty table, not a missing file."""
    path = tmp_path / "empty.parquet"
    with writer(path) as rows:
        pass
    assert rows.count == 0
    assert pq.read_schema(path).names == answers.FILE_SCHEMA.names
    assert pq.read_metadata(path).num_rows == 0


def test_row_groups_are_bounded(tmp_path: Path) -> None:
    """Row groups are cut by rows and by bytes, so long answers do not fill the memory."""
    path = tmp_path / "long.parquet"
    judge = Judge()
    long = RawAnswer(custom_id="c", kind="succeeded", text="x" * 9_000_000)
    short = RawAnswer(custom_id="c", kind="succeeded", text="x")
    with writer(path) as rows:
        for answer in (long, long, *(short for _ in range(20_001))):
            rows.add(answer, judge.outcome(answer), digest=DIGEST, attempt=1)
    meta = pq.read_metadata(path)
    assert [meta.row_group(n).num_rows for n in range(meta.num_row_groups)] == [2, 20_000, 1]


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    """A collect that fails in the middle leaves neither a file nor a part of one."""
    answer = RawAnswer(custom_id="c", kind="expired")

    def fail() -> None:
        with writer(tmp_path / "a.parquet") as rows:
            rows.add(answer, Judge().outcome(answer), digest=DIGEST, attempt=1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_flipped_bits_are_noticed(tmp_path: Path) -> None:
    """Pages carry checksums: damage in the cache is an error, never a wrong answer."""
    path = tmp_path / "a.parquet"
    answer = RawAnswer(
        custom_id="c", kind="succeeded", text="plain text that is not compressed " * 9
    )
    with writer(path) as rows:
        rows.add(answer, Judge().outcome(answer), digest=DIGEST, attempt=1)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(b"plain")] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(OSError, match=r"CRC|crc"):
        pq.read_table(path, page_checksum_verification=True)


def test_unwritable_folder_is_a_disk_failure(tmp_path: Path) -> None:
    """A place that cannot be written is told as such."""
    (tmp_path / "answers").write_text("a file where the folder should be")
    with pytest.raises(DiskFailure, match=r"a\.parquet"), writer(tmp_path / "answers/a.parquet"):
        pass


def test_schema_has_fixed_types() -> None:
    """The types are those the joins rely on."""
    assert answers.FILE_SCHEMA.field("hash").type == pa.binary(16)
    assert answers.FILE_SCHEMA.field("outcome").type == pa.uint8()
