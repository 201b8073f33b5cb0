"""The ledger: every submission and every claim on a question, as a Protocol.

Each call that changes something is one durable transaction, refused when the caller's lease is no
longer the newest (fencing). `state.sqlite` keeps it in one file; the Protocol is what a shared
database has to offer to take its place.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from batchspec.clock import Clock
from batchspec.errors import Refused, StateFailure
from batchspec.plan.model import Outcome
from batchspec.records import frozen
from batchspec.state.files import RememberedFile
from batchspec.state.history import RunRecord, Transition
from batchspec.state.model import Submission, SubmissionState, Verdict
from batchspec.state.parts import Part

Claim = tuple[bytes, int]
"""First 16 bytes of a request hash, and the attempt (1 for the first ask)."""


class Fenced(StateFailure):
    """Another process took the lease over; this one must not write any more."""


class ClaimConflict(Refused):
    """A question to be asked is in flight or answered already: the state moved since the plan."""


@frozen
class Armed:
    """What is made durable before the last byte of a create call leaves."""

    anchor: str
    """Newest batch id in the workspace; "" when there was none."""
    server_time: dt.datetime | None
    workspace: str | None


@frozen
class Known:
    """What the ledger says of one question."""

    outcome: Outcome
    attempt: int
    tag: str


class LedgerReader(Protocol):
    """What plan, status and show need; never blocks on a writer."""

    @property
    def lineage(self) -> str:
        """Random identity of this ledger, fixed at its creation."""
        ...

    @property
    def serial(self) -> int:
        """Number of transactions so far."""
        ...

    @property
    def kind(self) -> str | None:
        """``real`` or ``emulated``, fixed by the first submission; None before it."""
        ...

    @property
    def surveyed(self) -> bool:
        """Whether the workspace was compared with this ledger over its whole retention period."""
        ...

    def submissions(self, states: Sequence[SubmissionState] = ()) -> tuple[Submission, ...]:
        """Return submissions in the order they were prepared; all of them by default."""
        ...

    def submission(self, tag: str) -> Submission | None:
        """Return one submission."""
        ...

    def runs(self) -> Iterator[RunRecord]:
        """Yield the commands that are remembered, the newest first."""
        ...

    def transitions(self) -> Iterator[Transition]:
        """Yield the steps of submissions that are remembered, in the order of their writing."""
        ...

    def known(self, digest: bytes) -> Known | None:
        """Return what is known of one question."""
        ...

    def known_batches(self) -> frozenset[str]:
        """Return the ids of batches that are bound to a submission or recorded as foreign."""
        ...

    def bound_batches(self) -> frozenset[str]:
        """Return the ids of batches that are bound to a submission."""
        ...

    def key_labels(self) -> dict[str, str]:
        """Return the labels of the keys that paid, by submission tag, where they are known."""
        ...

    def parts(self) -> dict[str, Part]:
        """Return what submissions are of their commands' work, by tag, where it is known."""
        ...

    def part(self, tag: str) -> Part | None:
        """Return what one submission is of its command's work."""
        ...

    def outcomes(self, tag: str) -> dict[Outcome, int]:
        """Count the questions that a submission holds, by outcome."""
        ...

    def totals(self) -> dict[str, dict[Outcome, int]]:
        """Count all questions by the spec that asked last (empty: adopted) and by outcome."""
        ...

    def export_known(self, folder: Path) -> Path:
        """Write what is known of all questions as Parquet; one file per serial, reused.

        Columns: hash (16 bytes), outcome, attempt, submission (tag).
        """
        ...

    def complaints(self) -> tuple[str, ...]:
        """Check every row's checksum and the file's integrity; return what is wrong."""
        ...


class Ledger(LedgerReader, Protocol):
    """The writing side, for the holder of the lease.

    Each method that brings a submission into another state remembers that step, in the same
    transaction, with the time of `clock` and the command that was last recorded.
    """

    clock: Clock
    """Tells the times of steps, which are for people."""

    def record(self, run: RunRecord) -> None:
        """Remember a command; a record of the same run is replaced, and keeps its place.

        Fenced like every write, but no move of the state: the serial stays.
        """
        ...

    def prepare(self, submission: Submission, claims: Iterable[Claim]) -> None:
        """Record an intent and claim its questions, in one transaction.

        Raises:
            ClaimConflict: when a question is in flight or answered; nothing is recorded then.
        """
        ...

    def arm(self, tag: str, armed: Armed) -> None:
        """PREPARED → ARMED.

        Raises:
            Fenced: when the state or the lease is not what it must be; nothing may be sent then.
        """
        ...

    def rearm(self, tag: str) -> None:
        """ARMED → PREPARED, after an answer that proves nothing was made and may be repeated."""
        ...

    def unknown(self, tag: str, detail: str) -> None:
        """ARMED → UNKNOWN: the create call's outcome is open."""
        ...

    def bind(self, tag: str, batch_id: str, created_at: dt.datetime) -> None:
        """ARMED, UNKNOWN, ABANDONED or LOST_RESULTS → BOUND."""
        ...

    def reclaim(self, tag: str, claims: Iterable[Claim]) -> int:
        """Give a submission that was given up, and is not, its free questions back.

        A question that another submission holds, or that is answered, is left alone.
        """
        ...

    def release(self, tag: str, state: SubmissionState, detail: str) -> None:
        """PREPARED, ARMED or UNKNOWN → REJECTED or ABANDONED; its questions are free again."""
        ...

    def ended(self, tag: str, ended_at: dt.datetime | None) -> None:
        """BOUND → ENDED."""
        ...

    def collect(self, tag: str, segment: str, verdicts: Iterable[Verdict]) -> int:
        """ENDED → COLLECTED, with what each answer says; in one transaction.

        Returns:
            How many of the verdicts are on questions that the submission holds.
        """
        ...

    def lose(self, tag: str, detail: str) -> None:
        """BOUND or ENDED → LOST_RESULTS; its questions are LOST."""
        ...

    def adopt(self, submission: Submission, verdicts: Iterable[Verdict]) -> int:
        """Take in a paid batch that the ledger did not know; return how many answers were new."""
        ...

    def recheck(self, verdicts: Iterable[Verdict]) -> None:
        """Replace UNCHECKED outcomes by what a spec's validation says."""
        ...

    def foreign(self, batch_ids: Iterable[str]) -> None:
        """Remember batches that are not ours, so that they are never read again."""
        ...

    def files(self, workspace: str) -> dict[str, RememberedFile]:
        """Return the uploaded files that are remembered of a workspace, by digest."""
        ...

    def remember_files(self, workspace: str, files: Iterable[RememberedFile]) -> None:
        """Remember uploaded files; forgetting one costs an upload, which is free."""
        ...

    def mark_surveyed(self) -> None:
        """Record that every batch of the workspace's retention period was explained once."""
        ...

    def doubt_survey(self) -> None:
        """Take `mark_surveyed` back: this ledger is older than the one that last submitted."""
        ...

    def set_kind(self, kind: str) -> None:
        """Fix the state's kind.

        Raises:
            Refused: when the state is of the other kind.
        """
        ...
