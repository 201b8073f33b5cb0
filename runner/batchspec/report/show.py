"""One item as text and JSON: its row, its request, its answer and how often it was asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from batchspec.plan.document import rewording_document
from batchspec.plan.model import Reason
from batchspec.report.figures import key_label, moment, money, number, some_keys, table
from batchspec.report.hygiene import clean_line, quoted
from batchspec.report.style import PLAIN, Style
from batchspec.report.wording import wording_lines

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from batchspec.plan.explain import Explained
    from batchspec.plan.model import Outcome
    from batchspec.plan.wording import Rewording

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
    def submission(self) -> str:
        """Tag of the submission that asked."""

    @property
    def input_tokens(self) -> int:
        """Of the whole prompt."""

    @property
    def output_tokens(self) -> int:
        """Of the answer."""

    @property
    def usd(self) -> Decimal | None:
        """What it cost; None: price unknown."""

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
    def row_digest(self) -> str:
        """32 hex digits."""

    @property
    def explained(self) -> Explained:
        """What a plan would do with it, and why."""

    @property
    def rewording(self) -> Rewording | None:
        """How the request differs from the last applied plan's."""

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
        *_standing(item.explained),
        f"request hash: {item.request_hash}",
        f"row digest: {item.row_digest}",
        *_changes(item, style),
        *_section("row", _pretty(dict(item.row)), style),
        *_section("request", _pretty(json.loads(item.request)), style),
    ]
    if item.result is not None:
        text = item.result if isinstance(item.result, str) else _pretty(item.result)
        lines += _section("result", text, style)
    if item.history:
        lines += ["", style.bold("history"), *_history(item.history)]
    return "\n".join(lines) + "\n"


def _standing(explained: Explained) -> Iterator[str]:
    """Say what a plan would do with the item, and what of it changed."""
    why = "" if explained.reason is None else f", because: {explained.reason.value}"
    yield f"plan: {explained.action.value.replace('_', ' ')}{why}"
    if explained.changed:
        names = explained.changed_files
        words = [
            f"{part.value} ({some_keys(names, len(names))})"
            if part is Reason.FILES and names
            else part.value
            for part in explained.changed
        ]
        yield f"changed since the last applied plan: {', '.join(words)}"


def _changes(item: Item, style: Style) -> list[str]:
    if item.rewording is None:
        return []
    title = "changed in the request, word by word"
    return ["", style.bold(title), *wording_lines(item.rewording, style)]


def item_json(item: Item) -> dict[str, Any]:
    """Return an item as `show --format json` prints it."""
    return {
        "format_version": FORMAT_VERSION,
        "spec": item.spec,
        "key": json.loads(item.key),
        "status": None if item.outcome is None else item.outcome.name.lower(),
        "plan": {
            "action": item.explained.action.value,
            "reason": None if item.explained.reason is None else item.explained.reason.value,
            "changed": [part.value for part in item.explained.changed],
            "changed_files": list(item.explained.changed_files),
        },
        "request_hash": item.request_hash,
        "row_digest": item.row_digest,
        "former": _former(item),
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
                "submission": asking.submission,
                "input_tokens": asking.input_tokens,
                "output_tokens": asking.output_tokens,
                "usd": None if asking.usd is None else f"{asking.usd.normalize():f}",
            }
            for asking in item.history
        ],
    }


def _former(item: Item) -> dict[str, Any] | None:
    """Return the hash that the item had before, and how the request differs, if it does."""
    former = item.explained.former
    if former is None or former.hex() == item.request_hash:
        return None
    compared = None if item.rewording is None else rewording_document(item.rewording)
    return {"request_hash": former.hex(), "rewording": compared}


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
            f"{number(asking.input_tokens)} + {number(asking.output_tokens)} tokens",
            money(asking.usd),
            clean_line(asking.detail, 200),
        )
        for asking in history
    ]
    return (f"  {line}" for line in table(rows))
