"""The tools that a spec gives to the model."""

from __future__ import annotations

from typing import Any


def client_tools(params: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the tools that the API does not run itself, as far as they have names.

    A tool of the service has a dated ``type``; a call of any other ends the answer.
    """
    tools = params.get("tools")
    return tuple(
        tool["name"]
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, dict)
        and isinstance(tool.get("name"), str)
        and tool.get("type", "custom") == "custom"
    )
