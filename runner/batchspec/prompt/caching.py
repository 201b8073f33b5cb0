"""Where a request's cache breakpoint goes (fact sheet §5).

The prefix of a request is tools, then system, then messages. The longest part of it that no item
variable reaches is the same for every item; a breakpoint on its last block lets the API keep it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from batchspec.prompt.canonical import canonical_json
from batchspec.spec.facts import ModelFacts

Ttl = Literal["5m", "1h"]

CHARS_PER_TOKEN = {"old": 3.5, "new": 2.5}
"""Fact sheet §7: characters of English per token, by tokenizer generation."""
AUTO_TTL: Ttl = "1h"
"""The documented advice for batches, whose runs often outlast five minutes (fact sheet §5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One block that a breakpoint could stand on, in the order of the prefix."""

    place: tuple[str | int, ...]
    """``("tools",)``, ``("system", 0)`` or ``("messages", 0, 0)``."""
    constant: str | None
    """Its text; None when an item variable reaches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakpoint:
    """The outcome of `place_breakpoint`."""

    place: tuple[str | int, ...] | None = None
    """The segment that carries ``cache_control``; None: no breakpoint."""
    ttl: Ttl | None = None
    prefix_chars: int = 0
    """Characters of the constant prefix up to the breakpoint; 0 without one."""
    notes: tuple[str, ...] = ()
    """Why there is none, for the plan's reader."""

    @property
    def control(self) -> dict[str, str]:
        """The value of ``cache_control``."""
        return {"type": "ephemeral", "ttl": self.ttl or AUTO_TTL}


def place_breakpoint(
    mode: Literal["auto", "5m", "1h", "off"],
    segments: Sequence[Segment],
    *,
    tools: Any,
    facts: ModelFacts | None,
) -> Breakpoint:
    """Decide about the breakpoint.

    It depends on the spec alone, never on the number of items: a breakpoint is part of the request,
    and a second item must not change the first one's question.

    Args:
        mode: The spec's ``cache``.
        segments: System and message blocks in order.
        tools: ``params.tools``, or None.
        facts: The model's; None for an unknown model.
    """
    if mode == "off":
        return Breakpoint()
    if b'"cache_control"' in canonical_json(tools):
        return _none("params.tools carries a breakpoint of its own, so none was added.")
    whole = [Segment(place=("tools",), constant=_tools_text(tools)), *segments]
    prefix = _constant_prefix(whole if tools else whole[1:])
    if not prefix:
        return _none("Nothing is cached: the prompt begins with a value of the item.")
    if len(prefix) == len(whole) - (0 if tools else 1):
        return _none("Nothing is cached: no value of the item is in the prompt.")
    characters = sum(len(segment.constant or "") for segment in prefix)
    short = _too_short(characters, facts)
    if short is not None:
        return _none(short)
    return Breakpoint(
        place=prefix[-1].place,
        ttl=AUTO_TTL if mode == "auto" else mode,
        prefix_chars=characters,
    )


def _none(note: str) -> Breakpoint:
    return Breakpoint(notes=(note,))


def _tools_text(tools: Any) -> str:
    return canonical_json(tools).decode() if tools else ""


def _constant_prefix(segments: Sequence[Segment]) -> list[Segment]:
    prefix: list[Segment] = []
    for segment in segments:
        if segment.constant is None:
            break
        prefix.append(segment)
    return prefix


def _too_short(characters: int, facts: ModelFacts | None) -> str | None:
    if facts is None or facts.min_cache_tokens is None:
        return None
    tokens = int(characters / CHARS_PER_TOKEN[facts.tokenizer])
    if tokens >= facts.min_cache_tokens:
        return None
    return (
        f"Nothing is cached: the shared prefix has about {tokens:,} tokens, and {facts.id} caches"
        f" from {facts.min_cache_tokens:,} on."
    )
