"""Checks messages, the system prompt and cache breakpoints (fact sheet §1.5, §5, §6.3, §6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchspec.emulator.turns import turns_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BREAKPOINTS = 4
MAX_MESSAGES = 100_000
_ROLES = ("user", "assistant", "system")
_TTLS = ("5m", "1h")
_PLAIN_BLOCKS: dict[str, tuple[str, Any]] = {
    "text": ("text", str),
    "image": ("source", dict),
    "document": ("source", dict),
    "tool_use": ("input", dict),
    "tool_result": ("tool_use_id", str),
    "thinking": ("thinking", str),
    "redacted_thinking": ("data", str),
    "search_result": ("content", list),
    "container_upload": ("file_id", str),
}
_SOURCES = {
    "base64": ("data", "media_type"),
    "url": ("url",),
    "file": ("file_id",),
    "text": ("data", "media_type"),
    "content": ("content",),
}


def content_fault(params: dict[str, Any], *, strict: bool) -> str | None:
    """Return the first fault of messages, system and cache breakpoints.

    Args:
        params: the params of one request.
        strict: whether the rules of ``2026-10-21`` hold (fact sheet §6.3).
    """
    return (
        _system_fault(params.get("system"))
        or _messages_fault(params.get("messages"), strict=strict)
        or _citations_fault(params)
        or _breakpoints_fault(params)
    )


def _system_fault(system: Any) -> str | None:
    if system is None or isinstance(system, str):
        return None
    if not isinstance(system, list):
        return "system: Input should be a valid string or list"
    for number, block in enumerate(system):
        if not isinstance(block, dict) or block.get("type") != "text":
            return f"system.{number}.type: Input should be 'text'"
        if not isinstance(block.get("text"), str) or not block["text"]:
            return "system: text content blocks must be non-empty"
    return None


def _messages_fault(messages: Any, *, strict: bool) -> str | None:
    if messages is None:
        return "messages: Field required"
    if not isinstance(messages, list):
        return "messages: Input should be a valid list"
    if not 1 <= len(messages) <= MAX_MESSAGES:
        at_most = f"messages: List should have at most {MAX_MESSAGES} items, not {len(messages)}"
        return at_most if messages else "messages: at least one message is required"
    for number, message in enumerate(messages):
        fault = _message_fault(message, strict=strict)
        if fault is not None:
            return f"messages.{number}{fault}"
    if messages[0]["role"] == "assistant":
        return 'messages: first message must use the "user" role'
    return turns_fault(messages)


def _message_fault(message: Any, *, strict: bool) -> str | None:
    if not isinstance(message, dict):
        return ": Input should be a valid dictionary"
    for key in message:
        if key not in {"role", "content"}:
            return f".{key}: Extra inputs are not permitted"
    if message.get("role") not in _ROLES:
        return ".role: Input should be 'user', 'assistant' or 'system'"
    return _content_list_fault(message, strict=strict)


def _content_list_fault(message: dict[str, Any], *, strict: bool) -> str | None:
    content = message.get("content")
    if isinstance(content, str):
        return None if content else ": messages must have non-empty content"
    if not isinstance(content, list) or not content:
        return ".content: Input should be a non-empty string or list of blocks"
    for number, block in enumerate(content):
        fault = _block_fault(block) or (_strict_fault(block, message["role"]) if strict else None)
        if fault is not None:
            return f".content.{number}{fault}"
    return None


def _block_fault(block: Any) -> str | None:
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        return ".type: Field required"
    kind = block["type"]
    if kind not in _PLAIN_BLOCKS:
        known = kind.endswith(("_tool_result", "_tool_use")) or kind == "mid_conv_system"
        return None if known else f": Input tag '{kind}' found using 'type' is not expected"
    field, python_type = _PLAIN_BLOCKS[kind]
    value = block.get(field)
    if not isinstance(value, python_type):
        return f".{kind}.{field}: Field required"
    if kind == "text" and not value:
        return ".text: text content blocks must be non-empty"
    return _source_fault(kind, value) if field == "source" else None


def _source_fault(kind: str, source: dict[str, Any]) -> str | None:
    form = source.get("type")
    needed = _SOURCES.get(form) if isinstance(form, str) else None
    if needed is None:
        return f".{kind}.source.type: Input should be one of {', '.join(_SOURCES)}"
    for field in needed:
        if not source.get(field):
            return f".{kind}.source.{form}.{field}: Field required"
    return None


def _strict_fault(block: dict[str, Any], role: str) -> str | None:
    if role == "assistant" and block["type"] == "document":
        return ": document blocks are not permitted in assistant messages"
    if role == "user" and block["type"] == "text" and block.get("citations"):
        return ".text.citations: Extra inputs are not permitted"
    return None


def blocks_of(params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every block in the order of the prompt: tools, system, messages (fact sheet §5).

    Text given as a plain string comes as the text block it stands for. Params must have passed
    the checks, or at least have lists where lists belong.
    """
    yield from params.get("tools") or ()
    yield from _as_blocks(params.get("system"))
    for message in params["messages"]:
        for block in _as_blocks(message["content"]):
            yield {"role": message["role"], **block}


def _as_blocks(content: Any) -> list[dict[str, Any]]:
    if not content:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return list(content)


def _citations_fault(params: dict[str, Any]) -> str | None:
    config = params.get("output_config")
    if not isinstance(config, dict) or not config.get("format"):
        return None
    if any(wants_citations(block) for block in _message_blocks(params)):
        return "output_config.format: structured outputs cannot be used together with citations"
    return None


def _message_blocks(params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for message in params["messages"]:
        yield from _as_blocks(message["content"])


def wants_citations(block: dict[str, Any]) -> bool:
    """Return whether a document or search result asks for citations (fact sheet §6.4)."""
    citations = block.get("citations")
    return isinstance(citations, dict) and citations.get("enabled") is True


def files_named(params: dict[str, Any]) -> Iterator[str]:
    """Yield the file ids that the blocks of the messages name (fact sheet §6.5)."""
    for message in params["messages"]:
        if isinstance(message["content"], str):
            continue
        for block in message["content"]:
            source = block.get("source")
            holder = source if isinstance(source, dict) else block
            if isinstance(holder.get("file_id"), str):
                yield holder["file_id"]


def _breakpoints_fault(params: dict[str, Any]) -> str | None:
    tools = params.get("tools")
    blocks = [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    blocks += _as_blocks(params.get("system"))
    blocks += _message_blocks(params)
    marks = [block["cache_control"] for block in blocks if block.get("cache_control")]
    automatic = params.get("cache_control")
    for mark in [*marks, *([automatic] if automatic else [])]:
        if not isinstance(mark, dict) or mark.get("type") != "ephemeral":
            return "cache_control.type: Input should be 'ephemeral'"
        if mark.get("ttl", "5m") not in _TTLS:
            return "cache_control.ttl: Input should be '5m' or '1h'"
    if len(marks) + bool(automatic) > MAX_BREAKPOINTS:
        return (
            "A maximum of 4 blocks with cache_control may be provided."
            f" Found {len(marks) + bool(automatic)}."
        )
    ttls = [mark.get("ttl", "5m") for mark in marks]
    if automatic and blocks[-1].get("cache_control"):
        # Automatic caching marks the last block; a mark of its own must say the same (§5).
        if automatic.get("ttl", "5m") != ttls[-1]:
            return "cache_control: the last block has a cache_control with another ttl"
    elif automatic:
        ttls.append(automatic.get("ttl", "5m"))
    return _order_fault(ttls)


def _order_fault(ttls: list[str]) -> str | None:
    if "5m" in ttls and "1h" in ttls[ttls.index("5m") :]:
        return "cache_control: a ttl='1h' block must not come after a ttl='5m' block"
    return None
