"""The rows of the inputs against the baseline's: what is held, what is fresh, what is gone."""

# ruff: noqa: S608 - the names in this SQL are ours.

from __future__ import annotations

from typing import NamedTuple

from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import SAMPLE, InputTable
from batchspec.plan.baseline import Baseline

FEW = 200_000
"""So many rows that are gone are kept in memory; more are looked up in the baseline each time."""
_FORMER = "key_json, row_digest, hash"


class Matched(NamedTuple):
    """How many rows of the baseline the inputs still have, and how many not."""

    held: int
    gone: int


def match_rows(
    engine: Engine, table: InputTable, base: Baseline, prefix: str, *, few: int = FEW
) -> Matched:
    """Make ``<prefix>_fresh``, rows of the index without the baseline's, and ``<prefix>_gone``.

    Args:
        engine: The engine of ``table``.
        table: The items.
        base: A baseline under the same key.
        prefix: Begins the names of what is made.
        few: See `FEW`.
    """
    apart, fresh = f"{prefix}_apart", f"{prefix}_fresh"
    # One hash table of a million digests tells both what is fresh and what is gone.
    engine.execute(
        f"CREATE OR REPLACE TABLE {apart} AS SELECT i.*, b.digest FROM {table.index} i FULL JOIN"
        f" (SELECT row_digest AS digest FROM {base.relation}) b ON i.row_digest = b.digest"
        " WHERE i.row_digest IS NULL OR b.digest IS NULL"
    )
    engine.execute(
        f"CREATE OR REPLACE VIEW {fresh} AS SELECT * EXCLUDE digest FROM {apart}"
        " WHERE digest IS NULL"
    )
    held = table.count - int(engine.one(f"SELECT count(*) FROM {fresh}")[0])
    gone = base.rows - held
    source = f"{base.relation} b SEMI JOIN {apart} a ON a.digest = b.row_digest"
    if gone <= few:
        kept = f"{prefix}_gone_rows"
        source = source if gone else f"{base.relation} LIMIT 0"
        engine.execute(f"CREATE OR REPLACE TABLE {kept} AS FROM {source}")
        source = kept
    engine.execute(f"CREATE OR REPLACE VIEW {prefix}_gone AS FROM {source}")
    return Matched(held, gone)


def former_rows(prefix: str) -> str:
    """Return the relation of what fresh and odd items were before: key_json, row_digest, hash.

    The inputs have a key once, and so has the baseline: what a fresh item was before is gone.
    """
    return f"(SELECT {_FORMER} FROM {prefix}_gone UNION ALL SELECT {_FORMER} FROM {prefix}_odd)"


def held_rows(base: Baseline, prefix: str, *, some: bool) -> str:
    """Return the relation of the held rows whose numbers stand in ``<prefix>_open``, if any do."""
    if not some:
        return f"(FROM {base.relation} LIMIT 0)"
    return (
        f"(SELECT * EXCLUDE file_row_number FROM {base.numbered} SEMI JOIN {prefix}_open"
        f" USING (file_row_number) ANTI JOIN {prefix}_gone USING (row_digest))"
    )


def differ_in_samples(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Tell whether two keys are the same but for the number of the sample."""
    return one != other and _once(one) == _once(other)


def _once(key: tuple[str, ...]) -> tuple[str, ...]:
    return key[:-1] if key[-1:] == (SAMPLE.name,) else key
