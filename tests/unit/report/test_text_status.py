"""Work in flight as a whole screen and as JSON."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from decimal import Decimal

from batchspec.events import Expectation, Progress
from batchspec.plan.model import Outcome
from batchspec.report.status import status_json, status_text
from batchspec.state.model import SubmissionState

MORNING = dt.datetime(2026, 11, 23, 6, 30, tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A submission as the report reads it."""

    tag: str = "abcdefgh"
    spec: str = "ticket-triage"
    state: SubmissionState = SubmissionState.BOUND
    batch_id: str | None = "msgbatch_01"
    requests: int = 1200
    created_at: dt.datetime | None = MORNING
    ended_at: dt.datetime | None = None
    expires_at: dt.datetime | None = MORNING + dt.timedelta(days=1)
    results_until: dt.datetime | None = MORNING + dt.timedelta(days=29)
    results_at_risk: bool = False
    detail: str = ""
    age: float | None = 4000.0
    expected: Expectation | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """A status as the report reads it."""

    submissions: tuple[Row, ...] = ()
    collected: int = 0
    answers: dict[Outcome, int] = field(default_factory=dict)
    emulated: bool = False
    environment: str | None = None
    serial: int = 0
    waiting: dict[str, tuple[str, ...]] = field(default_factory=dict)
    progress: Progress | None = None


OPEN = Report(
    submissions=(
        Row(expected=Expectation(seconds=290, least=10, most=300, batches=4)),
        Row(spec="", batch_id="msgbatch_02", requests=3, results_at_risk=True, age=40.0),
        Row(
            spec="b",
            state=SubmissionState.UNKNOWN,
            batch_id=None,
            requests=10,
            created_at=None,
            expires_at=None,
            detail="no answer\n::error::x",
            age=None,
        ),
    ),
    answers={Outcome.SUCCEEDED: 985, Outcome.IN_FLIGHT: 1213, Outcome.BAD_REQUEST: 2},
    progress=Progress(
        batches=4,
        batches_done=1,
        requests=1220,
        requests_done=7,
        elapsed=4050,
        usd=Decimal("0.5"),
        usd_open=Decimal(1),
    ),
)


def test_screen() -> None:
    """A table of what is open by spec, what needs attention, how far it has come, and totals."""
    assert status_text(OPEN) == (
        "  BATCH        STATE        REQUESTS     AGE  ENDS IN\n"
        "(adopted)\n"
        "  msgbatch_02  in progress         3    40 s        -\n"
        "b\n"
        "  -            unconfirmed        10       -        -\n"
        "ticket-triage\n"
        "  msgbatch_01  in progress     1,200  67 min    5 min\n"
        "The oldest batch ends at 2026-11-24 06:30Z at the latest.\n"
        "msgbatch_02: its results disappear at 2026-12-22 06:30Z; "
        "`batchspec collect` takes them in.\n"
        "submission abcdefgh: no answer ::error::x\n"
        "\n"
        "1 of 4 batches and 7 of 1,220 requests done after 68 min.\n"
        "Spent so far: $0.5000, at most $1.00 more.\n"
        "1,213 requests in 3 submissions in flight.\n"
        "Known questions: 1,213 in flight, 985 succeeded, 2 bad request.\n"
    )


def test_a_batch_past_its_last_moment() -> None:
    """No time in the past is promised: what nobody has looked at for a day has ended."""
    row = replace(OPEN.submissions[0], age=25 * 3600.0)
    text = status_text(replace(OPEN, submissions=(row,)))
    assert "must have ended by now; `batchspec collect` takes its answers in." in text
    assert "ends at" not in text


def test_many_open_batches_and_long_names() -> None:
    """A table is at most 80 columns wide, and a thousand batches are no thousand lines."""
    row = replace(OPEN.submissions[0], batch_id=f"msgbatch_{'0' * 24}", requests=100_000)
    every = dict.fromkeys(Outcome, 1_000_000)
    text = status_text(replace(OPEN, submissions=(row,) * 1000, answers=every))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert text.count("msgbatch_0") < 60
    assert "  and 950 more; `batchspec status --format json` has all\n" in text


def test_nothing_open() -> None:
    """An idle state is one line, which says when it is the emulated one."""
    assert status_text(Report(emulated=True)) == "Nothing is in flight (emulated).\n"


def test_json() -> None:
    """JSON has the raw states and times in UTC."""
    data = status_json(OPEN)
    assert data["answers"] == {"in_flight": 1213, "succeeded": 985, "bad_request": 2}
    assert data["submissions"][0] == {
        "tag": "abcdefgh",
        "spec": "ticket-triage",
        "state": "BOUND",
        "batch_id": "msgbatch_01",
        "requests": 1200,
        "created_at": "2026-11-23T06:30:00Z",
        "ended_at": None,
        "expires_at": "2026-11-24T06:30:00Z",
        "results_until": "2026-12-22T06:30:00Z",
        "results_at_risk": False,
        "detail": "",
        "age_seconds": 4000.0,
        "expected_seconds": 290,
    }
