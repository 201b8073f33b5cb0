"""The models the emulator knows: windows, dates, and what each accepts (fact sheet §4.2 and §6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EFFORTS = ("low", "medium", "high", "xhigh", "max")
THINKING_TYPES = ("adaptive", "between_tools", "disabled", "enabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model of the catalogue."""

    id: str
    """The id as the Models API lists it."""
    alias: str
    """The other name it answers to; the same as ``id`` when there is none."""
    name: str
    """Display name."""
    line: str | None
    """haiku, sonnet, opus, fable or mythos."""
    created: str
    """Release date, ``YYYY-MM-DD``; the epoch where it is not known (fact sheet §8)."""
    deprecated: str | None
    """Date of the deprecation, when there was one and it is known."""
    retires: str | None
    """Scheduled retirement; a model that has one is deprecated."""
    window: int
    """Input window in tokens."""
    max_output: int
    """Largest ``max_tokens`` without a beta."""
    cache_minimum: int
    """Smallest cacheable prefix in tokens."""
    extended_output: bool
    """Whether the 300K output beta covers it (batches only)."""
    effort: bool
    """Whether ``output_config.effort`` is accepted."""
    thinking: tuple[str, ...]
    """``thinking.type`` values it accepts."""
    thinking_up_to_high: tuple[str, ...] = ()
    """Those of them that it accepts only up to effort high."""
    sampling: bool
    """Whether temperature, top_p and top_k work under ``2023-06-01``."""
    prefill: bool
    """Whether the conversation may end with an assistant message."""
    forced_tools: bool
    """Whether ``tool_choice`` any or tool is accepted."""
    geo: bool
    """Whether ``inference_geo`` is accepted (4.6 and later)."""

    def as_json(self) -> dict[str, Any]:
        """Return the Models API's object for it (fact sheet §8)."""
        return {
            "type": "model",
            "id": self.id,
            "display_name": self.name,
            "created_at": f"{self.created}T00:00:00Z",
            "lifecycle": "active" if self.retires is None else "deprecated",
            "deprecated_at": self.deprecated and f"{self.deprecated}T00:00:00Z",
            "retires_at": self.retires and f"{self.retires}T00:00:00Z",
            "line": self.line,
            "max_input_tokens": self.window,
            "max_tokens": self.max_output,
            "capabilities": self._capabilities(),
        }

    def _capabilities(self) -> dict[str, Any]:
        yes = {"supported": True}
        plain = ("batch", "citations", "code_execution", "image_input", "pdf_input")
        strategies = ("clear_thinking_20251015", "clear_tool_uses_20250919", "compact_20260112")
        return {
            **dict.fromkeys((*plain, "structured_outputs"), yes),
            "context_management": {**yes, **dict.fromkeys(strategies, yes)},
            "effort": {
                "supported": self.effort,
                **{level: {"supported": self.effort} for level in EFFORTS},
            },
            "server_tools": {**yes, "web_search": yes, "code_execution": yes},
            "thinking": {
                **yes,
                "types": {kind: {"supported": kind in self.thinking} for kind in THINKING_TYPES},
            },
        }


_ADAPTIVE_ONLY = ("adaptive",)
_ADAPTIVE = ("adaptive", "disabled")
_BOTH = ("adaptive", "disabled", "enabled")
_CLASSIC = ("disabled", "enabled")
_BETWEEN = ("adaptive", "between_tools")


def _new(  # noqa: PLR0913  (a row of the table below)
    id_: str,
    created: str,
    *,
    minimum: int = 512,
    thinking: tuple[str, ...] = _ADAPTIVE_ONLY,
    up_to_high: tuple[str, ...] = (),
    extended: bool = False,
    forced: bool = True,
    sampling: bool = False,
    retires: str | None = None,
) -> ModelFacts:
    """Return a model with a window of one million tokens."""
    line = id_.split("-")[1]
    return ModelFacts(
        id=id_,
        alias=id_,
        name=_display_name(id_),
        line=line,
        created=created,
        deprecated=None,
        retires=retires,
        window=1_000_000,
        max_output=128_000,
        cache_minimum=minimum,
        extended_output=extended,
        effort=True,
        thinking=thinking,
        thinking_up_to_high=up_to_high,
        sampling=sampling,
        prefill=False,
        forced_tools=forced,
        geo=True,
    )


def _old(
    alias: str,
    created: str,
    minimum: int,
    deprecated: str | None = None,
    retires: str | None = None,
) -> ModelFacts:
    """Return a 4.5 model: 200K window, dated id, prefill and sampling still accepted."""
    return ModelFacts(
        id=f"{alias}-{_OLD_DATES[alias]}",
        alias=alias,
        name=_display_name(alias),
        line=alias.split("-")[1],
        created=created,
        deprecated=deprecated,
        retires=retires,
        window=200_000,
        max_output=64_000,
        cache_minimum=minimum,
        extended_output=False,
        effort=alias == "claude-opus-4-5",
        thinking=_CLASSIC,
        sampling=True,
        prefill=True,
        forced_tools=True,
        geo=False,
    )


def _display_name(id_: str) -> str:
    _, line, *version = id_.split("-")
    return f"Claude {line.capitalize()} {'.'.join(version)}".replace(".preview", " Preview")


_OLD_DATES = {
    "claude-haiku-4-5": "20251001",
    "claude-opus-4-5": "20251101",
    "claude-sonnet-4-5": "20250929",
}

CATALOGUE: tuple[ModelFacts, ...] = (
    _new("claude-fable-5-2", "2026-11-09"),
    _new("claude-mythos-5-2", "2026-11-09"),
    _new("claude-haiku-5-5", "2026-10-07", thinking=_ADAPTIVE, extended=True),
    _new(
        "claude-sonnet-5-5",
        "2026-09-28",
        thinking=_BETWEEN,
        up_to_high=("between_tools",),
        extended=True,
        forced=False,
    ),
    _new("claude-opus-5-5", "2026-09-22", extended=True, forced=False),
    _new("claude-fable-5-1", "2026-09-01", forced=False),
    _new("claude-mythos-5-1", "2026-09-01", forced=False),
    _new(
        "claude-opus-5",
        "2026-07-24",
        thinking=_ADAPTIVE,
        up_to_high=("disabled",),
        extended=True,
    ),
    _new("claude-sonnet-5", "2026-06-30", minimum=1024, thinking=_ADAPTIVE, extended=True),
    _new("claude-fable-5", "2026-06-09"),
    _new("claude-mythos-5", "2026-06-09"),
    _new("claude-opus-4-8", "2026-05-28", minimum=1024, thinking=_ADAPTIVE, extended=True),
    _new("claude-opus-4-7", "2026-04-16", minimum=2048, thinking=_ADAPTIVE, extended=True),
    _new(
        "claude-sonnet-4-6",
        "2026-02-17",
        minimum=1024,
        thinking=_BOTH,
        extended=True,
        sampling=True,
    ),
    _new(
        "claude-opus-4-6",
        "2026-02-05",
        minimum=4096,
        thinking=_BOTH,
        extended=True,
        sampling=True,
    ),
    _old("claude-opus-4-5", "2025-11-24", 4096),
    _old("claude-haiku-4-5", "2025-10-15", 4096),
    _old("claude-sonnet-4-5", "2025-09-29", 1024, "2026-09-30", "2026-11-30"),
    _new("claude-mythos-preview", "1970-01-01", minimum=2048, retires="2026-06-30"),
)
"""Newest first, as the Models API lists them."""

_BY_NAME = {name: facts for facts in CATALOGUE for name in (facts.id, facts.alias)}


def find_model(name: str) -> ModelFacts | None:
    """Return the model with this id or alias."""
    return _BY_NAME.get(name)


def generic_model(name: str) -> ModelFacts:
    """Return facts for a name outside the catalogue, when such names are to be accepted."""
    return ModelFacts(
        id=name,
        alias=name,
        name=name,
        line=None,
        created="1970-01-01",
        deprecated=None,
        retires=None,
        window=1_000_000,
        max_output=128_000,
        cache_minimum=1024,
        extended_output=True,
        effort=True,
        thinking=THINKING_TYPES,
        sampling=True,
        prefill=True,
        forced_tools=True,
        geo=True,
    )
