"""Checks tools and the tool choice (fact sheet §6.1 and §6.2)."""

from __future__ import annotations

import re
from typing import Any

from batchspec.emulator.schema_subset import schema_fault

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CHOICES = ("auto", "any", "tool", "none")
_MAX_STRICT = 20


def tools_fault(params: dict[str, Any], *, forced: bool, compiled: bool) -> str | None:
    """Return the first fault of tools and tool_choice.

    Args:
        params: the params of one request.
        forced: whether the model accepts a tool choice of any or tool.
        compiled: whether the schemas of strict tools are compiled; counting tokens does not.
    """
    tools = params.get("tools")
    if tools is not None:
        if not isinstance(tools, list):
            return "tools: Input should be a valid list"
        for number, tool in enumerate(tools):
            fault = _tool_fault(tool, compiled=compiled)
            if fault is not None:
                return f"tools.{number}{fault}"
        if sum(1 for tool in tools if tool.get("strict") is True) > _MAX_STRICT:
            return f"tools: at most {_MAX_STRICT} strict tools are allowed"
    return _choice_fault(params.get("tool_choice"), tools, forced=forced)


def _tool_fault(tool: Any, *, compiled: bool) -> str | None:
    if not isinstance(tool, dict):
        return ": Input should be a valid dictionary"
    if is_server_tool(tool):
        return None
    name = tool.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return ".custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"
    schema = tool.get("input_schema")
    if not isinstance(schema, dict):
        return ".custom.input_schema: Field required"
    if schema.get("type") != "object":
        return ".custom.input_schema.type: Input should be 'object'"
    fault = schema_fault(schema) if compiled and tool.get("strict") is True else None
    return None if fault is None else f".custom.input_schema: {fault}"


def is_server_tool(tool: dict[str, Any]) -> bool:
    """Return whether the service runs the tool itself; such tools have a dated type."""
    kind = tool.get("type")
    return isinstance(kind, str) and kind != "custom"


def _choice_fault(choice: Any, tools: Any, *, forced: bool) -> str | None:
    if choice is None:
        return None
    if not isinstance(choice, dict) or choice.get("type") not in _CHOICES:
        return f"tool_choice.type: Input should be one of {', '.join(_CHOICES)}"
    kind = choice["type"]
    if kind in {"any", "tool"}:
        if not tools:
            return f"tool_choice: '{kind}' may only be specified while providing tools"
        if not forced:
            return f"tool_choice: '{kind}' is not supported on this model"
    if kind == "tool" and choice.get("name") not in [tool.get("name") for tool in tools]:
        return f"tool_choice: Tool '{choice.get('name')}' not found in provided tools"
    return None
