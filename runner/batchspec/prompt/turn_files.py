"""Turns kept in a file: examples for the model, one conversation turn or one pair per line.

Nothing in such a file is a template, so that examples may hold braces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from batchspec.inputs.hardened import FileRefused
from batchspec.problems import Place, Problem
from batchspec.prompt.canonical import canonical_json
from batchspec.prompt.templates import read_text

if TYPE_CHECKING:
    from pathlib import Path

    from batchspec.spec.document import NodePath
    from batchspec.spec.project import LoadedSpec

MAX_BYTES = 8_000_000
_ROLES: tuple[Literal["user", "assistant", "system"], ...] = ("user", "assistant", "system")
Said = tuple[Literal["user", "assistant", "system"], Any]


def read_turn_file(
    root: Path, loaded: LoadedSpec, file: str, path: NodePath
) -> tuple[list[Said], list[Problem]]:
    """Return the turns of a JSONL file: role and content of each, and what is wrong with it.

    A line is ``{"role": …, "content": …}``, or a pair ``{"user": …, "assistant": …}``; a content is
    a text or a list of blocks of the API.
    """
    try:
        text = read_text(root, file, limit=MAX_BYTES)
    except FileRefused as refused:
        return [], [
            Problem(
                code="prompt-file-refused",
                summary=f"the file {file} {refused.reason}",
                detail="Turns are read below the project folder only, without following links."
                " Paths start at the project folder.",
                where=loaded.document.place((*path, "file")),
            )
        ]
    turns: list[Said] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            turns += _turns(line)
        except ValueError as error:
            return [], [_bad(file, number, line, str(error))]
    if not turns:
        return [], [_bad(file, 1, None, "it has no turns")]
    return turns, []


def _turns(line: str) -> Iterator[Said]:
    """Yield the turns of a line.

    Raises:
        ValueError: the line is neither a turn nor a pair.
    """
    try:
        data = json.loads(line)
        canonical_json(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - the line is wrong, not a type of ours
    if data.keys() == {"role", "content"} and data["role"] in _ROLES:
        yield data["role"], _content(data["content"])
    elif data and data.keys() <= set(_ROLES):
        for role in _ROLES:
            if role in data:
                yield role, _content(data[role])
    else:
        raise ValueError('it needs "role" and "content", or "user" and "assistant"')


def _content(value: Any) -> Any:
    if isinstance(value, str) and value.strip():
        return value
    if value and isinstance(value, list) and all(_is_block(block) for block in value):
        return value
    raise ValueError("a content is a text that is not empty, or a list of blocks with a type")


def _is_block(block: Any) -> bool:
    return isinstance(block, dict) and isinstance(block.get("type"), str)


def _bad(file: str, number: int, line: str | None, why: str) -> Problem:
    return Problem(
        code="bad-turns-file",
        summary=f"line {number} of the file {file} is no turn",
        detail=f"The reader says: {why}. Each line of a file of turns is a JSON object: one turn"
        " with role and content, or a pair of user and assistant.",
        where=Place(file=file, line=number, source=line),
    )
