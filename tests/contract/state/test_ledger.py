"""The ledger: fenced transitions, claims that cannot be made twice, wherever it is kept."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from state_places import Place

from batchspec.errors import Refused
from batchspec.plan.model import Outcome, Share
from batchspec.state.history import RunRecord
from batchspec.state.ledger import Armed, ClaimConflict, Fenced
from batchspec.state.model import Submission, SubmissionState, Verdict
from batchspec.state.parts import Part, Unsent
from batchspec.state.writer import SqlLedger

S = SubmissionState
NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
A, B = b"a" * 16, b"b" * 16


def submission(tag: str, requests: int = 2) -> Submission:
    """Return a prepared submission."""
    return Submission(
        tag=tag, spec="triage", state=S.PREPARED, requests=requests, bytes=10, segment=f"req-{tag}"
    )


def bound(ledger: SqlLedger, tag: str, *, attempt: int = 1) -> None:
    """Bring a submission of A and B to BOUND."""
    ledger.prepare(submission(tag), [(A, attempt), (B, attempt)])
    ledger.arm(tag, Armed(anchor="msgbatch_0", server_time=NOW, workspace="w"))
    ledger.bind(tag, f"msgbatch_{tag}", NOW)


def collected(ledger: SqlLedger, tag: str, a: Outcome, b: Outcome, *, attempt: int = 1) -> None:
    """Bring a submission of A and B to COLLECTED."""
    bound(ledger, tag, attempt=attempt)
    ledger.ended(tag, NOW)
    verdicts = [
        Verdict(digest=A, attempt=attempt, outcome=a),
        Verdict(digest=B, attempt=attempt, outcome=b),
    ]
    ledger.collect(tag, f"res-{tag}", verdicts)


def test_a_submission_walks_through_its_states(ledger: SqlLedger) -> None:
    """PREPARED, ARMED, BOUND, ENDED, COLLECTED; what was recorded on the way is kept."""
    collected(ledger, "one", Outcome.SUCCEEDED, Outcome.ERRORED)
    (found,) = ledger.submissions()
    assert found.state is S.COLLECTED
    assert (found.anchor, found.armed_at, found.batch_id) == ("msgbatch_0", NOW, "msgbatch_one")
    assert found.results == "res-one"
    known = ledger.known(B)
    assert known is not None
    assert (known.outcome, known.attempt, known.tag) == (Outcome.ERRORED, 1, "one")


def test_a_question_in_flight_cannot_be_claimed_again(ledger: SqlLedger) -> None:
    """The second submission is refused and leaves no trace."""
    bound(ledger, "one")
    with pytest.raises(ClaimConflict, match="1 questions"):
        ledger.prepare(submission("two", 1), [(A, 1)])
    assert [s.tag for s in ledger.submissions()] == ["one"]


@pytest.mark.parametrize("taken", [0, 123, 249])
def test_one_of_many_that_is_taken_refuses_all(ledger: SqlLedger, taken: int) -> None:
    """Many claims are made by one statement; one that cannot be made is still counted."""
    digests = [bytes([number]) * 16 for number in range(250)]
    ledger.prepare(submission("one", 1), [(digests[taken], 1)])
    with pytest.raises(ClaimConflict, match="1 questions"):
        ledger.prepare(submission("two", 250), [(digest, 1) for digest in digests])
    assert ledger.known(digests[taken - 1]) is None
    ledger.release("one", S.ABANDONED, "never made")
    ledger.prepare(submission("two", 250), [(digest, 1) for digest in digests])
    assert {known.tag for d in digests if (known := ledger.known(d)) is not None} == {"two"}


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.UNCHECKED])
def test_an_answered_question_cannot_be_claimed_again(ledger: SqlLedger, outcome: Outcome) -> None:
    """Not even as a later attempt."""
    collected(ledger, "one", outcome, Outcome.ERRORED)
    with pytest.raises(ClaimConflict):
        ledger.prepare(submission("two", 1), [(A, 2)])
    ledger.prepare(submission("two", 1), [(B, 2)])


def test_releasing_a_retry_restores_what_was_known(ledger: SqlLedger) -> None:
    """A retry that provably never happened leaves the first attempt's outcome and number."""
    collected(ledger, "one", Outcome.ERRORED, Outcome.EXPIRED)
    ledger.prepare(submission("two"), [(A, 2), (B, 2)])
    ledger.release("two", S.ABANDONED, "never made")
    for digest, outcome in ((A, Outcome.ERRORED), (B, Outcome.EXPIRED)):
        known = ledger.known(digest)
        assert known is not None
        assert (known.outcome, known.attempt, known.tag) == (outcome, 1, "one")
    assert ledger.complaints() == ()


def test_releasing_a_first_ask_frees_its_questions(ledger: SqlLedger) -> None:
    """They can be claimed by another submission at once."""
    ledger.prepare(submission("one"), [(A, 1), (B, 1)])
    ledger.release("one", S.REJECTED, "400")
    assert ledger.known(A) is None
    bound(ledger, "two")


def test_arming_twice_is_refused(ledger: SqlLedger) -> None:
    """A submission that is no longer PREPARED is never armed: its last byte may have left."""
    bound(ledger, "one")
    with pytest.raises(Fenced, match="BOUND"):
        ledger.arm("one", Armed(anchor="", server_time=None, workspace=None))


def test_losing_results_keeps_the_questions(ledger: SqlLedger) -> None:
    """What may have been paid is LOST, not free."""
    bound(ledger, "one")
    ledger.lose("one", "archived")
    known = ledger.known(A)
    assert known is not None
    assert known.outcome is Outcome.LOST


def test_an_adopted_answer_replaces_failures_only(ledger: SqlLedger) -> None:
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


def test_real_and_emulated_work_never_share_a_state(ledger: SqlLedger) -> None:
    """The first submission fixes the kind; the other kind is refused."""
    ledger.set_kind("real")
    ledger.set_kind("real")
    with pytest.raises(Refused, match="real work"):
        ledger.set_kind("emulated")


def test_known_is_exported_once_per_serial(ledger: SqlLedger, tmp_path: Path) -> None:
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


def test_a_fenced_writer_writes_nothing(place: Place) -> None:
    """After another machine took the lease, arming is refused and the state stands."""
    stale, other = place.ledger(), place.ledger()
    with place.lease(stale):
        stale.prepare(submission("one"), [(A, 1), (B, 1)])
        with place.lease(other, force=True):
            with pytest.raises(Fenced):
                stale.arm("one", Armed(anchor="", server_time=None, workspace=None))
            with pytest.raises(Fenced):
                stale.prepare(submission("two"), [(b"c" * 16, 1)])
            assert [s.state for s in other.submissions()] == [S.PREPARED]
            other.arm("one", Armed(anchor="", server_time=None, workspace=None))


def test_a_reader_is_not_blocked_by_the_writer(place: Place, ledger: SqlLedger) -> None:
    """`status` and `plan` read while a run writes."""
    bound(ledger, "one")
    reader = place.reader()
    assert reader is not None
    with ledger._transaction("open"):
        assert reader.submissions()[0].state is S.BOUND
    ledger.ended("one", NOW)
    assert reader.submissions()[0].state is S.ENDED
    assert reader.totals() == {"triage": {Outcome.IN_FLIGHT: 2}}


def test_a_reader_makes_no_state(place: Place) -> None:
    """Looking at what is not there leaves it so."""
    assert place.reader() is None
    assert place.reader() is None


def test_two_machines_that_make_the_state_at_once_make_one(place: Place) -> None:
    """All get the same ledger, with one lineage."""
    made: list[str] = []

    def make() -> None:
        ledger = place.ledger()
        made.append(ledger.lineage)
        place.opened.remove(ledger)
        ledger.close()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_the_serial_counts_what_moves_the_state(ledger: SqlLedger) -> None:
    """A record of the history does not make saved plans stale; a submission does."""
    before = ledger.serial
    ledger.record(RunRecord(run="0" * 16, command="run", began_at=NOW))
    assert ledger.serial == before
    ledger.foreign(["msgbatch_f"])
    assert ledger.serial == before + 1
    assert [run.command for run in ledger.runs()] == ["run"]


def test_for_how_many_items_is_kept(ledger: SqlLedger) -> None:
    """What a submission is of its command's work is read back as it was; else it is not known."""
    share = Share(items=5, again={"two": 1})
    later = Unsent(spec="triage", batches=2, requests=9, share=share, usd_max=Decimal("0.25"))
    vague = dataclasses.replace(later, share=None, usd_max=None)
    part = Part(share=share, behind=(later, vague))
    ledger.prepare(dataclasses.replace(submission("one"), part=part), [(A, 1)])
    ledger.prepare(submission("two"), [(B, 1)])
    assert ledger.parts() == {"one": part}
    assert (ledger.part("one"), ledger.part("two")) == (part, None)


def test_many_claims_go_through_at_once(ledger: SqlLedger, tmp_path: Path) -> None:
    """A batch of many is prepared, collected and exported, and every checksum holds."""
    digests = [number.to_bytes(16) for number in range(3000)]
    said = {d: Outcome.EXPIRED if d[-1] % 7 == 0 else Outcome.SUCCEEDED for d in digests}
    ledger.prepare(submission("big", 3000), [(digest, 1) for digest in digests])
    ledger.arm("big", Armed(anchor="", server_time=NOW, workspace="w"))
    ledger.bind("big", "msgbatch_big", NOW)
    ledger.ended("big", NOW)
    stray = [Verdict(digests[0], 2, Outcome.ERRORED), Verdict(b"x" * 16, 1, Outcome.ERRORED)]
    assert (
        ledger.collect("big", "res", [*(Verdict(d, 1, o) for d, o in said.items()), *stray]) == 3000
    )
    assert ledger.outcomes("big") == Counter(said.values())
    assert {d: known.outcome for d in digests if (known := ledger.known(d)) is not None} == said
    assert pq.read_table(ledger.export_known(tmp_path)).num_rows == 3000
    assert ledger.complaints() == ()
