"""Writing a ledger, whichever database keeps it: each call one fenced, durable transaction."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

from batchspec.clock import Clock, SystemClock
from batchspec.crashpoints import reached
from batchspec.errors import Refused
from batchspec.state.claims import (
    ADOPT,
    CLAIM,
    FREE,
    LOSE,
    RECHECK,
    adopted_rows,
    claim_rows,
    refuse_taken,
    settle,
)
from batchspec.state.database import Database
from batchspec.state.files import RememberedFile, read_files, write_files
from batchspec.state.history import RunRecord, Transition, write_run, write_transition
from batchspec.state.ledger import Armed, Claim, Fenced
from batchspec.state.model import Submission, SubmissionState, Verdict
from batchspec.state.parts import part_json
from batchspec.state.reader import SqlReader
from batchspec.state.tables import COLUMNS, KEY_LABEL, PART, from_row, to_row

S = SubmissionState
_SUBMISSION = f"""
INSERT INTO submissions ({", ".join(COLUMNS)}, sum)
VALUES ({", ".join(f"?{number}" for number in range(1, len(COLUMNS) + 2))}) RETURNING id
"""  # noqa: S608 - our own column names
_MOVED = ", ".join(
    f"{column} = ?{number}" for number, column in enumerate((*COLUMNS, "sum"), start=1)
)
_MOVE = f"UPDATE submissions SET {_MOVED} WHERE id = ?{len(COLUMNS) + 2}"  # noqa: S608 - our own column names
_GET = f"SELECT id, {', '.join(COLUMNS)} FROM submissions WHERE tag = ?1"  # noqa: S608 - our own column names
_SERIAL = "UPDATE meta SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE key = 'serial'"


class SqlLedger(SqlReader):
    """`state.ledger.Ledger` over a database that has the ledger's tables."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.gen = 0
        """Generation of the lease this process holds; 0: none, every write is refused."""
        self.clock: Clock = SystemClock()
        self._run = ""

    @contextlib.contextmanager
    def _transaction(self, name: str, *, moves: bool = True) -> Iterator[None]:
        reached(f"{name}:before")
        self._db.begin()
        try:
            self._need_lease()
            yield
            if moves:
                self._db.change(_SERIAL)
            reached(f"{name}:inside")
            self._db.commit()
        except BaseException:
            self._db.rollback()
            raise
        reached(f"{name}:after")

    def _need_lease(self) -> None:
        found = self._db.generation()
        if not found or found != self.gen:
            raise Fenced(
                "Another process took this state over; this one stops.",
                hint="Run `batchspec status` to see what is going on.",
            )

    def _get(self, tag: str) -> tuple[int, Submission]:
        ((number, *row),) = self._db.rows(_GET, tag)
        return number, from_row(row)

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
        self._db.change(_MOVE, *to_row(new), number)
        if new.state is not old.state:
            self._step(new)
        return number

    def _step(self, now: Submission) -> None:
        step = Transition(
            tag=now.tag, state=now.state, at=self.clock.now(), run=self._run, detail=now.detail
        )
        write_transition(self._db, step)

    def _insert(self, submission: Submission) -> int:
        ((number,),) = self._db.rows(_SUBMISSION, *to_row(submission))
        part = None if submission.part is None else part_json(submission.part)
        for prefix, value in ((KEY_LABEL, submission.key_label), (PART, part)):
            if value is not None:
                key = f"{prefix}{submission.tag}"
                self._db.change("INSERT INTO meta VALUES (?1, ?2)", key, value)
        self._step(submission)
        return int(number)

    def record(self, run: RunRecord) -> None:
        """Remember a command; see `Ledger.record`."""
        with self._transaction("record", moves=False):
            write_run(self._db, run)
        self._run = run.run

    def prepare(self, submission: Submission, claims: Iterable[Claim]) -> None:
        """Record an intent and claim its questions; see `Ledger.prepare`."""
        with self._transaction("prepare"):
            rows = claim_rows(self._insert(submission), claims, self._db.claim_sum)
            refuse_taken(len(rows) - self._db.insert_many(CLAIM, rows))

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
        """Whatever had no batch, or lost it, → BOUND."""
        with self._transaction("bind"):
            self._move(
                tag,
                (S.ARMED, S.UNKNOWN, S.ABANDONED, S.REJECTED, S.LOST_RESULTS),
                state=S.BOUND,
                batch_id=batch_id,
                created_at=created_at,
                detail="",
            )
            self._db.change("DELETE FROM foreign_batches WHERE id = ?1", batch_id)

    def keep_ballast(self) -> None:
        """Set room aside for the next `bind`; a full disk shows here, before anything is paid."""

    def reclaim(self, tag: str, claims: Iterable[Claim]) -> int:
        """Give a submission that was given up its free questions back; return how many."""
        with self._transaction("reclaim"):
            number, _ = self._get(tag)
            return self._db.insert_many(CLAIM, claim_rows(number, claims, self._db.claim_sum))

    def release(self, tag: str, state: SubmissionState, detail: str) -> None:
        """Free the questions of a submission that provably made nothing."""
        with self._transaction("release"):
            allowed = (S.PREPARED, S.ARMED, S.UNKNOWN)
            number = self._move(tag, allowed, state=state, detail=detail)
            for statement in FREE:
                self._db.change(statement, number)

    def ended(self, tag: str, ended_at: dt.datetime | None) -> None:
        """BOUND → ENDED."""
        with self._transaction("ended"):
            self._move(tag, (S.BOUND, S.ENDED), state=S.ENDED, ended_at=ended_at)

    def collect(self, tag: str, segment: str, verdicts: Iterable[Verdict]) -> int:
        """ENDED → COLLECTED, with what each answer says; see `Ledger.collect`."""
        with self._transaction("collect"):
            number = self._move(tag, (S.ENDED, S.COLLECTED), state=S.COLLECTED, results=segment)
            return sum(self._db.change(sql, *values) for sql, values in settle(number, verdicts))

    def lose(self, tag: str, detail: str) -> None:
        """BOUND or ENDED → LOST_RESULTS; its questions are LOST."""
        with self._transaction("lose"):
            number = self._move(tag, (S.BOUND, S.ENDED), state=S.LOST_RESULTS, detail=detail)
            self._db.change(LOSE, number)

    def adopt(self, submission: Submission, verdicts: Iterable[Verdict]) -> int:
        """Take in a paid batch that the ledger did not know.

        An answer replaces a failure, never another answer and never a question in flight.
        """
        with self._transaction("adopt"):
            number = self._insert(submission)
            rows = adopted_rows(number, verdicts, self._db.claim_sum)
            return self._db.insert_many(ADOPT, rows)

    def recheck(self, verdicts: Iterable[Verdict]) -> None:
        """Replace the outcomes of readable answers by what a spec's validation says now."""
        with self._transaction("recheck"):
            self._db.change_many(RECHECK, [(v.digest, int(v.outcome)) for v in verdicts])

    def foreign(self, batch_ids: Iterable[str]) -> None:
        """Remember batches that are not ours."""
        with self._transaction("foreign"):
            self._db.change_many(
                "INSERT INTO foreign_batches VALUES (?1) ON CONFLICT DO NOTHING",
                [(batch_id,) for batch_id in batch_ids],
            )

    def files(self, workspace: str) -> dict[str, RememberedFile]:
        """Return what is remembered of uploaded files; see `Ledger.files`."""
        return read_files(self._db, workspace)

    def remember_files(self, workspace: str, files: Iterable[RememberedFile]) -> None:
        """Remember uploaded files."""
        with self._transaction("files"):
            write_files(self._db, workspace, files)

    def mark_surveyed(self) -> None:
        """Record that the workspace's whole retention period was explained."""
        with self._transaction("surveyed"):
            self._db.change("INSERT INTO meta VALUES ('surveyed', '1') ON CONFLICT DO NOTHING")

    def doubt_survey(self) -> None:
        """Have the workspace explained again."""
        with self._transaction("unsurveyed"):
            self._db.change("DELETE FROM meta WHERE key = 'surveyed'")

    def set_kind(self, kind: str) -> None:
        """Fix the state's kind at its first submission."""
        found = self.kind
        if found is None:
            with self._transaction("kind"):
                self._db.change("INSERT INTO meta VALUES ('kind', ?1)", kind)
        elif found != kind:
            raise Refused(
                f"This state holds {found} work, but the server that answers is {kind}.",
                hint="Emulated answers must never pass for real ones: point BATCHSPEC_STATE at "
                "another folder, or use --emulate.",
            )
