"""The ledger: fenced transitions, claims that cannot be made twice, damage that is found."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from batchspec.clock import SystemClock
from batchspec.errors import StateFailure, StateLocked
from batchspec.plan.model import Outcome
from batchspec.state.lease import held
from batchspec.state.ledger import Armed
from batchspec.state.model import Submission, SubmissionState, Verdict
from batchspec.state.sqlite import SqliteLedger, SqliteReader
from batchspec.state.tables import claim_sum, row_sum, sum_tail

S = SubmissionState
NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
A, B = b"a" * 16, b"b" * 16


def submission(tag: str, requests: int = 2) -> Submission:
    """Return a prepared submission."""
    return Submission(
        tag=tag, spec="triage", state=S.PREPARED, requests=requests, bytes=10, segment=f"req-{tag}"
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the ledger is."""
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    """Return a ledger whose lease this process holds."""
    opened = SqliteLedger(path, os.urandom)
    opened.take_lease("test", NOW)
    yield opened
    opened.close()


def bound(ledger: SqliteLedger, tag: str, *, attempt: int = 1) -> None:
    """Bring a submission of A and B to BOUND."""
    ledger.prepare(submission(tag), [(A, attempt), (B, attempt)])
    ledger.arm(tag, Armed(anchor="msgbatch_0", server_time=NOW, workspace="w"))
    ledger.bind(tag, f"msgbatch_{tag}", NOW)


def collected(ledger: SqliteLedger, tag: str, a: Outcome, b: Outcome, *, attempt: int = 1) -> None:
    """Bring a submission of A and B to COLLECTED."""
    bound(ledger, tag, attempt=attempt)
    ledger.ended(tag, NOW)
    verdicts = [
        Verdict(digest=A, attempt=attempt, outcome=a),
        Verdict(digest=B, attempt=attempt, outcome=b),
    ]
    ledger.collect(tag, f"res-{tag}", verdicts)


def test_changed_rows_are_found(ledger: SqliteLedger, path: Path) -> None:
    """A changed outcome is noticed by the check and by the export, although SQLite is content."""
    collected(ledger, "one", Outcome.SUCCEEDED, Outcome.ERRORED)
    raw = sqlite3.connect(path)
    raw.execute("UPDATE claims SET outcome = 0 WHERE digest = ?", (A,))
    raw.execute("UPDATE submissions SET batch_id = 'msgbatch_other'")
    raw.commit()
    raw.close()
    assert [c.split(":")[0] for c in ledger.complaints()] == [
        "submission one",
        "1 questions' rows are damaged",
    ]
    with pytest.raises(StateFailure, match="damaged"):
        ledger.export_known(path.parent)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE meta SET key = 'linEage' WHERE key = 'lineage'",
        "UPDATE meta SET key = 'format^version' WHERE key = 'format_version'",
        "UPDATE meta SET value = 'q' WHERE key = 'format_version'",
    ],
)
def test_a_changed_name_of_a_fact_is_damage(ledger: SqliteLedger, path: Path, damage: str) -> None:
    """One flipped bit in the ledger's own facts is a damaged state, not a bug of the program."""
    raw = sqlite3.connect(path)
    raw.execute(damage)
    raw.commit()
    raw.close()
    with pytest.raises(StateFailure, match="is damaged"):
        SqliteReader.open(path)
    assert ledger.serial == 0


def test_a_damaged_schema_is_a_damaged_state(ledger: SqliteLedger, path: Path) -> None:
    """One flipped bit in a table's definition, which SQLite quotes in words that are no UTF-8."""
    ledger.close()
    path.write_bytes(
        path.read_bytes().replace(b"CREATE TABLE claims (", b"CREATE TABLE claims \xa8")
    )
    with pytest.raises(StateFailure, match="could not be read"):
        SqliteReader.open(path)


def test_a_newer_format_is_refused(ledger: SqliteLedger, path: Path) -> None:
    """An older program never writes a newer state."""
    raw = sqlite3.connect(path)
    raw.execute("UPDATE meta SET value = 99 WHERE key = 'format_version'")
    raw.commit()
    raw.close()
    with pytest.raises(StateFailure, match="format 99"):
        SqliteReader.open(path)
    assert ledger.serial == 0


def test_the_lease_has_one_holder(ledger: SqliteLedger, path: Path) -> None:
    """The second taker is told who holds it; after the first is done it gets it."""
    second = SqliteLedger(path, os.urandom)
    clock = SystemClock()
    with (
        held(ledger, path.parent, "run", clock),
        pytest.raises(StateLocked, match=f"`batchspec run`, process {os.getpid()}"),
        held(second, path.parent, "collect", clock),
    ):
        pass
    with held(second, path.parent, "collect", clock):
        second.foreign(["msgbatch_f"])
    second.close()


def test_the_ballast_makes_room_for_a_paid_id(ledger: SqliteLedger, path: Path) -> None:
    """It is there before a submission, and survives being asked for twice."""
    ledger.keep_ballast()
    ledger.keep_ballast()
    assert (path.parent / "ballast").stat().st_size == 1 << 20


def test_a_file_that_is_no_database_is_a_state_failure(path: Path) -> None:
    """Garbage is named, with what to do."""
    path.parent.mkdir(parents=True)
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(StateFailure) as caught:
        SqliteLedger(path, os.urandom)
    assert "recover" in caught.value.hint


@pytest.mark.parametrize("after", [(3, 1, 0, None, None), (12, 65_535, 11, 7, 2)])
def test_the_fast_checksum_of_a_claim_is_the_checksum_of_its_row(
    after: tuple[int | None, ...],
) -> None:
    """Two ways to one number: ledgers written by either are read by the other."""
    for digest in (bytes(16), b"'" * 16, b"'\"\\" * 5 + b"x", bytes(range(16))):
        assert claim_sum(digest, sum_tail(*after)) == row_sum(digest, *after)


def test_every_changed_bit_of_a_sealed_file_is_found(path: Path) -> None:
    """Also in free pages, in definitions and in rows without a checksum of their own."""
    with closing(SqliteLedger(path, os.urandom)) as ledger:
        with held(ledger, path.parent, "run", SystemClock()):
            collected(ledger, "one", Outcome.SUCCEEDED, Outcome.ERRORED)
            assert SqliteReader.open(path).complaints() == ()
        assert ledger.complaints() == ()
    whole = path.read_bytes()
    step = len(whole) // 300
    for place in range(0, len(whole), step):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            with closing(SqliteReader.open(path)) as reader:
                assert reader.complaints(), place
        except StateFailure:
            continue
    path.write_bytes(whole)
    with closing(SqliteReader.open(path)) as reader:
        assert reader.complaints() == ()


def test_a_writer_breaks_the_seal(ledger: SqliteLedger, path: Path) -> None:
    """From its first moment until it has finished: what a killed one left is no damage."""
    ledger.seal()
    seal = path.with_suffix(".seal")
    assert seal.is_file()
    with closing(SqliteLedger(path, os.urandom)) as second:
        assert not seal.exists()
        ledger.seal()
        second.take_lease("second", NOW)
        assert not seal.exists()
        bound(second, "one")
        ledger.seal()
        assert not seal.exists(), "a fenced writer seals nothing"
        assert second.complaints() == ()
