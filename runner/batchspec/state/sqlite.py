"""Reading the SQLite ledger: one file, WAL, never blocked by the writer."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from batchspec.durable import disk_errors
from batchspec.errors import StateFailure
from batchspec.plan.model import Outcome
from batchspec.state.history import (
    RunRecord,
    Transition,
    history_complaints,
    read_runs,
    read_transitions,
)
from batchspec.state.ledger import Known
from batchspec.state.model import Submission, SubmissionState
from batchspec.state.tables import (
    COLUMNS,
    FORMAT_VERSION,
    KEY_LABEL,
    claim_sum,
    from_row,
    row_sum,
    sum_tail,
)

EXPORT_ROWS = 100_000
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM submissions"  # noqa: S608 - our own column names
_KNOWN = pa.schema(
    [
        ("hash", pa.binary(16)),
        ("outcome", pa.uint8()),
        ("attempt", pa.uint16()),
        ("submission", pa.string()),
    ]
)


class _Tails(dict[tuple[int | None, ...], str]):
    """`sum_tail` by the values behind a claim's digest: most claims share theirs."""

    def __missing__(self, after: tuple[int | None, ...]) -> str:
        tail = self[after] = sum_tail(*after)
        return tail


@contextlib.contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a `StateFailure` that says what to do."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        raise StateFailure(
            f"The state {path} could not be read or written: {error}.",
            hint="If the disk is full or read-only, fix that and run the same command again. If "
            "the file is damaged, restore it from a backup, or move the state folder away and run "
            "`batchspec recover`, which rebuilds it from the API.",
        ) from error


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open the ledger file with the settings that survived the power-cut tests."""
    mode = "rwc" if write else "ro"
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=30
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    if write:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open for reading; a state in a folder that cannot be written is read as a frozen file."""
    connection = connect(path, write=False)
    try:
        connection.execute("SELECT 1 FROM meta").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        connection.row_factory = sqlite3.Row
    return connection


class SqliteReader:
    """`state.ledger.LedgerReader` over one SQLite file."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path
        with sqlite_errors(path):
            self._meta = dict(
                connection.execute("SELECT key, value FROM meta WHERE key <> 'serial'").fetchall()
            )
        version = int(self._meta["format_version"])
        if version > FORMAT_VERSION:
            raise StateFailure(
                f"The state {path} has format {version}; this batchspec reads up to "
                f"{FORMAT_VERSION}.",
                hint="Upgrade batchspec; an older version must not write a newer state.",
            )

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing ledger for reading.

        Raises:
            StateFailure: when it is damaged or newer than this program.
        """
        with sqlite_errors(path):
            return cls(connect_reader(path), path)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    @property
    def lineage(self) -> str:
        """Random identity of this ledger."""
        return str(self._meta["lineage"])

    @property
    def serial(self) -> int:
        """Number of transactions so far."""
        return int(self._fact("serial") or 0)

    @property
    def kind(self) -> str | None:
        """``real``, ``emulated``, or None before the first submission."""
        return self._fact("kind")

    @property
    def surveyed(self) -> bool:
        """Whether the workspace was compared with this ledger over its whole retention period."""
        return self._fact("surveyed") is not None

    def _fact(self, key: str) -> str | None:
        with sqlite_errors(self._path):
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row["value"])

    def submissions(self, states: Sequence[SubmissionState] = ()) -> tuple[Submission, ...]:
        """Return submissions in the order they were prepared."""
        marks = ", ".join("?" for _ in states)
        where = f" WHERE state IN ({marks})" if states else ""
        with sqlite_errors(self._path):
            rows = self._db.execute(f"{_SELECT}{where} ORDER BY id", [str(s) for s in states])
            return tuple(from_row(row) for row in rows)

    def submission(self, tag: str) -> Submission | None:
        """Return one submission."""
        with sqlite_errors(self._path):
            row = self._db.execute(f"{_SELECT} WHERE tag = ?", (tag,)).fetchone()
            return None if row is None else from_row(row)

    def runs(self) -> Iterator[RunRecord]:
        """Yield remembered commands, the newest first."""
        with sqlite_errors(self._path):
            yield from read_runs(self._db)

    def transitions(self) -> Iterator[Transition]:
        """Yield remembered steps of submissions, in the order in which they were written."""
        with sqlite_errors(self._path):
            yield from read_transitions(self._db)

    def known(self, digest: bytes) -> Known | None:
        """Return what is known of one question."""
        with sqlite_errors(self._path):
            row = self._db.execute(
                "SELECT outcome, attempt, tag FROM claims JOIN submissions ON id = submission "
                "WHERE digest = ?",
                (digest,),
            ).fetchone()
        if row is None:
            return None
        return Known(outcome=Outcome(row["outcome"]), attempt=row["attempt"], tag=row["tag"])

    def known_batches(self) -> frozenset[str]:
        """Return ids of bound and foreign batches."""
        with sqlite_errors(self._path):
            rows = self._db.execute(
                "SELECT batch_id AS id FROM submissions WHERE batch_id IS NOT NULL "
                "UNION SELECT id FROM foreign_batches"
            )
            return frozenset(row["id"] for row in rows)

    def bound_batches(self) -> frozenset[str]:
        """Return ids of bound batches."""
        with sqlite_errors(self._path):
            rows = self._db.execute(
                "SELECT batch_id AS id FROM submissions WHERE batch_id IS NOT NULL"
            )
            return frozenset(row["id"] for row in rows)

    def key_labels(self) -> dict[str, str]:
        """Return key labels by submission tag."""
        with sqlite_errors(self._path):
            rows = self._db.execute(
                "SELECT substr(key, ?) AS tag, value FROM meta WHERE key GLOB ?",
                (len(KEY_LABEL) + 1, f"{KEY_LABEL}*"),
            )
            return {row["tag"]: row["value"] for row in rows}

    def outcomes(self, tag: str) -> dict[Outcome, int]:
        """Count the questions that a submission holds, by outcome."""
        with sqlite_errors(self._path):
            rows = self._db.execute(
                "SELECT outcome, count(*) AS n FROM claims "
                "WHERE submission = (SELECT id FROM submissions WHERE tag = ?) GROUP BY outcome",
                (tag,),
            )
            return {Outcome(row["outcome"]): row["n"] for row in rows}

    def totals(self) -> dict[str, dict[Outcome, int]]:
        """Count all questions by spec and outcome, in one pass."""
        found: dict[str, dict[Outcome, int]] = {}
        with sqlite_errors(self._path):
            rows = self._db.execute(
                "SELECT spec, outcome, sum(n) AS n FROM (SELECT submission, outcome, count(*) AS n "
                "FROM claims GROUP BY submission, outcome) JOIN submissions ON id = submission "
                "GROUP BY spec, outcome ORDER BY spec, outcome"
            )
            for row in rows:
                found.setdefault(row["spec"], {})[Outcome(row["outcome"])] = row["n"]
        return found

    def export_known(self, folder: Path) -> Path:
        """Write what is known as Parquet, once per serial; see `LedgerReader.export_known`."""
        target = folder / f"known-{self.lineage}-{self.serial}.parquet"
        if target.exists():
            return target
        with disk_errors(f"write {target.name}"):
            folder.mkdir(parents=True, exist_ok=True)
            temporary = target.with_suffix(f".{os.getpid()}.part")
            with sqlite_errors(self._path), pq.ParquetWriter(temporary, _KNOWN) as writer:
                for batch in self._known_batches_of_rows():
                    writer.write_batch(batch)
            temporary.replace(target)
            for old in folder.glob("known-*.parquet"):
                if old != target:
                    old.unlink(missing_ok=True)
        return target

    def _known_batches_of_rows(self) -> Iterator[pa.RecordBatch]:
        tags = dict(self._db.execute("SELECT id, tag FROM submissions").fetchall())
        cursor = self._db.cursor()
        cursor.row_factory = None  # plain tuples: a million rows pass through here
        cursor.execute(
            "SELECT digest, submission, attempt, outcome, before_submission, before_outcome, sum "
            "FROM claims ORDER BY digest"
        )
        tails = _Tails()
        while rows := cursor.fetchmany(EXPORT_ROWS):
            for row in rows:
                if claim_sum(row[0], tails[row[1:6]]) != row[6]:
                    raise StateFailure(
                        f"A row of the state {self._path} is damaged (question {row[0].hex()}).",
                        hint="Restore the state from a backup, or move the state folder away and "
                        "run `batchspec recover`.",
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

    def complaints(self) -> tuple[str, ...]:
        """Check every row's checksum and the file's integrity."""
        found: list[str] = []
        try:
            lines = [line for (line,) in self._db.execute("PRAGMA integrity_check")]
            found.extend(f"SQLite: {line}" for line in lines if line != "ok")
            rows = self._db.execute(f"SELECT {', '.join(COLUMNS)}, sum FROM submissions")  # noqa: S608 - our own column names
            found.extend(
                f"submission {row['tag']}: its row is damaged"
                for row in rows
                if row_sum(*row[:-1]) != row["sum"]
            )
            damaged = sum(
                row_sum(*row[:6]) != row[6]
                for row in self._db.execute(
                    "SELECT digest, submission, attempt, outcome, before_submission, "
                    "before_outcome, sum FROM claims"
                )
            )
            found.extend(history_complaints(self._db))
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            return (*found, f"cannot be read: {error}")
        if damaged:
            found.append(f"{damaged} questions' rows are damaged")
        return tuple(found)
