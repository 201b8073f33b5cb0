"""A few items whose question changed, chosen before rendering so that their requests are kept."""

# ruff: noqa: S608 - the names in this SQL are ours, and literals are quoted.

from __future__ import annotations

from collections.abc import Iterator, Mapping

from batchspec.inputs.columns import quote_literal
from batchspec.inputs.engine import Engine
from batchspec.plan.model import Action, JsonKey, Reason
from batchspec.records import frozen

EXAMPLES = 2
"""So many items are examples of changed rows, and as many of changes in the spec."""


@frozen
class Example:
    """One item to submit whose question was another one before."""

    key_json: JsonKey
    reason: Reason
    former: bytes
    """The 32-byte request hash that it had in the last applied plan."""
    request: bytes
    """Its request as it was rendered now."""


def choose_examples(engine: Engine, fresh: str, keys: str, former: str) -> dict[JsonKey, bytes]:
    """Return items of the relation ``fresh`` that were planned before, with their former hashes.

    Args:
        engine: Where the relations are.
        fresh: The items to choose from.
        keys: Its typed key columns.
        former: What items were before: key_json, row_digest, hash.
    """
    rows = engine.rows(
        f"SELECT key_json, hash FROM {fresh} JOIN (SELECT key_json, row_digest AS before, hash"
        f" FROM {former}) b USING (key_json) QUALIFY row_number() OVER (PARTITION BY"
        f" before = row_digest ORDER BY {keys}) <= {EXAMPLES}"
    )
    return dict(rows)


def examples_of(
    engine: Engine,
    work: str,
    keys: str,
    former: Mapping[JsonKey, bytes],
    kept: Mapping[JsonKey, bytes],
) -> Iterator[Example]:
    """Yield, in key order, the chosen items that the relation ``work`` says to submit."""
    if not former:
        return
    chosen = ", ".join(quote_literal(key) for key in former)
    rows = engine.rows(
        f"SELECT key_json, reason FROM {work} WHERE key_json IN ({chosen})"
        f" AND action = '{Action.SUBMIT}' AND reason <> '{Reason.RETRY}' ORDER BY {keys}"
    )
    for key, reason in rows:
        yield Example(key_json=key, reason=Reason(reason), former=former[key], request=kept[key])
