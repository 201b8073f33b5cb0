"""Checks that calls of tools and their results follow each other in a conversation.

The documentation says it in no one place; the texts are those that others were answered.
"""

from __future__ import annotations

import itertools
from typing import Any

_WITHOUT_RESULT = (
    "messages: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each"
    " `tool_use` block must have a corresponding `tool_result` block in the next message."
)
_WITHOUT_CALL = (
    "messages: unexpected `tool_use_id` found in `tool_result` blocks: {}. Each `tool_result` block"
    " must have a corresponding `tool_use` block in the previous message."
)


def turns_fault(messages: list[dict[str, Any]]) -> str | None:
    """Return the first fault of calls and results, or ``None``.

    Messages of one speaker in a row count as one. A last call of all needs no result: what the
    model makes of it is the prefill's affair.
    """
    spoken = [message for message in messages if message["role"] != "system"]
    called: set[str] = set()
    for role, turns in itertools.groupby(spoken, lambda message: message["role"]):
        blocks = [block for turn in turns for block in _blocks(turn)]
        if role == "assistant":
            called = _ids(blocks, "tool_use", "id")
            continue
        answered = _ids(blocks, "tool_result", "tool_use_id")
        if called - answered:
            return _WITHOUT_RESULT.format(", ".join(sorted(called - answered)))
        if answered - called:
            return _WITHOUT_CALL.format(", ".join(sorted(answered - called)))
    return None


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return content if isinstance(content, list) else []


def _ids(blocks: list[dict[str, Any]], kind: str, key: str) -> set[str]:
    return {str(block.get(key)) for block in blocks if block["type"] == kind}
