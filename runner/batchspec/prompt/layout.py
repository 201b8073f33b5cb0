"""The turns and blocks of a prompt, each with its template."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from batchspec.inputs.hardened import FileRefused
from batchspec.problems import Problem
from batchspec.prompt.compiler import Compiler
from batchspec.prompt.templates import Compiled, Text, read_text
from batchspec.spec.model import FileRef, Message, Spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchspec.spec.document import NodePath
    from batchspec.spec.project import LoadedSpec

Role = Literal["system prompt", "user", "assistant", "system"]
SYSTEM: Literal["system prompt"] = "system prompt"
"""The role of ``prompt.system``, as opposed to a message of the role system."""


@dataclass(slots=True, kw_only=True)
class Block:
    """One text block."""

    template: Compiled
    rest: dict[str, Any] = field(default_factory=dict)
    """What a raw block says besides type and text."""
    constant: str | None = None
    """Its text, when no item variable reaches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The system prompt, or one message."""

    role: Role
    blocks: tuple[Block, ...]
    plain: bool
    """Written as one text rather than as a list of blocks."""


def read_turns(
    root: Path, loaded: LoadedSpec, compiler: Compiler
) -> tuple[tuple[Turn, ...], tuple[Problem, ...]]:
    """Return the system prompt, if there is one, and the messages, their templates compiled.

    Problems of templates are left in ``compiler``; the others are returned.
    """
    reader = _Reader(root, loaded, compiler)
    turns = [reader.turn(role, content, path) for role, content, path in _contents(loaded.spec)]
    return tuple(turns), tuple(reader.problems)


def _contents(spec: Spec) -> Iterator[tuple[Role, Any, NodePath]]:
    prompt = spec.prompt
    if prompt.system is not None:
        yield SYSTEM, prompt.system, ("prompt", "system")
    if prompt.user is not None:
        yield "user", prompt.user, ("prompt", "user")
    messages: Sequence[Message] = prompt.messages or ()
    for number, message in enumerate(messages):
        role: Role = message.role
        path: NodePath = ("prompt", "messages", number, "content")
        yield role, message.content, path


class _Reader:
    def __init__(self, root: Path, loaded: LoadedSpec, compiler: Compiler) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._loaded = loaded
        self._compiler = compiler

    def turn(self, role: Role, content: Any, path: NodePath) -> Turn:
        if isinstance(content, str | FileRef):
            block = self._block(content, path, {})
            return Turn(role=role, blocks=() if block is None else (block,), plain=True)
        blocks = (self._raw(raw, (*path, number)) for number, raw in enumerate(content))
        return Turn(
            role=role, blocks=tuple(block for block in blocks if block is not None), plain=False
        )

    def _raw(self, raw: dict[str, Any], path: NodePath) -> Block | None:
        text = raw.get("text")
        if raw.get("type", "text") != "text" or not isinstance(text, str | dict):
            self.problems.append(self._unsupported(raw, path))
            return None
        rest = {name: value for name, value in raw.items() if name not in {"type", "text"}}
        given = FileRef.model_validate(text) if isinstance(text, dict) else text
        return self._block(given, (*path, "text"), rest)

    def _block(self, given: str | FileRef, path: NodePath, rest: dict[str, Any]) -> Block | None:
        if isinstance(given, str):
            text = Text(source=given, path=path, file=None)
        else:
            try:
                source = read_text(self._root, given.file)
            except FileRefused as refused:
                self.problems.append(self._unreadable(given.file, refused, (*path, "file")))
                return None
            text = Text(source=source, path=path, file=given.file)
        template = self._compiler.compile(text)
        return None if template is None else Block(template=template, rest=rest)

    def _unsupported(self, raw: dict[str, Any], path: NodePath) -> Problem:
        kind = raw.get("type") or next(iter(raw), "unknown")
        return Problem(
            code="not-supported-yet",
            summary=f"content blocks of the kind {kind} are not supported yet",
            detail="Text blocks work today: {text: …} with a template or a {file: …}.",
            where=self._loaded.document.place(path),
        )

    def _unreadable(self, file: str, refused: FileRefused, path: NodePath) -> Problem:
        return Problem(
            code="prompt-file-refused",
            summary=f"the file {file} {refused.reason}",
            detail="Prompts are read below the project folder only, without following links. Paths"
            " start at the project folder.",
            where=self._loaded.document.place(path),
        )
