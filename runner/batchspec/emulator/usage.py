"""Counts tokens, and keeps the prompt cache whose hits and writes usage reports (§1.8, §5)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from batchspec.emulator.content import blocks_of
from batchspec.emulator.media import CHARS_PER_TOKEN, Measure, media_tokens

if TYPE_CHECKING:
    from batchspec.emulator.models import ModelFacts

_LOOK_BACK = 20
_TTL_SECONDS = {"5m": 300.0, "1h": 3600.0}


def text_tokens(text: str) -> int:
    """Return the tokens of a text: four characters each, and never none."""
    return max(1, -(-len(text) // CHARS_PER_TOKEN))


def unmeasured(_file_id: str) -> int | None:
    """Stand for files whose content is not at hand."""
    return None


def block_tokens(block: dict[str, Any], measure: Measure = unmeasured) -> int:
    """Return the tokens of one block of a prompt."""
    text = block.get("text")
    if isinstance(text, str):
        return text_tokens(text)
    if block.get("type") in ("image", "document"):
        source = block.get("source", {})
        if source.get("type") == "text":
            return text_tokens(source["data"])
        return media_tokens(source, measure)
    return text_tokens(orjson.dumps(block).decode())


def prompt_tokens(params: dict[str, Any], measure: Measure = unmeasured) -> int:
    """Return the input tokens of a request, cached or not."""
    total = 0
    for block in blocks_of(params):
        total += block_tokens(block, measure)
    return total


@dataclass(slots=True)
class CacheEntry:
    """One prefix in the prompt cache."""

    usable_at: float
    """Emulated time from which it can be read."""
    expires_at: float
    """Emulated time at which it is gone unless it is read before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputUsage:
    """The input side of ``usage``."""

    fresh: int
    """``input_tokens``: neither read from nor written to the cache."""
    read: int = 0
    """``cache_read_input_tokens``."""
    written_5m: int = 0
    """``cache_creation.ephemeral_5m_input_tokens``."""
    written_1h: int = 0
    """``cache_creation.ephemeral_1h_input_tokens``."""


@dataclass(slots=True)
class PromptCache:
    """Prefixes written by earlier requests (fact sheet §5).

    An entry is written at a breakpoint, becomes readable ``warm_seconds`` later, and lives for
    its TTL from the start of the last request that wrote or read it.
    """

    measure: Measure = unmeasured
    """Measures uploaded files."""
    entries: dict[bytes, CacheEntry] = field(default_factory=dict)
    """Digest of workspace, model and prefix to its entry."""

    def account(
        self,
        params: dict[str, Any],
        model: ModelFacts,
        now: float,
        warm: float,
        workspace: str = "",
    ) -> InputUsage:
        """Return the input usage of a request that starts at ``now``, and record its writes.

        Args:
            params: checked params.
            model: the model of the request; its minimum prefix counts.
            now: emulated start of the request.
            warm: seconds from now until what is written here can be read.
            workspace: of the batch; no other one reads its entries.
        """
        prefix = _Prefix(params, f"{workspace} {model.id}", self.measure)
        marks = [
            (position, ttl)
            for position, ttl in prefix.marks
            if prefix.tokens[position] >= model.cache_minimum
        ]
        if not marks:
            return InputUsage(fresh=prefix.total)
        read_to, read = self._longest_read(prefix, marks, now)
        written = {"5m": 0, "1h": 0}
        covered = read
        for position, ttl in marks:
            if position <= read_to:
                continue
            written[ttl] += prefix.tokens[position] - covered
            covered = prefix.tokens[position]
            self._write(prefix.digests[position], now, warm, ttl)
        return InputUsage(
            fresh=prefix.total - covered,
            read=read,
            written_5m=written["5m"],
            written_1h=written["1h"],
        )

    def _longest_read(
        self, prefix: _Prefix, marks: list[tuple[int, str]], now: float
    ) -> tuple[int, int]:
        for mark, ttl in reversed(marks):
            for position in range(mark, max(-1, mark - _LOOK_BACK), -1):
                entry = self.entries.get(prefix.digests[position])
                if entry is not None and entry.usable_at < now <= entry.expires_at:
                    entry.expires_at = max(entry.expires_at, now + _TTL_SECONDS[ttl])
                    return position, prefix.tokens[position]
        return -1, 0

    def _write(self, digest: bytes, now: float, warm: float, ttl: str) -> None:
        expires = now + _TTL_SECONDS[ttl]
        entry = self.entries.get(digest)
        if entry is None or entry.expires_at < now:
            self.entries[digest] = CacheEntry(now + warm, expires)
        else:
            entry.expires_at = max(entry.expires_at, expires)

    def forget_before(self, now: float) -> None:
        """Drop the entries that have expired."""
        self.entries = {
            key: entry for key, entry in self.entries.items() if entry.expires_at >= now
        }


class _Prefix:
    """Running digests and token counts of a prompt, block by block.

    Another tool choice, way of thinking or effort leaves tools and system in the cache, and misses
    the messages (fact sheet §5).
    """

    def __init__(self, params: dict[str, Any], whose: str, measure: Measure) -> None:
        self.digests: list[bytes] = []
        self.tokens: list[int] = []
        self.marks: list[tuple[int, str]] = []
        running = hashlib.sha256(whose.encode())
        total = 0
        in_messages = False
        for position, block in enumerate(blocks_of(params)):
            if "role" in block and not in_messages:
                in_messages = True
                running.update(_manner(params))
            mark = block.get("cache_control")
            bare = {key: value for key, value in block.items() if key != "cache_control"}
            running.update(orjson.dumps(bare, option=orjson.OPT_SORT_KEYS))
            self.digests.append(running.copy().digest())
            total += block_tokens(bare, measure)
            self.tokens.append(total)
            if mark:
                self.marks.append((position, mark.get("ttl", "5m")))
        automatic = params.get("cache_control")
        last = len(self.digests) - 1
        if automatic and (not self.marks or self.marks[-1][0] != last):
            self.marks.append((last, automatic.get("ttl", "5m")))
        self.total = total


def _manner(params: dict[str, Any]) -> bytes:
    """Return what is part of the prefix of every message without standing in a block."""
    effort = (params.get("output_config") or {}).get("effort")
    return orjson.dumps(
        [params.get("tool_choice"), params.get("thinking"), effort], option=orjson.OPT_SORT_KEYS
    )
