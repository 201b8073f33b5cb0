"""What a submission is of its command's work: for how many items it asks, and what comes after it.

It is for people, who think in items; nothing is decided by it. A submission without it was made by
a former version, or found in the workspace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import orjson

from batchspec.plan.model import Share
from batchspec.records import frozen


@frozen
class Unsent:
    """Batches of one spec that are planned and not sent yet."""

    spec: str
    batches: int
    requests: int
    """All of theirs together."""
    share: Share | None
    """None: it was not counted."""
    usd_max: Decimal | None
    """The most that they may cost; None: a price is not known."""


@frozen
class Part:
    """What a submission is of its command's work."""

    share: Share | None
    """None: it was not counted."""
    behind: tuple[Unsent, ...] = ()
    """What the command meant to send after it."""


def part_json(part: Part) -> str:
    """Return a part as the ledger keeps it."""
    return orjson.dumps(asdict(part), default=str).decode()


def part_of(text: str) -> Part:
    """Return the part of `part_json`'s text."""
    raw = orjson.loads(text)
    return Part(
        share=_share(raw["share"]), behind=tuple(_unsent(values) for values in raw["behind"])
    )


def _share(raw: Mapping[str, Any] | None) -> Share | None:
    return None if raw is None else Share(items=raw["items"], again=raw["again"])


def _unsent(raw: Mapping[str, Any]) -> Unsent:
    usd = raw["usd_max"]
    return Unsent(
        spec=raw["spec"],
        batches=raw["batches"],
        requests=raw["requests"],
        share=_share(raw["share"]),
        usd_max=None if usd is None else Decimal(usd),
    )
