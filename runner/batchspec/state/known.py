"""What a ledger knows of each question, as a Parquet file that DuckDB reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchspec.errors import StateFailure
from batchspec.state.database import Database
from batchspec.state.tables import CLAIM_ROWS, CLAIMS, Tails

_KNOWN = pa.schema(
    [
        ("hash", pa.binary(16)),
        ("outcome", pa.uint8()),
        ("attempt", pa.uint16()),
        ("submission", pa.string()),
    ]
)


def write_known(database: Database, path: Path) -> None:
    """Write every claim of a ledger to a file.

    Raises:
        StateFailure: A row is damaged.
    """
    with pq.ParquetWriter(path, _KNOWN) as writer:
        for batch in _batches(database):
            writer.write_batch(batch)


def _batches(database: Database) -> Iterator[pa.RecordBatch]:
    tags: dict[int, str] = dict(database.rows("SELECT id, tag FROM submissions"))
    tails, claim_sum = Tails(), database.claim_sum
    for rows in database.stream(CLAIMS, CLAIM_ROWS):
        for row in rows:
            if claim_sum(row[0], tails[row[1:6]]) != row[6]:
                raise StateFailure(
                    f"A row of the state {database.name} is damaged (question {row[0].hex()}).",
                    hint="Restore the state from a backup, or move it away and run "
                    "`batchspec recover`.",
                )
        digests, submissions, attempts, outcomes, *_ = zip(*rows, strict=True)
        yield pa.record_batch(
            [
                pa.array(digests, pa.binary(16)),
                pa.array(outcomes, pa.uint8()),
                pa.array(attempts, pa.uint16()),
                pa.array([tags[number] for number in submissions], pa.string()),
            ],
            schema=_KNOWN,
        )
