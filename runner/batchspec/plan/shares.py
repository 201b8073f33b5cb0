"""For how many items the batches of a plan ask: set operations over its tables."""

# ruff: noqa: S608 - the names in this SQL are ours, and literals are quoted.

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import accumulate
from pathlib import Path

from batchspec.inputs.columns import quote_literal
from batchspec.plan.items import ItemTable
from batchspec.plan.model import Action, Reason, Share
from batchspec.plan.pack import Packed


def shares(
    items: ItemTable, batches: Sequence[Packed], known: Path, *, beside: bool
) -> tuple[Share, ...]:
    """Return the share of each batch in the items to submit, in the order of the batches.

    Args:
        items: The plan's items.
        batches: Its questions, in their order, as they are divided.
        known: Parquet of what is known of questions: hash (16 bytes), outcome, submission.
        beside: Other submissions are in flight. Then an item whose question has changed is told
            apart from a new one: it may belong to their work.
    """
    again = Reason.RETRY in items.reasons or beside
    if not again and not items.counts.duplicate:
        return tuple(Share(items=batch.requests) for batch in batches)
    starts = [0, *accumulate(batch.requests for batch in batches)][:-1]
    asked = f"(SELECT hash, row_number() OVER (ORDER BY {items.order}) - 1 AS n FROM {items.asked})"
    submit = f"(SELECT hash, key_json FROM {items.prefix}_work WHERE action = '{Action.SUBMIT}')"
    former = _former(items, known, beside=beside) if again else ("NULL", "")
    rows = items.engine.rows(
        f"SELECT start, former, count(*) FROM (SELECT a.n, {former[0]} AS former FROM {submit} w"
        f" JOIN {asked} a USING (hash) {former[1]})"
        " ASOF JOIN (SELECT unnest(?::BIGINT[]) AS start) ON n >= start GROUP BY ALL",
        [starts],
    )
    found: dict[int, dict[str | None, int]] = defaultdict(dict)
    for start, tag, count in rows:
        found[start][tag] = count
    return tuple(_share(found[start]) for start in starts)


def _former(items: ItemTable, known: Path, *, beside: bool) -> tuple[str, str]:
    """Return the SQL of who asked for an item last, and the joins that it needs."""
    source = f"read_parquet({quote_literal(str(known))})"
    joins = f"LEFT JOIN {source} q ON q.hash = w.hash[1:16]"
    if items.former is None or not beside:
        return "q.submission", joins
    joins += f" LEFT JOIN (SELECT key_json, hash AS had FROM {items.former}) b USING (key_json)"
    joins += f" LEFT JOIN {source} p ON p.hash = b.had[1:16]"
    return "coalesce(q.submission, p.submission)", joins


def _share(counts: dict[str | None, int]) -> Share:
    again = {tag: count for tag, count in sorted(counts.items(), key=str) if tag is not None}
    return Share(items=sum(counts.values()), again=again)


def held(items: ItemTable, known: Path, tags: Collection[str]) -> dict[str, int]:
    """Count the items whose questions some submissions asked last, by the submissions' tags."""
    rows = items.engine.rows(
        f"SELECT submission, count(*) FROM {items.relation} i JOIN (SELECT hash AS h, submission"
        f" FROM read_parquet({quote_literal(str(known))}) WHERE list_contains(?, submission))"
        " ON h = i.hash[1:16] GROUP BY submission",
        [sorted(tags)],
    )
    return dict.fromkeys(tags, 0) | dict(rows)
