"""Writing the SQLite ledger: each call one fenced, durable transaction."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from batchspec.clock import Clock, SystemClock
from batchspec.crashpoints import reached
from batchspec.errors import Refused
from batchspec.plan.model import Outcome
from batchspec.state.claims import CLAIM, claim_rows, refuse_taken, verdict_rows
from batchspec.state.files import TABLE, RememberedFile, read_files, write_files
from batchspec.state.history import TABLES, RunRecord, Transition, write_run, write_transition
from batchspec.state.ledger import Armed, Claim, Fenced
from batchspec.state.model import Submission, SubmissionState, Verdict
from batchspec.state.sqlite import SqliteReader, connect, sqlite_errors
from batchspec.state.tables import (
    COLUMNS,
    FORMAT_VERSION,
    KEY_LABEL,
    SCHEMA,
    from_row,
    row_sum,
    to_row,
)

BALLAST_BYTES = 1 << 20
"""Freed when the disk is full, so that a paid batch's id can still be recorded."""
S = SubmissionState

_READABLE = (int(Outcome.UNCHECKED), int(Outcome.SUCCEEDED), int(Outcome.INVALID))
"""Outcomes of complete answers: which of them holds is the spec's to say."""


class SqliteLedger(SqliteReader):
    """`state.ledger.Ledger` over one SQLite file.

    Args:
        path: The ledger file; created when it does not exist.
        randomness: Source of random bytes, for the lineage.
    """

    def __init__(self, path: Path, randomness: Callable[[int], bytes]) -> None:
        with sqlite_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = connect(path, write=True)
            _create(connection, randomness)
        super().__init__(connection, path)
        connection.create_function("row_sum", -1, row_sum, deterministic=True)
        self._ballast = path.with_name("ballast")
        self.gen = 0
        """Generation of the lease this process holds; 0: none, every write is refused."""
        self.clock: Clock = SystemClock()
        self._run = ""

    @contextlib.contextmanager
    def _transaction(self, name: str, *, moves: bool = True) -> Iterator[sqlite3.Connection]:
        reached(f"{name}:before")
        with sqlite_errors(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._need_lease()
                yield self._db
                if moves:
                    self._db.execute("UPDATE meta SET value = value + 1 WHERE key = 'serial'")
                reached(f"{name}:inside")
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        reached(f"{name}:after")

    def _need_lease(self) -> None:
        row = self._db.execute("SELECT gen FROM lease").fetchone()
        if row is None or row["gen"] != self.gen:
            raise Fenced(
                "Another process took this state over; this one stops.",
                hint="Run `batchspec status` to see what is going on.",
            )

    def _get(self, tag: str) -> tuple[int, Submission]:
        row = self._db.execute("SELECT * FROM submissions WHERE tag = ?", (tag,)).fetchone()
        return row["id"], from_row(row)

    def _move(self, tag: str, allowed: tuple[SubmissionState, ...], **changes: Any) -> int:
        """Change one submission if it is in an allowed state; return its row id."""
        number, old = self._get(tag)
        if old.state not in allowed:
            raise Fenced(
                f"Submission {tag} is {old.state}, not {' or '.join(allowed)}; another process "
                "moved it.",
                hint="Run `batchspec status` to see what is going on.",
            )
        new = dataclasses.replace(old, **changes)
        assignments = ", ".join(f"{column} = ?" for column in (*COLUMNS, "sum"))
        self._db.execute(
            f"UPDATE submissions SET {assignments} WHERE id = ?",  # noqa: S608 - our own names
            [*to_row(new), number],
        )
        if new.state is not old.state:
            self._step(new)
        return number

    def _step(self, now: Submission) -> None:
        step = Transition(
            tag=now.tag, state=now.state, at=self.clock.now(), run=self._run, detail=now.detail
        )
        write_transition(self._db, step)

    def _insert(self, submission: Submission) -> int:
        marks = ", ".join("?" for _ in (*COLUMNS, "sum"))
        cursor = self._db.execute(
            f"INSERT INTO submissions ({', '.join(COLUMNS)}, sum) VALUES ({marks})",  # noqa: S608 - our own names
            to_row(submission),
        )
        if submission.key_label is not None:
            self._db.execute(
                "INSERT INTO meta VALUES (?, ?)",
                (f"{KEY_LABEL}{submission.tag}", submission.key_label),
            )
        self._step(submission)
        return int(cursor.lastrowid or 0)

    def record(self, run: RunRecord) -> None:
        """Remember a command; see `Ledger.record`."""
        with self._transaction("record", moves=False):
            write_run(self._db, run)
        self._run = run.run

    def prepare(self, submission: Submission, claims: Iterable[Claim]) -> None:
        """Record an intent and claim its questions; see `Ledger.prepare`."""
        with self._transaction("prepare"):
            number = self._insert(submission)
            before = self._db.total_changes
            rows = claim_rows(number, claims)
            self._db.executemany(CLAIM, rows)
            refuse_taken(len(rows) - (self._db.total_changes - before))

    def arm(self, tag: str, armed: Armed) -> None:
        """PREPARED → ARMED; see `Ledger.arm`."""
        with self._transaction("arm"):
            self._move(
                tag,
                (S.PREPARED,),
                state=S.ARMED,
                anchor=armed.anchor,
                armed_at=armed.server_time,
                workspace=armed.workspace,
            )

    def rearm(self, tag: str) -> None:
        """ARMED → PREPARED."""
        with self._transaction("rearm"):
            self._move(tag, (S.ARMED,), state=S.PREPARED)

    def unknown(self, tag: str, detail: str) -> None:
        """ARMED → UNKNOWN."""
        with self._transaction("unknown"):
            self._move(tag, (S.ARMED, S.UNKNOWN), state=S.UNKNOWN, detail=detail)

    def bind(self, tag: str, batch_id: str, created_at: dt.datetime) -> None:
        """Whatever had no batch, or lost it, → BOUND; the ballast makes room for it."""
        try:
            self._bind(tag, batch_id, created_at)
        except Exception:
            if not self._ballast.exists():
                raise
            self._ballast.unlink()
            self._bind(tag, batch_id, created_at)

    def _bind(self, tag: str, batch_id: str, created_at: dt.datetime) -> None:
        with self._transaction("bind"):
            self._move(
                tag,
                (S.ARMED, S.UNKNOWN, S.ABANDONED, S.REJECTED, S.LOST_RESULTS),
                state=S.BOUND,
                batch_id=batch_id,
                created_at=created_at,
                detail="",
            )
            self._db.execute("DELETE FROM foreign_batches WHERE id = ?", (batch_id,))

    def reclaim(self, tag: str, claims: Iterable[Claim]) -> int:
        """Give a submission that was given up its free questions back; return how many."""
        with self._transaction("reclaim"):
            number, _ = self._get(tag)
            before = self._db.total_changes
            rows = claim_rows(number, claims)
            self._db.executemany(CLAIM, rows)
            return self._db.total_changes - before

    def keep_ballast(self) -> None:
        """Set room aside for the next `bind`; a full disk shows here, before anything is paid."""
        if not self._ballast.exists():
            self._ballast.write_bytes(b"\0" * BALLAST_BYTES)

    def release(self, tag: str, state: SubmissionState, detail: str) -> None:
        """Free the questions of a submission that provably made nothing."""
        with self._transaction("release"):
            allowed = (S.PREPARED, S.ARMED, S.UNKNOWN)
            number = self._move(tag, allowed, state=state, detail=detail)
            self._db.execute(
                "DELETE FROM claims WHERE submission = ? AND before_submission IS NULL", (number,)
            )
            self._db.execute(
                """
                UPDATE claims SET submission = before_submission, outcome = before_outcome,
                  attempt = attempt - 1, before_submission = NULL, before_outcome = NULL,
                  sum = row_sum(digest, before_submission, attempt - 1, before_outcome, NULL, NULL)
                WHERE submission = ?
                """,
                (number,),
            )

    def ended(self, tag: str, ended_at: dt.datetime | None) -> None:
        """BOUND → ENDED."""
        with self._transaction("ended"):
            self._move(tag, (S.BOUND, S.ENDED), state=S.ENDED, ended_at=ended_at)

    def collect(self, tag: str, segment: str, verdicts: Iterable[Verdict]) -> None:
        """ENDED → COLLECTED, with what each answer says."""
        with self._transaction("collect"):
            number = self._move(tag, (S.ENDED, S.COLLECTED), state=S.COLLECTED, results=segment)
            self._settle(number, verdicts)

    def _settle(self, number: int, verdicts: Iterable[Verdict]) -> None:
        self._db.executemany(
            "UPDATE claims SET outcome = ?, sum = ?, before_submission = NULL, "
            "before_outcome = NULL WHERE digest = ? AND submission = ? AND attempt = ?",
            verdict_rows(number, verdicts),
        )

    def lose(self, tag: str, detail: str) -> None:
        """BOUND or ENDED → LOST_RESULTS; its questions are LOST."""
        with self._transaction("lose"):
            number = self._move(tag, (S.BOUND, S.ENDED), state=S.LOST_RESULTS, detail=detail)
            self._db.execute(
                """
                UPDATE claims SET outcome = :lost, before_submission = NULL, before_outcome = NULL,
                  sum = row_sum(digest, submission, attempt, :lost, NULL, NULL)
                WHERE submission = :number AND outcome = 0
                """,
                {"number": number, "lost": int(Outcome.LOST)},
            )

    def adopt(self, submission: Submission, verdicts: Iterable[Verdict]) -> int:
        """Take in a paid batch that the ledger did not know.

        An answer replaces a failure, never another answer and never a question in flight.
        """
        with self._transaction("adopt"):
            number = self._insert(submission)
            before = self._db.total_changes
            self._db.executemany(
                """
                INSERT INTO claims VALUES (?1, ?4, ?2, ?3, NULL, NULL,
                                           row_sum(?1, ?4, ?2, ?3, NULL, NULL))
                ON CONFLICT (digest) DO UPDATE SET
                  submission = excluded.submission, outcome = excluded.outcome,
                  attempt = max(attempt, excluded.attempt),
                  before_submission = NULL, before_outcome = NULL,
                  sum = row_sum(digest, excluded.submission, max(attempt, excluded.attempt),
                                excluded.outcome, NULL, NULL)
                WHERE claims.outcome NOT IN (0, 1, 11)
                """,
                ((v.digest, v.attempt, int(v.outcome), number) for v in verdicts),
            )
            return self._db.total_changes - before

    def recheck(self, verdicts: Iterable[Verdict]) -> None:
        """Replace the outcomes of readable answers by what a spec's validation says now."""
        with self._transaction("recheck"):
            self._db.executemany(
                """
                UPDATE claims SET outcome = ?2,
                  sum = row_sum(digest, submission, attempt, ?2, before_submission, before_outcome)
                WHERE digest = ?1 AND outcome IN (?3, ?4, ?5)
                """,
                ((v.digest, int(v.outcome), *_READABLE) for v in verdicts),
            )

    def foreign(self, batch_ids: Iterable[str]) -> None:
        """Remember batches that are not ours."""
        with self._transaction("foreign"):
            self._db.executemany(
                "INSERT OR IGNORE INTO foreign_batches VALUES (?)", ((i,) for i in batch_ids)
            )

    def files(self, workspace: str) -> dict[str, RememberedFile]:
        """Return what is remembered of uploaded files; see `Ledger.files`."""
        with sqlite_errors(self._path):
            return read_files(self._db, workspace)

    def remember_files(self, workspace: str, files: Iterable[RememberedFile]) -> None:
        """Remember uploaded files."""
        with self._transaction("files"):
            write_files(self._db, workspace, files)

    def mark_surveyed(self) -> None:
        """Record that the workspace's whole retention period was explained."""
        with self._transaction("surveyed"):
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('surveyed', '1')")

    def doubt_survey(self) -> None:
        """Have the workspace explained again."""
        with self._transaction("unsurveyed"):
            self._db.execute("DELETE FROM meta WHERE key = 'surveyed'")

    def set_kind(self, kind: str) -> None:
        """Fix the state's kind at its first submission."""
        found = self.kind
        if found is None:
            with self._transaction("kind"):
                self._db.execute("INSERT INTO meta VALUES ('kind', ?)", (kind,))
        elif found != kind:
            raise Refused(
                f"This state holds {found} work, but the server that answers is {kind}.",
                hint="Emulated answers must never pass for real ones: point BATCHSPEC_STATE at "
                "another folder, or use --emulate.",
            )

    def copy_to(self, target: Path) -> None:
        """Write a consistent copy of the ledger as one file."""
        target.unlink(missing_ok=True)
        with sqlite_errors(self._path):
            copy = sqlite3.connect(target)
            try:
                self._db.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
            finally:
                copy.close()

    def take_lease(self, holder: str, now: dt.datetime) -> None:
        """Become the writer: raise the generation, which fences every earlier holder."""
        with sqlite_errors(self._path):
            self._db.execute(
                "INSERT INTO lease VALUES (1, 1, ?, ?) ON CONFLICT (one) DO UPDATE SET "
                "gen = gen + 1, holder = excluded.holder, beat_at = excluded.beat_at",
                (holder, now.isoformat()),
            )
            self.gen = self._db.execute("SELECT gen FROM lease").fetchone()["gen"]


def _create(connection: sqlite3.Connection, randomness: Callable[[int], bytes]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    if found is None:
        for statement in SCHEMA.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("format_version", FORMAT_VERSION),
                ("lineage", randomness(8).hex()),
                ("serial", 0),
            ],
        )
    for table in (TABLE, *TABLES):
        connection.execute(table)
    connection.execute("COMMIT")
