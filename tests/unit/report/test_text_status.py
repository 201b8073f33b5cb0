"""Work in flight as a whole screen and as JSON."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

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


OPEN = Report(
    submissions=(
        Row(),
        Row(spec="", batch_id="msgbatch_02", requests=3, results_at_risk=True),
        Row(
            spec="b",
            state=SubmissionState.UNKNOWN,
            batch_id=None,
            requests=10,
            created_at=None,
            expires_at=None,
            detail="no answer\n::error::x",
        ),
    ),
    answers={Outcome.SUCCEEDED: 985, Outcome.IN_FLIGHT: 1213, Outcome.BAD_REQUEST: 2},
)


def test_screen() -> None:
    """A table of what is open, what needs attention, and totals."""
    assert status_text(OPEN) == (
        "SPEC           BATCH        STATE             REQUESTS  CREATED            ENDS BY\n"
        "ticket-triage  msgbatch_01  in progress          1,200  2026-11-23 06:30Z  "
        "2026-11-24 06:30Z\n"
        "(adopted)      msgbatch_02  in progress              3  2026-11-23 06:30Z  "
        "2026-11-24 06:30Z\n"
        "b              -            being looked for        10  -                  -\n"
        "msgbatch_02: its results disappear at 2026-12-22 06:30Z; "
        "`batchspec collect` takes them in.\n"
        "submission abcdefgh: no answer ::error::x\n"
        "\n"
        "1,213 requests in 3 submissions in flight; known questions: 1,213 in flight, "
        "985 succeeded, 2 bad request.\n"
    )


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
    }
