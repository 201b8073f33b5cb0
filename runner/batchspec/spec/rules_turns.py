"""Rules about calls of tools in the turns of a prompt (API facts §6.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batchspec.problems import Problem
from batchspec.spec.contents import blocks
from batchspec.spec.document import NodePath, dotted, shown
from batchspec.spec.subject import Subject

_SPEAKERS = {"tool_use": "assistant", "tool_result": "user"}
_MARKUP = ("{{", "{%")


def speakers_of_tools(subject: Subject) -> Iterator[Problem]:
    """Refuse a call by the user, and a result by the assistant."""
    for path, role, block in blocks(subject):
        speaker = _SPEAKERS.get(str(block.get("type")))
        if speaker is not None and role in _SPEAKERS.values() and role != speaker:
            yield subject.error(
                "block-not-allowed",
                path,
                f"{dotted(path)} is a block of the kind {block['type']}, said by the {role}",
                "The assistant calls tools, and the user gives their results. Every request would"
                f" come back as errored. Move it into a message of the {speaker}.",
            )


def calls_and_results(subject: Subject) -> Iterator[Problem]:
    """Refuse calls without a result in the next message, and results without their call."""
    turns = subject.entries("prompt", "messages")
    for number, turn in enumerate(turns):
        said = _ids(turn, number)
        if _role(turn) == "assistant":
            answered = _named(turns[number + 1 :], "user", "tool_result")
            yield from _unmatched(subject, said.get("tool_use", {}), answered, "result")
        elif _role(turn) == "user":
            called = _named(turns[:number][::-1], "assistant", "tool_use")
            yield from _unmatched(subject, said.get("tool_result", {}), called, "call")


def _role(turn: Any) -> str | None:
    """Return who speaks; None: a file of turns, of which nothing is known here."""
    return (
        turn.get("role") if isinstance(turn, dict) and isinstance(turn.get("role"), str) else None
    )


def _ids(turn: Any, number: int) -> dict[str, dict[str, NodePath]]:
    """Return the place of each call and of each result by its id."""
    found: dict[str, dict[str, NodePath]] = {}
    content = turn.get("content") if isinstance(turn, dict) else None
    for at, block in enumerate(content if isinstance(content, list) else ()):
        kind = str(block.get("type")) if isinstance(block, dict) else ""
        name = block.get("id" if kind == "tool_use" else "tool_use_id") if kind in _SPEAKERS else 0
        if isinstance(name, str):
            place: NodePath = ("prompt", "messages", number, "content", at)
            found.setdefault(kind, {})[name] = place
    return found


def _named(turns: list[Any], role: str, kind: str) -> set[str] | None:
    """Return the ids that the messages next to one name; None: they may name any.

    Several messages of one speaker in a row count as one.
    """
    found: set[str] = set()
    for number, turn in enumerate(turns):
        if _role(turn) != role:
            return found if number and _role(turn) in _SPEAKERS.values() else None
        found |= set(_ids(turn, 0).get(kind, {}))
    return found if turns or kind == "tool_use" else None


def _unmatched(
    subject: Subject, said: dict[str, NodePath], others: set[str] | None, what: str
) -> Iterator[Problem]:
    if others is None or any(mark in other for other in others for mark in _MARKUP):
        return
    where = "the next message" if what == "result" else "the message before"
    for name, path in said.items():
        if name not in others and not any(mark in name for mark in _MARKUP):
            yield subject.error(
                "tool-turns",
                path,
                f"{dotted(path)} has no {what} of {shown(name)} in {where}",
                "The API takes a call of a tool only with its result in the message after it, and"
                f" would refuse every request. Add the {what}, or correct the id.",
            )
