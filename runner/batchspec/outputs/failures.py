"""What the results say beyond the output: which submissions answered, and which items failed."""

# ruff: noqa: S608 - the names in this SQL are ours

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from batchspec.inputs.engine import Engine, quote_literal
from batchspec.outputs.rejudge import JUDGED
from batchspec.outputs.results import ROWS, Results
from batchspec.plan.model import JsonKey, Outcome
from batchspec.records import frozen

_DETAIL_CHARACTERS = 500


@frozen
class FailedRow:
    """An item without a usable answer."""

    key: JsonKey
    status: str
    detail: str
    """What the API or the check of the answer said."""


def known_relation(known: Path) -> str:
    """Return the SQL text that reads what the state knows of questions."""
    return f"read_parquet({quote_literal(str(known))})"


def answering_submissions(engine: Engine, items: str, known: Path) -> frozenset[str]:
    """Return the tags of the submissions whose answers a spec's items stand on."""
    rows = engine.rows(
        f"SELECT DISTINCT k.submission FROM {items} i JOIN {known_relation(known)} k"
        " ON k.hash = i.hash[1:16]"
    )
    return frozenset(tag for (tag,) in rows)


def failed_rows(engine: Engine, results: Results, passed: tuple[str, ...]) -> Iterator[FailedRow]:
    """Yield the items whose status is none of ``passed``, in key order."""
    marks = ", ".join(quote_literal(status) for status in passed)
    rows = engine.rows(
        f"SELECT key_json, status, coalesce(error.message, 'stop_reason ' || stop_reason, '')"
        f" FROM {ROWS} WHERE status NOT IN ({marks}) ORDER BY {results.order}"
    )
    for key, status, detail in rows:
        yield FailedRow(key=key, status=status, detail=detail[:_DETAIL_CHARACTERS])


def new_verdicts(engine: Engine, results: Results) -> Iterator[tuple[bytes, Outcome]]:
    """Yield question (16 bytes) and outcome of answers that this spec has just judged otherwise.

    They were adopted unchecked, or judged by a form that the spec has no more.
    """
    rows = engine.rows(
        f"SELECT DISTINCT j.hash, j.outcome FROM {JUDGED} j"
        f" SEMI JOIN {results.sources.items} i ON j.hash = i.hash[1:16]"
        " WHERE j.outcome <> j.known"
    )
    for digest, outcome in rows:
        yield digest, Outcome(outcome)
