"""One item as text and JSON: its row, its request, its answer and how often it was asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from batchspec.report.figures import key_label, moment, table
from batchspec.report.hygiene import clean_line, quoted
from batchspec.report.style import PLAIN, Style

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from batchspec.plan.model import Outcome

FORMAT_VERSION = 1


class Asking(Protocol):
    """One time that the item's question was asked."""

    @property
    def attempt(self) -> int:
        """1 for the first asking."""

    @property
    def outcome(self) -> Outcome:
        """What came of it."""

    @property
    def batch_id(self) -> str | None:
        """The batch that carried it."""

    @property
    def ended_at(self) -> dt.datetime | None:
        """When that batch ended."""

    @property
    def detail(self) -> str:
        """Why it failed, in words; empty for an answer."""


class Item(Protocol):
    """One item as the workflow reads it."""

    @property
    def spec(self) -> str:
        """The spec's name."""

    @property
    def key(self) -> str:
        """The key, as canonical JSON text."""

    @property
    def row(self) -> Mapping[str, Any]:
        """The input row."""

    @property
    def request(self) -> bytes:
        """The rendered request: the params as they are sent."""

    @property
    def request_hash(self) -> str:
        """64 hex digits."""

    @property
    def outcome(self) -> Outcome | None:
        """What is known of the question; None: it was never asked."""

    @property
    def result(self) -> Any:
        """The answer, parsed when there is a schema; None without one."""

    @property
    def history(self) -> Sequence[Asking]:
        """Every asking, oldest first."""


def item_text(item: Item, *, style: Style = PLAIN) -> str:
    """Return an item for a person; every line of foreign text is quoted."""
    lines = [
        style.bold(f"{item.spec} {key_label(item.key)}"),
        f"status: {_word(item.outcome)}",
        f"request hash: {item.request_hash}",
        *_section("row", _pretty(dict(item.row)), style),
        *_section("request", _pretty(json.loads(item.request)), style),
    ]
    if item.result is not None:
        text = item.result if isinstance(item.result, str) else _pretty(item.result)
        lines += _section("result", text, style)
    if item.history:
        lines += ["", style.bold("history"), *_history(item.history)]
    return "\n".join(lines) + "\n"


def item_json(item: Item) -> dict[str, Any]:
    """Return an item as `show --format json` prints it."""
    return {
        "format_version": FORMAT_VERSION,
        "spec": item.spec,
        "key": json.loads(item.key),
        "status": None if item.outcome is None else item.outcome.name.lower(),
        "request_hash": item.request_hash,
        "row": json.loads(_pretty(dict(item.row))),
        "request": json.loads(item.request),
        "result": item.result,
        "history": [
            {
                "attempt": asking.attempt,
                "outcome": asking.outcome.name.lower(),
                "batch_id": asking.batch_id,
                "ended_at": None if asking.ended_at is None else asking.ended_at.isoformat(),
                "detail": asking.detail,
            }
            for asking in item.history
        ],
    }


def _section(title: str, text: str, style: Style) -> list[str]:
    return ["", style.bold(title), quoted(text)]


def _pretty(value: Any) -> str:
    """Return a value as indented JSON; dates, decimals and the like as text."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _word(outcome: Outcome | None) -> str:
    return "not asked yet" if outcome is None else outcome.name.lower().replace("_", " ")


def _history(history: Sequence[Asking]) -> Iterator[str]:
    rows = [
        (
            f"attempt {asking.attempt}",
            _word(asking.outcome),
            clean_line(asking.batch_id or "-"),
            moment(asking.ended_at),
            clean_line(asking.detail, 200),
        )
        for asking in history
    ]
    return (f"  {line}" for line in table(rows))
