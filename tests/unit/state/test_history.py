"""The history: who did what when, kept beside the ledger's facts and deciding nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from batchspec.state.history import Expectation, RunRecord, run_json, run_of
from batchspec.state.ledger import Armed, Fenced
from batchspec.state.model import Submission, SubmissionState
from batchspec.state.sqlite import SqliteLedger, SqliteReader

S = SubmissionState
NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
BEGUN = RunRecord(
    run="0123456789abcdef",
    command="apply",
    began_at=NOW,
    specs=("triage",),
    actor="octocat",
    host="runner-1",
    ci_url="https://github.com/a/b/actions/runs/7",
    commit="c0ffee",
    dirty=False,
    version="0.1.0",
    plan_digest="sha256:12",
)
SAID = Expectation(
    model="claude-haiku-4-5",
    requests=2,
    input_tokens=40,
    output_tokens=9,
    usd=Decimal("0.0123456789"),
    usd_max=None,
)
DONE = dataclasses.replace(
    BEGUN,
    expected={"triage": SAID},
    items=3,
    requests=2,
    usd_max=Decimal("0.10"),
    ended_at=NOW,
    exit_code=0,
)


class StoppedClock:
    """Always noon."""

    def now(self) -> dt.datetime:
        """Return noon."""
        return NOW

    def elapsed(self) -> float:
        """Return nothing."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Do not."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the ledger is."""
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    """Return a ledger whose lease this process holds."""
    opened = SqliteLedger(path, os.urandom)
    opened.clock = StoppedClock()
    opened.take_lease("test", NOW)
    yield opened
    opened.close()


def bind_and_release(ledger: SqliteLedger) -> None:
    """Bring one submission to BOUND, and let another go."""
    for tag in ("one", "two"):
        intent = Submission(
            tag=tag, spec="triage", state=S.PREPARED, requests=1, bytes=1, segment=tag
        )
        ledger.prepare(intent, [(tag.encode().ljust(16), 1)])
    ledger.arm("one", Armed(anchor="", server_time=NOW, workspace="w"))
    ledger.bind("one", "msgbatch_1", NOW)
    ledger.release("two", S.ABANDONED, "never sent")


def test_a_record_is_replaced_by_its_end(ledger: SqliteLedger) -> None:
    """One record per command, the newest first, whole after a round trip; the serial stays."""
    before = ledger.serial
    ledger.record(BEGUN)
    ledger.record(dataclasses.replace(BEGUN, run="later"))
    ledger.record(DONE)
    assert [record.run for record in ledger.runs()] == ["later", BEGUN.run]
    assert [*ledger.runs()][1] == DONE
    assert ledger.serial == before
    assert ledger.complaints() == ()


def test_steps_of_submissions_name_their_command(ledger: SqliteLedger) -> None:
    """Each step has its time, the command that was at work, and why it was taken."""
    ledger.record(BEGUN)
    bind_and_release(ledger)
    steps = [*ledger.transitions()]
    assert [(step.tag, step.state, step.detail) for step in steps] == [
        ("one", S.PREPARED, ""),
        ("two", S.PREPARED, ""),
        ("one", S.ARMED, ""),
        ("one", S.BOUND, ""),
        ("two", S.ABANDONED, "never sent"),
    ]
    assert {(step.run, step.at) for step in steps} == {(BEGUN.run, NOW)}


def test_a_step_that_failed_is_not_remembered(ledger: SqliteLedger) -> None:
    """A transition and its step are one transaction."""
    bind_and_release(ledger)
    count = len([*ledger.transitions()])
    with pytest.raises(Fenced):
        ledger.arm("one", Armed(anchor="", server_time=NOW, workspace="w"))
    assert len([*ledger.transitions()]) == count


def test_who_lost_the_lease_writes_no_history(ledger: SqliteLedger, path: Path) -> None:
    """The record of a fenced command stays as it was: without an end."""
    ledger.record(BEGUN)
    other = SqliteLedger(path, os.urandom)
    other.take_lease("other", NOW)
    with pytest.raises(Fenced):
        ledger.record(DONE)
    assert [*other.runs()] == [BEGUN]
    other.close()


def test_a_state_from_before_the_history(ledger: SqliteLedger, path: Path) -> None:
    """It is read as one without; the next writer adds the tables, and its format stays."""
    with sqlite3.connect(path) as database:
        database.executescript("DROP TABLE runs; DROP TABLE transitions;")
    reader = SqliteReader.open(path)
    assert [*reader.runs()] == []
    assert [*reader.transitions()] == []
    assert reader.complaints() == ()
    reader.close()
    ledger.close()
    again = SqliteLedger(path, os.urandom)
    again.take_lease("test", NOW)
    again.record(BEGUN)
    assert [*again.runs()] == [BEGUN]
    again.close()


def test_fields_of_a_later_version_are_passed_over() -> None:
    """A record with more in it than this program knows is read all the same."""
    text = run_json(DONE)
    assert run_of(f'{text[:-1]},"mood":"good"}}') == DONE


@pytest.mark.parametrize("table", ["runs", "transitions"])
def test_a_changed_row_is_found(ledger: SqliteLedger, path: Path, table: str) -> None:
    """A history that was edited by hand is damage like any other."""
    ledger.record(BEGUN)
    bind_and_release(ledger)
    column = "record" if table == "runs" else "at"
    with sqlite3.connect(path) as database:
        database.execute(
            f"UPDATE {table} SET {column} = replace({column}, '2026', '2025') WHERE id = 1"  # noqa: S608 - our own names
        )
    assert ledger.complaints() == (f"1 rows of the history's {table} are damaged",)
