"""What the ledger remembers of commands and of submissions' steps: who did what, and when.

Nothing is decided by it, so the tables came without a new format of the state: a version that does
not know them leaves them alone, and a state that lacks them has no history yet. Writing a record
does not count as a move of the state: no saved plan becomes stale by it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from dataclasses import field
from decimal import Decimal
from typing import Any

import orjson

from batchspec.records import frozen
from batchspec.state.database import Database
from batchspec.state.model import SubmissionState
from batchspec.state.tables import row_sum

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS runs (
      id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, record TEXT NOT NULL, sum INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS transitions (
      id INTEGER PRIMARY KEY, tag TEXT NOT NULL, state TEXT NOT NULL, at TEXT NOT NULL,
      run TEXT NOT NULL, detail TEXT NOT NULL, sum INTEGER NOT NULL
    )
    """,
)


@frozen
class Expectation:
    """What a plan expected of one spec, to be compared with its answers."""

    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    usd: Decimal | None
    """At batch price; None: not known."""
    usd_max: Decimal | None


@frozen
class RunRecord:
    """One command that may change something; written when it begins, and again when it ends."""

    run: str
    """16 hex digits, random."""
    command: str
    """``run``, ``apply``, ``collect``, ``recover``, ``cancel``, ``state import`` …"""
    began_at: dt.datetime
    """Local clock, UTC; for people."""
    specs: tuple[str, ...] = ()
    """Names of the specs that it was about; empty: the state as a whole."""
    actor: str = ""
    """Who gave the command, as the CI system or the operating system says."""
    host: str = ""
    ci_url: str = ""
    """Page of the CI run; empty outside of CI."""
    commit: str = ""
    """Git commit that was checked out; empty: not in a repository, or there is no git."""
    dirty: bool | None = None
    """Whether tracked files of the project differed from the commit; None: not known."""
    version: str = ""
    """Version of batchspec."""
    environment: str = ""
    """The project's environment that it worked in; empty: none."""
    sampled: bool = False
    """It ran on samples, apart from outputs."""
    detail: str = ""
    """What the command was given as a reason; empty: nothing."""
    plan_digest: str = ""
    """Digest of the plan that it went by: of the saved one that it applied, else of its own;
    empty: nothing was to be submitted."""
    saved_plan_digest: str = ""
    """Digest of the saved plan that it was given; empty: none. Another one than `plan_digest`: that
    plan was stale, and a fresh one was submitted in its place."""
    digests: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each spec that was to submit something, those of its plan: of the spec, of its inputs."""
    expected: dict[str, Expectation] = field(default_factory=dict)
    """Of each of them, what its plan expected."""
    items: int | None = None
    """Items that its first plan submitted; None: it did not get so far."""
    requests: int | None = None
    """Requests of its first plan."""
    usd_max: Decimal | None = None
    """The highest its first plan could cost; None: not known."""
    ended_at: dt.datetime | None = None
    """None: it is at work, or it was killed."""
    exit_code: int | None = None
    failure: str = ""
    """Kind of failure that ended it, such as ``over-budget``; empty: none did."""


@frozen
class Transition:
    """A submission got into a state."""

    tag: str
    state: SubmissionState
    at: dt.datetime
    """Local clock of the process that wrote it, UTC; for people."""
    run: str = ""
    """The command that did it; empty: not known."""
    detail: str = ""


_TIMES = ("began_at", "ended_at")


def run_json(record: RunRecord) -> str:
    """Return a record as the ledger keeps it: one line of JSON, fields in their order."""
    raw = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return orjson.dumps(raw, default=str).decode()


def run_of(text: str) -> RunRecord:
    """Return the record of `run_json`'s text; fields of a later version are passed over."""
    raw: dict[str, Any] = orjson.loads(text)
    names = {field.name for field in dataclasses.fields(RunRecord)}
    values = {name: value for name, value in raw.items() if name in names}
    for name in _TIMES:
        if values.get(name) is not None:
            values[name] = dt.datetime.fromisoformat(values[name])
    if values.get("usd_max") is not None:
        values["usd_max"] = Decimal(values["usd_max"])
    said = values.get("expected", {})
    values["expected"] = {name: _expectation(one) for name, one in said.items()}
    values["specs"] = tuple(values.get("specs", ()))
    return RunRecord(**values)


def _expectation(raw: dict[str, Any]) -> Expectation:
    names = {field.name for field in dataclasses.fields(Expectation)}
    values = {name: value for name, value in raw.items() if name in names}
    for name in ("usd", "usd_max"):
        values[name] = None if values.get(name) is None else Decimal(values[name])
    return Expectation(**values)


def write_run(db: Database, record: RunRecord) -> None:
    """Remember a command, or more of one that is remembered."""
    text = run_json(record)
    db.change(
        "INSERT INTO runs (run, record, sum) VALUES (?1, ?2, ?3) "
        "ON CONFLICT (run) DO UPDATE SET record = excluded.record, sum = excluded.sum",
        record.run,
        text,
        row_sum(record.run, text),
    )


def write_transition(db: Database, step: Transition) -> None:
    """Remember that a submission got into a state."""
    values = (step.tag, step.state.value, step.at.isoformat(), step.run, step.detail)
    db.change(
        "INSERT INTO transitions (tag, state, at, run, detail, sum) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        *values,
        row_sum(*values),
    )


def read_runs(db: Database) -> Iterator[RunRecord]:
    """Yield the remembered commands, the newest first."""
    if db.has_table("runs"):
        for (text,) in db.rows("SELECT record FROM runs ORDER BY id DESC"):
            yield run_of(text)


def read_transitions(db: Database) -> Iterator[Transition]:
    """Yield the remembered steps of all submissions, in the order in which they were written."""
    if not db.has_table("transitions"):
        return
    for tag, state, at, run, detail in db.rows(
        "SELECT tag, state, at, run, detail FROM transitions ORDER BY id"
    ):
        yield Transition(
            tag=tag,
            state=SubmissionState(state),
            at=dt.datetime.fromisoformat(at),
            run=run,
            detail=detail,
        )


def history_complaints(db: Database) -> Iterator[str]:
    """Check the checksums of the history's rows; yield what is wrong."""
    checked = (("runs", "run, record"), ("transitions", "tag, state, at, run, detail"))
    for name, columns in checked:
        rows = db.rows(f"SELECT {columns}, sum FROM {name}") if db.has_table(name) else []  # noqa: S608 - our own names
        damaged = sum(row_sum(*row[:-1]) != row[-1] for row in rows)
        if damaged:
            yield f"{damaged} rows of the history's {name} are damaged"
