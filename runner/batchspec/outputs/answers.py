"""The answers of one collected submission as a Parquet file: a cache derived from its segment."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from batchspec.durable import disk_errors, publish
from batchspec.outputs.judge import Judgement
from batchspec.outputs.lines import RawAnswer, is_text
from batchspec.outputs.plainlines import PlainAnswers

ROW_GROUP_ROWS: Final = 20_000
ROW_GROUP_BYTES: Final = 16_000_000
"""A row group is cut at whichever comes first, so that memory stays flat for long answers too."""

ANSWER_SCHEMA: Final = pa.schema(
    [
        pa.field("hash", pa.binary(16), nullable=False),
        pa.field("attempt", pa.uint16(), nullable=False),
        pa.field("outcome", pa.uint8(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("stop_reason", pa.string()),
        pa.field("text", pa.string(), nullable=False),
        pa.field("result", pa.string()),
        pa.field("content", pa.string()),
        pa.field("judge", pa.string()),
        pa.field("invalid_reason", pa.string()),
        pa.field("error_type", pa.string()),
        pa.field("error_message", pa.string()),
        pa.field("model", pa.string()),
        pa.field("message_id", pa.string()),
        pa.field("input_tokens", pa.uint32(), nullable=False),
        pa.field("output_tokens", pa.uint32(), nullable=False),
        pa.field("cache_write_5m", pa.uint32(), nullable=False),
        pa.field("cache_write_1h", pa.uint32(), nullable=False),
        pa.field("cache_read", pa.uint32(), nullable=False),
        pa.field("thinking_tokens", pa.uint32(), nullable=False),
        pa.field("inference_geo", pa.string()),
        pa.field("web_searches", pa.uint32(), nullable=False),
    ]
)
"""What differs from row to row; `SUBMISSION_FIELDS` follow and are one value per file.

``content`` holds the blocks of an answer as JSON where they are not simply its text; ``judge`` is
the `Judge.digest` by which outcome and result were found.
"""
FOLDER: Final = "answers-3"
"""Below the cache; named anew whenever the fields change, so that older files are made again."""

SUBMISSION_FIELDS: Final = (
    pa.field("batch_id", pa.string()),
    pa.field("ended_at", pa.timestamp("us")),
    pa.field("submission", pa.string(), nullable=False),
)
FILE_SCHEMA: Final = pa.schema([*ANSWER_SCHEMA, *SUBMISSION_FIELDS])


class AnswerWriter:
    """Streams the answers of one submission into ``path``, which appears only when complete.

    A context manager: leaving it without an exception publishes the file, leaving it with one
    removes what was written.

    Args:
        path: ``<cache>/answers-3/<tag>.parquet``; an existing file is replaced.
        submission: The submission's tag.
        batch_id: The batch that answered.
        ended_at: The server's ``ended_at``; aware, kept in UTC.

    Raises:
        DiskFailure: when the disk refuses.
    """

    def __init__(
        self, path: Path, *, submission: str, batch_id: str | None, ended_at: dt.datetime | None
    ) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        ended = None if ended_at is None else ended_at.astimezone(dt.UTC).replace(tzinfo=None)
        self._constants = (batch_id, ended, submission)
        self._rows: list[tuple[Any, ...]] = []
        self._pieces: list[pa.RecordBatch] = []
        """What came before the rows and is not written yet."""
        self._pending = self._bytes = 0
        self.count = 0
        """Answers added so far."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish the file, or remove it after an exception."""
        try:
            if kind is None:
                self.publish()
        finally:
            self.discard()

    def open(self) -> None:
        """Open the file beside its final place; `publish` or `discard` has to follow."""
        with disk_errors(f"write {self._path.name}"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = pq.ParquetWriter(
                self._part, FILE_SCHEMA, compression="zstd", write_page_checksum=True
            )

    def finish(self) -> None:
        """Write all that was added, beside the final place; nothing can be added afterwards."""
        if self._pending:
            self._flush()
        with disk_errors(f"write {self._path.name}"):
            self._file.close()

    def publish(self) -> None:
        """Let the file appear, complete."""
        self.finish()
        with disk_errors(f"write {self._path.name}"):
            publish(self._part, self._path, size=self._part.stat().st_size)

    def discard(self) -> None:
        """Remove what was not published."""
        with contextlib.suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)

    def add(
        self,
        answer: RawAnswer,
        judgement: Judgement,
        *,
        digest: bytes,
        attempt: int,
        judge: str | None = None,
    ) -> None:
        """Add one answer.

        Args:
            answer: What the API said.
            judgement: What it is worth.
            digest: First 16 bytes of the request hash.
            attempt: 1 for the first ask.
            judge: Digest of the judge whose judgement it is.
        """
        usage, result = answer.usage, judgement.result
        content = None if is_text(answer) else orjson.dumps(answer.content).decode()
        self._rows.append(
            (
                digest,
                attempt,
                int(judgement.outcome),
                answer.kind,
                answer.stop_reason,
                answer.text,
                None if result is None else result.decode(),
                content,
                judge,
                judgement.reason,
                answer.error_type,
                answer.error_message,
                answer.model,
                answer.message_id,
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_write_5m,
                usage.cache_write_1h,
                usage.cache_read,
                usage.thinking_tokens,
                usage.inference_geo,
                usage.web_searches,
            )
        )
        size = sum(map(len, (answer.text, result or b"", content or "")))
        self._added(1, size)

    def add_plain(
        self,
        answers: PlainAnswers,
        *,
        digests: Sequence[bytes],
        attempts: Sequence[int],
        outcomes: Sequence[int],
    ) -> None:
        """Add many answers that any text is right for; see `add`."""
        self._gather()
        given = answers.columns | {
            "hash": digests,
            "attempt": attempts,
            "outcome": outcomes,
            "kind": pa.repeat("succeeded", len(digests)),
        }
        for field in ANSWER_SCHEMA:
            if field.name not in given:
                given[field.name] = pa.nulls(len(digests), field.type)
        self._pieces.append(self._batch([given[name] for name in ANSWER_SCHEMA.names]))
        self._added(len(digests), answers.size)

    def _added(self, count: int, size: int) -> None:
        self.count += count
        self._pending += count
        self._bytes += size
        if self._pending >= ROW_GROUP_ROWS or self._bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _gather(self) -> None:
        """Make a piece of the rows."""
        if self._rows:
            self._pieces.append(self._batch(list(zip(*self._rows, strict=True))))
            self._rows = []

    def _batch(self, columns: list[Any]) -> pa.RecordBatch:
        """Return a piece of the file of columns, Arrow arrays or values, as in `ANSWER_SCHEMA`."""
        arrays = [
            column if isinstance(column, pa.Array) else pa.array(column, field.type)
            for column, field in zip(columns, ANSWER_SCHEMA, strict=True)
        ]
        arrays += [
            pa.repeat(pa.scalar(value, field.type), len(arrays[0]))
            for value, field in zip(self._constants, SUBMISSION_FIELDS, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=FILE_SCHEMA)

    def _flush(self) -> None:
        self._gather()
        table = pa.Table.from_batches(self._pieces, FILE_SCHEMA).combine_chunks()
        with disk_errors(f"write {self._path.name}"):
            self._file.write_table(table, row_group_size=max(self._pending, 1))
        self._pieces = []
        self._pending = self._bytes = 0
