"""The tools that a spec gives to the model."""

from __future__ import annotations

import re
from typing import Any

CLIENT_FAMILIES = frozenset({"bash", "computer", "memory", "text_editor"})
"""Tools whose dated type fixes what they take, and that the caller runs."""
FAMILIES = CLIENT_FAMILIES | {
    "advisor", "browser_toolset", "code_execution", "computer_toolset", "custom", "mcp_toolset",
    "tool_search_tool_bm25", "tool_search_tool_regex", "web_fetch", "web_search",
}  # fmt: skip
"""What a tool's type may be, without its date, by the SDK's list of types."""
FIXED_NAMES = {
    "advisor": ("advisor",),
    "bash": ("bash",),
    "code_execution": ("code_execution",),
    "computer": ("computer",),
    "memory": ("memory",),
    "text_editor": ("str_replace_based_edit_tool", "str_replace_editor"),
    "tool_search_tool_bm25": ("tool_search_tool_bm25",),
    "tool_search_tool_regex": ("tool_search_tool_regex",),
    "web_fetch": ("web_fetch",),
    "web_search": ("web_search",),
}
"""The names that the SDK's types give to tools of a dated type."""
UNDATED = frozenset({"custom", "mcp_toolset", "tool_search_tool_bm25", "tool_search_tool_regex"})
"""Types that are written without a date."""
_DATE = re.compile(r"_[0-9]{8}$")


def family(tool: dict[str, Any]) -> str:
    """Return a tool's type without its date; one that says no type is of its author."""
    return _DATE.sub("", str(tool.get("type", "custom")))


def is_dated(tool: dict[str, Any]) -> bool:
    """Tell whether a tool's type ends in a date."""
    return _DATE.search(str(tool.get("type", ""))) is not None


def server_tools(params: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return the tools that the API runs itself: what they find becomes part of the prompt."""
    tools = params.get("tools")
    return tuple(
        tool
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, dict) and family(tool) not in CLIENT_FAMILIES | {"custom"}
    )


def client_tools(params: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the tools that the API does not run itself, as far as they have names.

    A call of one of them ends the answer.
    """
    tools = params.get("tools")
    return tuple(
        tool["name"]
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, dict)
        and isinstance(tool.get("name"), str)
        and family(tool) in CLIENT_FAMILIES | {"custom"}
    )
