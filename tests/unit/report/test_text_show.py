"""One item as a whole screen and as JSON."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from batchspec.plan.explain import Explained
from batchspec.plan.model import Action, Outcome, Reason
from batchspec.plan.wording import Rewording, compare_requests
from batchspec.report.show import item_json, item_text

ENDED = dt.datetime(2026, 11, 23, 6, 30, tzinfo=dt.UTC)
UNCHANGED = Explained(action=Action.UNCHANGED, reason=None)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An asking as the report reads it."""

    attempt: int
    outcome: Outcome
    batch_id: str | None = "msgbatch_01"
    ended_at: dt.datetime | None = ENDED
    detail: str = ""
    submission: str = "abcdefgh"
    input_tokens: int = 1200
    output_tokens: int = 10
    usd: Decimal | None = Decimal("0.000650")


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
    row_digest: str = "cd" * 16
    explained: Explained = UNCHANGED
    rewording: Rewording | None = None
    outcome: Outcome | None = Outcome.SUCCEEDED
    result: Any = field(default_factory=lambda: {"label": "\x1b[31mhigh"})
    history: tuple[Asked, ...] = (
        Asked(attempt=1, outcome=Outcome.ERRORED, detail="busy\n::error::"),
        Asked(attempt=2, outcome=Outcome.SUCCEEDED, batch_id="msgbatch_02"),
    )


SCREEN = f"""\
triage "T-17"
status: succeeded
plan: unchanged
request hash: {"ab" * 32}
row digest: {"cd" * 16}

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
  attempt 1  errored    msgbatch_01  2026-11-23 06:30Z  1,200 + 10 tokens  $0.0006  busy ::error::
  attempt 2  succeeded  msgbatch_02  2026-11-23 06:30Z  1,200 + 10 tokens  $0.0006
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


def test_what_changed_is_told_completely() -> None:
    """The action, the reason, every changed part with its files, and the words."""
    explained = Explained(
        action=Action.SUBMIT,
        reason=Reason.INPUT,
        changed=(Reason.INPUT, Reason.FILES),
        changed_files=("a.md",),
        former=b"\x12" * 32,
    )
    rewording = compare_requests(b'{"system":"Be short."}', b'{"system":"Be kind."}')
    view = View(explained=explained, rewording=rewording, outcome=None)
    assert item_text(view).splitlines()[1:9] == [
        "status: not asked yet",
        "plan: submit, because: input",
        "changed since the last applied plan: input, files (a.md)",
        f"request hash: {'ab' * 32}",
        f"row digest: {'cd' * 16}",
        "",
        "changed in the request, word by word",
        "  | system: Be [-short-]{+kind+}.",
    ]
    data = item_json(view)
    assert data["plan"] == {
        "action": "submit",
        "reason": "input",
        "changed": ["input", "files"],
        "changed_files": ["a.md"],
    }
    assert data["former"]["request_hash"] == "12" * 32
    assert data["former"]["rewording"]["places"][0]["path"] == "system"
    assert item_json(View())["former"] is None


def test_json() -> None:
    """JSON has the same facts with their types."""
    data = item_json(View())
    assert data["key"] == "T-17"
    assert data["row"] == {"id": "T-17", "day": "2026-11-23", "n": None}
    assert data["request"] == {"max_tokens": 64, "model": "claude-haiku-4-5"}
    assert data["status"] == "succeeded"
    assert [asking["outcome"] for asking in data["history"]] == ["errored", "succeeded"]
