"""One item as a whole screen and as JSON."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from batchspec.plan.model import Outcome
from batchspec.report.show import item_json, item_text

ENDED = dt.datetime(2026, 11, 23, 6, 30, tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An asking as the report reads it."""

    attempt: int
    outcome: Outcome
    batch_id: str | None = "msgbatch_01"
    ended_at: dt.datetime | None = ENDED
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class View:
    """An item as the report reads it."""

    spec: str = "triage"
    key: str = '"T-17"'
    row: dict[str, Any] = field(
        default_factory=lambda: {"id": "T-17", "day": dt.date(2026, 11, 23), "n": None}
    )
    request: bytes = b'{"max_tokens":64,"model":"claude-haiku-4-5"}'
    request_hash: str = "ab" * 32
    outcome: Outcome | None = Outcome.SUCCEEDED
    result: Any = field(default_factory=lambda: {"label": "\x1b[31mhigh"})
    history: tuple[Asked, ...] = (
        Asked(attempt=1, outcome=Outcome.ERRORED, detail="overloaded\n::error::"),
        Asked(attempt=2, outcome=Outcome.SUCCEEDED, batch_id="msgbatch_02"),
    )


SCREEN = f"""\
triage "T-17"
status: succeeded
request hash: {"ab" * 32}

row
  | {{
  |   "id": "T-17",
  |   "day": "2026-11-23",
  |   "n": null
  | }}

request
  | {{
  |   "max_tokens": 64,
  |   "model": "claude-haiku-4-5"
  | }}

result
  | {{
  |   "label": "\\u001b[31mhigh"
  | }}

history
  attempt 1  errored    msgbatch_01  2026-11-23 06:30Z  overloaded ::error::
  attempt 2  succeeded  msgbatch_02  2026-11-23 06:30Z
"""


def test_screen() -> None:
    """Row, request, result and history, foreign text quoted and harmless."""
    assert item_text(View()) == SCREEN


def test_text_answer_is_quoted() -> None:
    """A plain answer is shown as its lines, none of which begins a line of ours."""
    text = item_text(View(result="first\n::error::x\x1b[2J", history=()))
    assert text.endswith("result\n  | first\n  | ::error::x[2J\n")


def test_never_asked() -> None:
    """An item that was never asked has neither result nor history."""
    text = item_text(View(outcome=None, result=None, history=()))
    assert "status: not asked yet\n" in text
    assert "result\n" not in text
    assert "history" not in text


def test_json() -> None:
    """JSON has the same facts with their types."""
    data = item_json(View())
    assert data["key"] == "T-17"
    assert data["row"] == {"id": "T-17", "day": "2026-11-23", "n": None}
    assert data["request"] == {"max_tokens": 64, "model": "claude-haiku-4-5"}
    assert data["status"] == "succeeded"
    assert [asking["outcome"] for asking in data["history"]] == ["errored", "succeeded"]
