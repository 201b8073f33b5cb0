"""The content blocks of an answer: thinking, citations and tool use where they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from batchspec.emulator.content import wants_citations
from batchspec.emulator.draws import Draw, digest, make_id
from batchspec.emulator.schema_values import value_for
from batchspec.emulator.tools import is_server_tool

if TYPE_CHECKING:
    from batchspec.emulator.rules import Question, Rule

_CITED_CHARS = 80


def answer_blocks(
    question: Question, rule: Rule | None, text: str, seed: int
) -> tuple[list[dict[str, Any]], str]:
    """Return the blocks of an answer and its stop reason.

    A thinking block comes first when the request enables thinking by budget or a rule gives its
    text; a tool call replaces the text when the tool choice forces one or a rule says so.
    """
    blocks = _thinking(question, rule)
    tool = _tool(question, rule)
    if tool is not None:
        call = {
            "type": "tool_use",
            "id": make_id("toolu", seed, question.custom_id, question.sha256),
            "name": tool["name"],
            "input": _input(question, rule, tool, text, seed),
            "caller": {"type": "direct"},
        }
        return [*blocks, call], "tool_use"
    block = {"type": "text", "text": text, "citations": _citations(question.params)}
    return [*blocks, block], "end_turn"


def _input(
    question: Question, rule: Rule | None, tool: dict[str, Any], text: str, seed: int
) -> Any:
    """Return what a tool is called with: a rule's object, else a value of the tool's schema."""
    if rule is not None and isinstance(rule.json, dict):
        return orjson.loads(text)
    draw = Draw("tool", seed, question.sha256)
    return value_for(tool.get("input_schema", {"type": "object"}), draw)


def _thinking(question: Question, rule: Rule | None) -> list[dict[str, Any]]:
    text = None if rule is None else rule.thinking
    if text is None and (question.params.get("thinking") or {}).get("type") == "enabled":
        text = f"The question has {len(question.text)} characters. I will answer it directly."
    if text is None:
        return []
    signature = digest("signature", question.sha256).hex()
    return [{"type": "thinking", "thinking": text, "signature": signature}]


def _tool(question: Question, rule: Rule | None) -> dict[str, Any] | None:
    tools: list[dict[str, Any]] = [
        tool for tool in question.params.get("tools") or [] if not is_server_tool(tool)
    ]
    if not tools:
        return None
    choice = question.params.get("tool_choice") or {"type": "auto"}
    if choice["type"] == "tool":
        named = [tool for tool in tools if tool["name"] == choice["name"]]
        return named[0] if named else None
    if choice["type"] == "any" or (rule is not None and rule.outcome == "tool_use"):
        return Draw("which tool", question.sha256).choice(tools)
    return None


def _citations(params: dict[str, Any]) -> list[dict[str, Any]] | None:
    documents = [
        block
        for message in params["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
        if block["type"] == "document"
    ]
    for index, document in enumerate(documents):
        if wants_citations(document):
            return [_citation(document, index)]
    return None


def _citation(document: dict[str, Any], index: int) -> dict[str, Any]:
    source = document["source"]
    common = {"document_index": index, "document_title": document.get("title"), "file_id": None}
    if source["type"] == "text":
        cited = source["data"][:_CITED_CHARS]
        place = {"type": "char_location", "start_char_index": 0, "end_char_index": len(cited)}
        return {**place, "cited_text": cited, **common}
    if source["type"] == "content":
        place = {"type": "content_block_location", "start_block_index": 0, "end_block_index": 1}
        return {**place, "cited_text": "The first block.", **common}
    place = {"type": "page_location", "start_page_number": 1, "end_page_number": 2}
    return {**place, "cited_text": "The first page.", **common}
