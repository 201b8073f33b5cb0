"""The ledger: fenced transitions, claims that cannot be made twice, damage that is found."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from batchspec.clock import SystemClock
from batchspec.errors import Refused, StateFailure, StateLocked
from batchspec.plan.model import Outcome
from batchspec.state.lease import held
from batchspec.state.ledger import Armed, ClaimConflict, Fenced
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


def test_a_submission_walks_through_its_states(ledger: SqliteLedger) -> None:
    """PREPARED, ARMED, BOUND, ENDED, COLLECTED; what was recorded on the way is kept."""
    collected(ledger, "one", Outcome.SUCCEEDED, Outcome.ERRORED)
    (found,) = ledger.submissions()
    assert found.state is S.COLLECTED
    assert (found.anchor, found.armed_at, found.batch_id) == ("msgbatch_0", NOW, "msgbatch_one")
    assert found.results == "res-one"
    known = ledger.known(B)
    assert known is not None
    assert (known.outcome, known.attempt, known.tag) == (Outcome.ERRORED, 1, "one")


def test_a_question_in_flight_cannot_be_claimed_again(ledger: SqliteLedger) -> None:
    """The second submission is refused and leaves no trace."""
    bound(ledger, "one")
    with pytest.raises(ClaimConflict, match="1 questions"):
        ledger.prepare(submission("two", 1), [(A, 1)])
    assert [s.tag for s in ledger.submissions()] == ["one"]


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.UNCHECKED])
def test_an_answered_question_cannot_be_claimed_again(
    ledger: SqliteLedger, outcome: Outcome
) -> None:
    """Not even as a later attempt."""
    collected(ledger, "one", outcome, Outcome.ERRORED)
    with pytest.raises(ClaimConflict):
        ledger.prepare(submission("two", 1), [(A, 2)])
    ledger.prepare(submission("two", 1), [(B, 2)])


def test_releasing_a_retry_restores_what_was_known(ledger: SqliteLedger) -> None:
    """A retry that provably never happened leaves the first attempt's outcome and number."""
    collected(ledger, "one", Outcome.ERRORED, Outcome.EXPIRED)
    ledger.prepare(submission("two"), [(A, 2), (B, 2)])
    ledger.release("two", S.ABANDONED, "never made")
    for digest, outcome in ((A, Outcome.ERRORED), (B, Outcome.EXPIRED)):
        known = ledger.known(digest)
        assert known is not None
        assert (known.outcome, known.attempt, known.tag) == (outcome, 1, "one")
    assert ledger.complaints() == ()


def test_releasing_a_first_ask_frees_its_questions(ledger: SqliteLedger) -> None:
    """They can be claimed by another submission at once."""
    ledger.prepare(submission("one"), [(A, 1), (B, 1)])
    ledger.release("one", S.REJECTED, "400")
    assert ledger.known(A) is None
    bound(ledger, "two")


def test_arming_twice_is_refused(ledger: SqliteLedger) -> None:
    """A submission that is no longer PREPARED is never armed: its last byte may have left."""
    bound(ledger, "one")
    with pytest.raises(Fenced, match="BOUND"):
        ledger.arm("one", Armed(anchor="", server_time=None, workspace=None))


def test_a_fenced_writer_writes_nothing(ledger: SqliteLedger, path: Path) -> None:
    """After another process took the lease, arming is refused and the state stands."""
    ledger.prepare(submission("one"), [(A, 1), (B, 1)])
    other = SqliteLedger(path, os.urandom)
    other.take_lease("other", NOW)
    with pytest.raises(Fenced):
        ledger.arm("one", Armed(anchor="", server_time=None, workspace=None))
    assert other.submissions()[0].state is S.PREPARED
    other.close()


def test_losing_results_keeps_the_questions(ledger: SqliteLedger) -> None:
    """What may have been paid is LOST, not free."""
    bound(ledger, "one")
    ledger.lose("one", "archived")
    known = ledger.known(A)
    assert known is not None
    assert known.outcome is Outcome.LOST


def test_an_adopted_answer_replaces_failures_only(ledger: SqliteLedger) -> None:
    """Neither an answer nor a question in flight is touched by an adopted batch."""
    collected(ledger, "one", Outcome.SUCCEEDED, Outcome.ERRORED)
    adopted = dataclasses.replace(
        submission("two"), segment=None, state=S.COLLECTED, batch_id="msgbatch_x", results="res-x"
    )
    verdicts = [Verdict(digest=d, attempt=1, outcome=Outcome.UNCHECKED) for d in (A, B, b"c" * 16)]
    assert ledger.adopt(adopted, verdicts) == 2
    tags = [known.tag for d in (A, B, b"c" * 16) if (known := ledger.known(d)) is not None]
    assert tags == ["one", "two", "two"]
    assert ledger.complaints() == ()


def test_real_and_emulated_work_never_share_a_state(ledger: SqliteLedger) -> None:
    """The first submission fixes the kind; the other kind is refused."""
    ledger.set_kind("real")
    ledger.set_kind("real")
    with pytest.raises(Refused, match="real work"):
        ledger.set_kind("emulated")


def test_known_is_exported_once_per_serial(ledger: SqliteLedger, tmp_path: Path) -> None:
    """The file has what the ledger knows, and is written anew only when something changed."""
    collected(ledger, "one", Outcome.SUCCEEDED, Outcome.ERRORED)
    first = ledger.export_known(tmp_path / "cache")
    assert ledger.export_known(tmp_path / "cache") == first
    rows = pq.read_table(first).to_pylist()
    assert rows == [
        {"hash": A, "outcome": 1, "attempt": 1, "submission": "one"},
        {"hash": B, "outcome": 5, "attempt": 1, "submission": "one"},
    ]
    ledger.foreign(["msgbatch_f"])
    second = ledger.export_known(tmp_path / "cache")
    assert second != first
    assert not first.exists()


def test_a_reader_is_not_blocked_by_the_writer(ledger: SqliteLedger, path: Path) -> None:
    """`status` and `plan` read while a run writes."""
    bound(ledger, "one")
    reader = SqliteReader.open(path)
    ledger.ended("one", NOW)
    assert reader.submissions()[0].state is S.ENDED
    reader.close()


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


def test_a_newer_format_is_refused(ledger: SqliteLedger, path: Path) -> None:
    """An older program never writes a newer state."""
    raw = sqlite3.connect(path)
    raw.execute("UPDATE meta SET value = 99 WHERE key = 'format_version'")
    raw.commit()
    raw.close()
    with pytest.raises(StateFailure, match="format 99"):
        SqliteReader.open(path)
    assert ledger.serial == 0


def test_a_file_that_is_no_database_is_a_state_failure(path: Path) -> None:
    """Garbage is named, with what to do."""
    path.parent.mkdir(parents=True)
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(StateFailure) as caught:
        SqliteLedger(path, os.urandom)
    assert "recover" in caught.value.hint


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


@pytest.mark.parametrize("after", [(3, 1, 0, None, None), (12, 65_535, 11, 7, 2)])
def test_the_fast_checksum_of_a_claim_is_the_checksum_of_its_row(
    after: tuple[int | None, ...],
) -> None:
    """Two ways to one number: ledgers written by either are read by the other."""
    for digest in (bytes(16), b"'" * 16, b"'\"\\" * 5 + b"x", bytes(range(16))):
        assert claim_sum(digest, sum_tail(*after)) == row_sum(digest, *after)
