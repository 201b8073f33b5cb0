"""Where a request's cache breakpoint goes (fact sheet §5).

The prefix of a request is tools, then system, then messages. The longest part of it that no item
variable reaches is the same for every item; a breakpoint on its last block lets the API keep it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from batchspec.prompt.canonical import canonical_json
from batchspec.records import frozen
from batchspec.spec.facts import CHARS_PER_TOKEN, ModelFacts

Ttl = Literal["5m", "1h"]

AUTO_TTL: Ttl = "1h"
"""The documented advice for batches, whose runs often outlast five minutes (fact sheet §5)."""


MAX_BREAKPOINTS = 4
"""Of one request (fact sheet §5)."""
_IN_TOOLS = ("params.tools carries a breakpoint of its own, so none was added.",)
Place = tuple[str | int, ...]
"""``("tools",)``, ``("tools", 0)``, ``("system", 0)`` or ``("messages", 0, 0)``."""


@frozen
class Segment:
    """One block that a breakpoint could stand on, in the order of the prefix."""

    place: Place
    chars: int | None
    """Characters that it counts; None when an item variable reaches it."""
    cache: Literal["default", "5m", "1h"] | None = None
    """Its author wants a breakpoint behind it, with this lifetime."""
    given: Ttl | None = None
    """It carries one already, as the API takes it: a tool, or a block of a file of turns."""


@frozen
class Breakpoint:
    """The outcome of `place_breakpoint`."""

    place: Place | None = None
    """The last segment of the prefix that all items share and that is marked; None: there is none.
    Its lifetime and size decide what caching is expected to save."""
    ttl: Ttl | None = None
    prefix_chars: int = 0
    """Characters of the constant prefix up to ``place``; 0 without one."""
    marks: tuple[tuple[Place, Ttl], ...] = ()
    """Every segment that is given ``cache_control``, in order."""
    every: tuple[tuple[Place, Ttl], ...] = ()
    """Those, and the segments that carry it already, in order."""
    notes: tuple[str, ...] = ()
    """Why there is none, for the plan's reader."""
    short: tuple[int, Ttl] | None = None
    """Characters and lifetime of a marked prefix that seems too short for the model to cache it."""

    def control(self, place: Place) -> dict[str, str] | None:
        """Return the value of a segment's ``cache_control``; None: it has none."""
        ttl = dict(self.marks).get(place)
        return None if ttl is None else {"type": "ephemeral", "ttl": ttl}


def place_breakpoint(
    mode: Literal["auto", "5m", "1h", "off"],
    segments: Sequence[Segment],
    *,
    tools: Any,
    facts: ModelFacts | None,
) -> Breakpoint:
    """Decide about the breakpoints: the author's own, else one behind what all items share.

    It depends on the spec alone, never on the number of items: a breakpoint is part of the request,
    and a second item must not change the first one's question.

    Args:
        mode: The spec's ``cache``.
        segments: System and message blocks in order.
        tools: ``params.tools``, or None.
        facts: The model's; None for an unknown model.
    """
    whole = [*_tool_segments(tools), *segments]
    found = _placed(mode, whole, facts)
    written = dict(found.marks)
    lives = ((s.place, written.get(s.place, s.given)) for s in whole)
    return replace(found, every=tuple((place, ttl) for place, ttl in lives if ttl is not None))


def _placed(
    mode: Literal["auto", "5m", "1h", "off"], segments: Sequence[Segment], facts: ModelFacts | None
) -> Breakpoint:
    default: Ttl = "5m" if mode == "5m" else AUTO_TTL
    own = tuple(
        (segment.place, default if segment.cache == "default" else segment.cache)
        for segment in segments
        if segment.cache is not None
    )
    prefix = _constant_prefix(segments)
    deciding = [number for number, segment in enumerate(prefix) if _decides(segment, mode)]
    if deciding:
        found = _marked(own, prefix[: deciding[-1] + 1], facts)
        in_tools = mode != "off" and not any(segment.cache for segment in prefix)
        return replace(found, notes=(*_IN_TOOLS * in_tools, *found.notes))
    if mode == "off":
        return Breakpoint(marks=own)
    complaint = _unshared(prefix, segments) or _too_short(prefix, facts)
    if complaint is not None:
        return _none(complaint, own)
    return Breakpoint(
        place=prefix[-1].place,
        ttl=default,
        prefix_chars=sum(segment.chars or 0 for segment in prefix),
        marks=((prefix[-1].place, default), *own),
    )


def _decides(segment: Segment, mode: str) -> bool:
    """Tell whether a breakpoint of the author's stands behind a segment, so that none is added."""
    in_tools = segment.place[0] == "tools"
    return segment.cache is not None or (segment.given is not None and (in_tools or mode == "off"))


def _marked(
    own: tuple[tuple[Place, Ttl], ...], within: Sequence[Segment], facts: ModelFacts | None
) -> Breakpoint:
    """Return the author's breakpoints, of which the last one behind what all share decides."""
    last = within[-1].place
    ttl = dict(own).get(last) or within[-1].given or AUTO_TTL
    complaint = _too_short(within, facts)
    chars = sum(segment.chars or 0 for segment in within)
    if complaint is not None:
        note = f"{complaint} The breakpoint behind {block_name(last)} has no effect."
        return Breakpoint(marks=own, notes=(note,), short=(chars, ttl))
    return Breakpoint(place=last, ttl=ttl, prefix_chars=chars, marks=own)


def block_name(place: Place) -> str:
    """Return what a segment is called: ``block 2 of message 1``."""
    if place[0] == "tools":
        return "the tools"
    *_, last = place
    whole = "the system prompt" if place[0] == "system" else f"message {int(place[1]) + 1}"
    return f"block {int(last) + 1} of {whole}"


def _none(note: str, own: tuple[tuple[Place, Ttl], ...]) -> Breakpoint:
    return Breakpoint(marks=own, notes=() if own else (note,))


def _tool_segments(tools: Any) -> list[Segment]:
    """Return the tools as one segment, or each as its own where one carries a breakpoint."""
    if not tools or not isinstance(tools, list):
        return []
    given = [given_ttl(tool) for tool in tools]
    if not any(given):
        return [Segment(place=("tools",), chars=len(canonical_json(tools).decode()))]
    return [
        Segment(place=("tools", number), chars=len(canonical_json(tool).decode()), given=ttl)
        for number, (tool, ttl) in enumerate(zip(tools, given, strict=True))
    ]


def given_ttl(block: Any) -> Ttl | None:
    """Return the lifetime of the ``cache_control`` that a tool or block carries; None: it has none.

    Five minutes are the API's default (fact sheet §5).
    """
    control = block.get("cache_control") if isinstance(block, dict) else None
    if not isinstance(control, dict):
        return None
    return "1h" if control.get("ttl") == "1h" else "5m"


def _constant_prefix(segments: Sequence[Segment]) -> list[Segment]:
    prefix: list[Segment] = []
    for segment in segments:
        if segment.chars is None:
            break
        prefix.append(segment)
    return prefix


def _unshared(prefix: Sequence[Segment], whole: Sequence[Segment]) -> str | None:
    if not prefix:
        return "Nothing is cached: the prompt begins with a value of the item."
    if len(prefix) == len(whole):
        return "Nothing is cached: no value of the item is in the prompt."
    return None


def _too_short(prefix: Sequence[Segment], facts: ModelFacts | None) -> str | None:
    characters = sum(segment.chars or 0 for segment in prefix)
    if facts is None or facts.min_cache_tokens is None:
        return None
    tokens = int(characters / CHARS_PER_TOKEN[facts.tokenizer])
    if tokens >= facts.min_cache_tokens:
        return None
    return (
        f"Nothing is cached: the shared prefix has about {tokens:,} tokens, and {facts.id} caches"
        f" from {facts.min_cache_tokens:,} on."
    )
