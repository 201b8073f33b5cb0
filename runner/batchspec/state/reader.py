"""Reading a ledger, whichever database keeps it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from batchspec.durable import disk_errors
from batchspec.errors import StateFailure
from batchspec.plan.model import Outcome
from batchspec.state.database import Database
from batchspec.state.history import (
    RunRecord,
    Transition,
    history_complaints,
    read_runs,
    read_transitions,
)
from batchspec.state.ledger import Known
from batchspec.state.model import Submission, SubmissionState
from batchspec.state.parts import Part, part_of
from batchspec.state.tables import (
    CLAIM_ROWS,
    CLAIMS,
    COLUMNS,
    FORMAT_VERSION,
    KEY_LABEL,
    PART,
    Tails,
    from_row,
    row_sum,
)

_SELECT = f"SELECT {', '.join(COLUMNS)} FROM submissions"  # noqa: S608 - our own column names


class SqlReader:
    """`state.ledger.LedgerReader` over a database that has the ledger's tables."""

    def __init__(self, database: Database) -> None:
        self._db = database
        rows = database.rows("SELECT key, value FROM meta WHERE key <> 'serial'")
        self._meta: dict[str, str] = dict(rows)
        if "lineage" not in self._meta or not str(self._meta.get("format_version", "")).isdecimal():
            raise StateFailure(
                f"The state {database.name} is damaged: it does not tell its format or identity.",
                hint="Restore it from a backup, or move the state folder away and run `batchspec "
                "recover`, which rebuilds it from the API.",
            )
        version = int(self._meta["format_version"])
        if version > FORMAT_VERSION:
            raise StateFailure(
                f"The state {database.name} has format {version}; this batchspec reads up to "
                f"{FORMAT_VERSION}.",
                hint="Upgrade batchspec; an older version must not write a newer state.",
            )

    @property
    def database(self) -> Database:
        """The database, for whoever copies the whole of it."""
        return self._db

    def close(self) -> None:
        """Let go of the database."""
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
        rows = self._db.rows("SELECT value FROM meta WHERE key = ?1", key)
        return str(rows[0][0]) if rows else None

    def submissions(self, states: Sequence[SubmissionState] = ()) -> tuple[Submission, ...]:
        """Return submissions in the order they were prepared."""
        marks = ", ".join(f"?{number}" for number in range(1, len(states) + 1))
        where = f" WHERE state IN ({marks})" if states else ""
        rows = self._db.rows(f"{_SELECT}{where} ORDER BY id", *(str(s) for s in states))
        return tuple(from_row(row) for row in rows)

    def submission(self, tag: str) -> Submission | None:
        """Return one submission."""
        rows = self._db.rows(f"{_SELECT} WHERE tag = ?1", tag)
        return from_row(rows[0]) if rows else None

    def runs(self) -> Iterator[RunRecord]:
        """Yield the remembered commands, the newest first."""
        yield from read_runs(self._db)

    def transitions(self) -> Iterator[Transition]:
        """Yield the remembered steps of submissions, in the order of their writing."""
        yield from read_transitions(self._db)

    def known(self, digest: bytes) -> Known | None:
        """Return what is known of one question."""
        rows = self._db.rows(
            "SELECT outcome, attempt, tag FROM claims JOIN submissions ON id = submission "
            "WHERE digest = ?1",
            digest,
        )
        if not rows:
            return None
        ((outcome, attempt, tag),) = rows
        return Known(outcome=Outcome(outcome), attempt=attempt, tag=tag)

    def known_batches(self) -> frozenset[str]:
        """Return ids of bound and foreign batches."""
        rows = self._db.rows(
            "SELECT batch_id AS id FROM submissions WHERE batch_id IS NOT NULL "
            "UNION SELECT id FROM foreign_batches"
        )
        return frozenset(batch_id for (batch_id,) in rows)

    def bound_batches(self) -> frozenset[str]:
        """Return ids of bound batches."""
        rows = self._db.rows("SELECT batch_id FROM submissions WHERE batch_id IS NOT NULL")
        return frozenset(batch_id for (batch_id,) in rows)

    def key_labels(self) -> dict[str, str]:
        """Return key labels by submission tag."""
        rows = self._db.rows("SELECT key, value FROM meta WHERE key LIKE ?1", f"{KEY_LABEL}%")
        return {key.removeprefix(KEY_LABEL): label for key, label in rows}

    def parts(self) -> dict[str, Part]:
        """Return what submissions are of their commands' work, by tag."""
        rows = self._db.rows("SELECT key, value FROM meta WHERE key LIKE ?1", f"{PART}%")
        return {key.removeprefix(PART): part_of(text) for key, text in rows}

    def part(self, tag: str) -> Part | None:
        """Return what one submission is of its command's work."""
        text = self._fact(f"{PART}{tag}")
        return None if text is None else part_of(text)

    def outcomes(self, tag: str) -> dict[Outcome, int]:
        """Count the questions that a submission holds, by outcome."""
        rows = self._db.rows(
            "SELECT outcome, count(*) FROM claims "
            "WHERE submission = (SELECT id FROM submissions WHERE tag = ?1) GROUP BY outcome",
            tag,
        )
        return {Outcome(outcome): count for outcome, count in rows}

    def totals(self) -> dict[str, dict[Outcome, int]]:
        """Count all questions by spec and outcome, in one pass."""
        found: dict[str, dict[Outcome, int]] = {}
        rows = self._db.rows(
            "SELECT spec, outcome, sum(n) FROM (SELECT submission, outcome, count(*) AS n "
            "FROM claims GROUP BY submission, outcome) AS counted "
            "JOIN submissions ON id = submission GROUP BY spec, outcome ORDER BY spec, outcome"
        )
        for spec, outcome, count in rows:
            found.setdefault(spec, {})[Outcome(outcome)] = int(count)
        return found

    def export_known(self, folder: Path) -> Path:
        """Write what is known as Parquet, once per serial; see `LedgerReader.export_known`."""
        target = self._export_path(folder)
        if target.exists():
            return target
        from batchspec.state.known import write_known  # noqa: PLC0415 - Arrow, only for this

        with disk_errors("write what the state knows"):
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f"known-{self.lineage}.{os.getpid()}.part"
            with self._db.snapshot():
                target = self._export_path(folder)  # the serial of this very snapshot
                write_known(self._db, temporary)
            temporary.replace(target)
            for old in folder.glob("known-*.parquet"):
                if old != target:
                    old.unlink(missing_ok=True)
        return target

    def _export_path(self, folder: Path) -> Path:
        return folder / f"known-{self.lineage}-{self.serial}.parquet"

    def complaints(self) -> tuple[str, ...]:
        """Check every row's checksum and the database's integrity."""
        found: list[str] = []
        try:
            found.extend(self._db.integrity())
            rows = self._db.rows(f"SELECT {', '.join(COLUMNS)}, sum FROM submissions")  # noqa: S608 - our own column names
            found.extend(
                f"submission {row[0]}: its row is damaged"
                for row in rows
                if row_sum(*row[:-1]) != row[-1]
            )
            damaged = self._damaged_claims()
            found.extend(history_complaints(self._db))
        except (StateFailure, ValueError, TypeError) as error:
            return (*found, f"cannot be read: {error}")
        if damaged:
            found.append(f"{damaged} questions' rows are damaged")
        return tuple(found)

    def _damaged_claims(self) -> int:
        tails, claim_sum = Tails(), self._db.claim_sum
        with self._db.snapshot():
            return sum(
                claim_sum(row[0], tails[row[1:6]]) != row[6]
                for rows in self._db.stream(CLAIMS, CLAIM_ROWS)
                for row in rows
            )
