"""What of a spec decides which advice it can follow."""

from __future__ import annotations

from typing import Any

from batchspec.api.catalogue import Model
from batchspec.spec.facts import EFFORTS, ModelFacts
from batchspec.spec.model import Message, Spec

_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
_HIGH = EFFORTS.index("high")


def fits(model: Model, own: Model, spec: Spec) -> bool:
    """Tell whether another model could take the spec's requests as they are."""
    facts = model.facts
    return (
        facts.id != own.facts.id
        and not facts.deprecated
        and facts.max_output >= spec.max_tokens
        and facts.context >= own.facts.context
        and (facts.structured_outputs or spec.response.schema_ is None)
        and (facts.sampling or not own.facts.sampling or not _SAMPLING & spec.params.keys())
        and _takes_turns(facts, spec)
        and _takes_params(facts, spec)
    )


def _takes_turns(facts: ModelFacts, spec: Spec) -> bool:
    last = spec.prompt.messages[-1] if spec.prompt.messages else None
    return facts.prefill or not (isinstance(last, Message) and last.role == "assistant")


def _takes_params(facts: ModelFacts, spec: Spec) -> bool:
    """What is not on record of a model's thinking is no reason to recommend it."""
    kind, choice = _part(spec, "thinking", "type"), _part(spec, "tool_choice", "type")
    effort = _part(spec, "output_config", "effort")
    above = effort in EFFORTS and EFFORTS.index(effort) > _HIGH
    thinks = kind is None or (
        kind in (facts.thinking or ()) and not (above and kind in facts.thinking_up_to_high)
    )
    works = effort is None or (facts.effort and effort in (facts.efforts or EFFORTS))
    forced = choice in ("any", "tool")
    return (
        thinks
        and works
        and not (forced and facts.forced_tool_choice is False)
        and not ("inference_geo" in spec.params and facts.geo is False)
    )


def _part(spec: Spec, name: str, key: str) -> Any:
    value = spec.params.get(name)
    return value.get(key) if isinstance(value, dict) else None


def own_breakpoints(spec: Spec) -> str:
    """Return what the author marked for the cache, in words; empty: nothing."""
    prompt, tools = spec.prompt, spec.params.get("tools")
    said = [turn.content for turn in prompt.messages or () if isinstance(turn, Message)]
    contents = (prompt.system, prompt.user, *said)
    blocks = [block for content in contents if isinstance(content, tuple) for block in content]
    marks = []
    if any(block.get("cache") for block in blocks):
        marks.append("`cache` from its blocks")
    if any(tool.get("cache_control") for tool in tools or () if isinstance(tool, dict)):
        marks.append("`cache_control` from its tools")
    return " and ".join(marks)
