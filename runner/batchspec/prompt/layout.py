"""The turns of a prompt, in order: the system prompt, messages, and turns kept in files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from batchspec.prompt.blocks import BlockReader
from batchspec.prompt.slots import Block, Slot
from batchspec.prompt.turn_files import read_turn_file
from batchspec.records import frozen
from batchspec.spec.model import FileRef, Spec

if TYPE_CHECKING:
    from pathlib import Path

    from batchspec.problems import Problem
    from batchspec.prompt.compiler import Compiler
    from batchspec.prompt.shelf import Shelf
    from batchspec.spec.document import NodePath
    from batchspec.spec.project import LoadedSpec

Role = Literal["system prompt", "user", "assistant", "system"]
SYSTEM: Literal["system prompt"] = "system prompt"
"""The role of ``prompt.system``, as opposed to a message of the role system."""


@frozen
class Turn:
    """The system prompt, or one message."""

    role: Role
    blocks: tuple[Block, ...]
    plain: bool
    """Written as one text rather than as a list of blocks."""
    file: str | None = None
    """The file of turns that it stands in; None: it stands in the spec."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots of all of its blocks."""
        return tuple(slot for block in self.blocks for slot in block.slots)


def read_turns(
    root: Path, loaded: LoadedSpec, compiler: Compiler, shelf: Shelf
) -> tuple[tuple[Turn, ...], tuple[Problem, ...]]:
    """Return the system prompt, if there is one, and the messages, their templates compiled.

    Problems of templates are left in ``compiler``; the others are returned.
    """
    reader = BlockReader(root, loaded, compiler, shelf)
    problems: list[Problem] = []
    turns: list[Turn] = []
    for role, content, path in _contents(loaded.spec):
        if role is None:
            found, more = read_turn_file(root, loaded, content.file, path)
            turns += [_fixed(role, said, content.file) for role, said in found]
            problems += more
        else:
            turns.append(_turn(reader, role, content, path))
    return tuple(turns), (*problems, *reader.problems)


def _contents(spec: Spec) -> Iterator[tuple[Role | None, Any, NodePath]]:
    """Yield role, content and place of each turn; the role of a file of turns is None."""
    prompt = spec.prompt
    if prompt.system is not None:
        yield SYSTEM, prompt.system, ("prompt", "system")
    if prompt.user is not None:
        yield "user", prompt.user, ("prompt", "user")
    for number, message in enumerate(prompt.messages or ()):
        path: NodePath = ("prompt", "messages", number)
        if isinstance(message, FileRef):
            yield None, message, path
        else:
            yield message.role, message.content, (*path, "content")


def _turn(reader: BlockReader, role: Role, content: Any, path: NodePath) -> Turn:
    if isinstance(content, str | FileRef):
        block = reader.plain(content, path)
        return Turn(role=role, blocks=() if block is None else (block,), plain=True)
    blocks = (reader.block(raw, (*path, number)) for number, raw in enumerate(content))
    found = tuple(block for block in blocks if block is not None)
    return Turn(role=role, blocks=found, plain=False)


def _fixed(role: Literal["user", "assistant", "system"], said: Any, file: str) -> Turn:
    """Return a turn of a file: nothing in it is a template."""
    if isinstance(said, str):
        return Turn(role=role, blocks=(Block(value=said, written=[said]),), plain=True, file=file)
    blocks = tuple(Block(value=block, written=[block]) for block in said)
    return Turn(role=role, blocks=blocks, plain=False, file=file)
