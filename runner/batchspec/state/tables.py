"""The ledger's tables, its row checksums, and rows as records."""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Sequence
from typing import Any

import orjson

from batchspec.state.model import Submission, SubmissionState

FORMAT_VERSION = 1
KEY_LABEL = "key_label:"
"""Keys of `meta` that hold a submission's key label begin so; its tag follows."""
PART = "part:"
"""The same of what a submission is of its command's work."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE submissions (
  id INTEGER PRIMARY KEY,
  tag TEXT NOT NULL UNIQUE, spec TEXT NOT NULL, state TEXT NOT NULL,
  requests INTEGER NOT NULL, bytes INTEGER NOT NULL, segment TEXT, betas TEXT NOT NULL,
  batch_id TEXT UNIQUE, anchor TEXT, armed_at TEXT, workspace TEXT, created_at TEXT, ended_at TEXT,
  results TEXT, prepared_at TEXT, usd_max TEXT, detail TEXT NOT NULL, sum INTEGER NOT NULL
);
CREATE TABLE claims (
  digest BLOB PRIMARY KEY, submission INTEGER NOT NULL REFERENCES submissions(id),
  attempt INTEGER NOT NULL, outcome INTEGER NOT NULL,
  before_submission INTEGER, before_outcome INTEGER, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE foreign_batches (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE lease (
  one INTEGER PRIMARY KEY CHECK (one = 1), gen INTEGER NOT NULL, holder TEXT NOT NULL,
  beat_at TEXT NOT NULL
);
"""
"""`before_*` is what a claim takes over from, restored when its submission is released."""

CLAIMS = (
    "SELECT digest, submission, attempt, outcome, before_submission, before_outcome, sum "
    "FROM claims ORDER BY digest"
)
CLAIM_ROWS = 20_000
"""So many claims are read at once."""

COLUMNS = (
    "tag",
    "spec",
    "state",
    "requests",
    "bytes",
    "segment",
    "betas",
    "batch_id",
    "anchor",
    "armed_at",
    "workspace",
    "created_at",
    "ended_at",
    "results",
    "prepared_at",
    "usd_max",
    "detail",
)
TIMES = frozenset(("armed_at", "created_at", "ended_at", "prepared_at"))


def row_sum(*values: object) -> int:
    """Return a CRC-32 over the values of a row; SQLite itself keeps no page checksums."""
    return zlib.crc32(repr(values).encode())


def sum_tail(*after: int | None) -> str:
    """Return what `claim_sum` needs of a claim's values but the digest: many claims share it."""
    return f", {repr(after)[1:]}"


class Tails(dict[tuple[int | None, ...], str]):
    """`sum_tail` by the values behind a claim's digest: most claims share theirs."""

    def __missing__(self, after: tuple[int | None, ...]) -> str:
        tail = self[after] = sum_tail(*after)
        return tail


def claim_sum(digest: bytes, tail: str) -> int:
    """Return the `row_sum` of a claim, in half the time; see `sum_tail`."""
    return zlib.crc32(f"({digest!r}{tail}".encode())


def to_row(submission: Submission) -> list[Any]:
    """Return the submission's values in the order of `COLUMNS`, followed by their checksum."""
    values: list[Any] = []
    for column in COLUMNS:
        value = getattr(submission, column)
        if isinstance(value, dt.datetime):
            value = value.isoformat()
        elif column == "betas":
            value = orjson.dumps(value).decode()
        elif column == "state":
            value = str(value)
        values.append(value)
    return [*values, row_sum(*values)]


def from_row(row: Sequence[Any]) -> Submission:
    """Return the record of a row of `COLUMNS`."""
    values: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
    for column in TIMES:
        if values[column] is not None:
            values[column] = dt.datetime.fromisoformat(values[column])
    values["betas"] = tuple(orjson.loads(values["betas"]))
    values["state"] = SubmissionState(values["state"])
    return Submission(**values)
