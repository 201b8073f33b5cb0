"""Blocks of a request: plain data with slots in it, which templates fill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from batchspec.prompt.canonical import canonical_json, canonical_text
from batchspec.prompt.contents import NAME
from batchspec.prompt.templates import Compiled, ItemError
from batchspec.records import frozen

Cache = Literal["default", "5m", "1h"]


@dataclass(slots=True, kw_only=True, eq=False)
class Slot:
    """A value that a template decides."""

    template: Compiled
    make: Callable[[str], Any]
    """From the template's text to plain data; raises ItemError."""
    holds_file: bool = False
    """Its value may be a file of the project."""
    reads_file: bool = False
    """It may name a file whose content is in no column of the inputs."""
    constant: Any = None
    """Its value, when no item variable reaches it."""

    def value(self, scope: dict[str, Any]) -> Any:
        """Return the value for one item. Raises ItemError."""
        return self.make(self.template.render(scope))

    def encoded(self, scope: dict[str, Any]) -> bytes:
        """Return the canonical JSON of the value for one item. Raises ItemError."""
        value = self.value(scope)
        try:
            return canonical_text(value) if isinstance(value, str) else canonical_json(value)
        except ValueError as error:
            raise ItemError("a prompt holds a broken character", f"{error}.") from None


@frozen
class Block:
    """One content block."""

    value: Any
    """The block as the API takes it, with slots in it; of a plain turn, the text's slot."""
    written: Any
    """The block as its author wrote it, for the digest of the prompt."""
    cache: Cache | None = None
    """The author wants a cache breakpoint behind it, with this lifetime."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Every slot, in the order of the value."""
        return tuple(_slots(self.value))

    @property
    def chars(self) -> int | None:
        """Characters that it counts as in a prefix; None when an item variable reaches it."""
        if any(slot.constant is None for slot in self.slots):
            return None
        value = filled(self.value, {})
        if isinstance(value, str):
            return len(value)
        if value.get("type") == "text" and isinstance(value.get("text"), str):
            return len(value["text"])
        return _worth(value)


def filled(value: Any, names: Mapping[int, str]) -> Any:
    """Return plain data: constants in their slots, and in the others what ``names`` has for them.

    Args:
        value: Data with slots.
        names: Text by the slot's id; a slot that is absent becomes empty text.
    """
    if isinstance(value, Slot):
        return names.get(id(value), "") if value.constant is None else value.constant
    if isinstance(value, dict):
        return {name: filled(inner, names) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, names) for inner in value]
    return value


def _slots(value: Any) -> Iterator[Slot]:
    if isinstance(value, Slot):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _slots(inner)


def _worth(value: Any) -> int:
    """Return the characters of a block's JSON, files counted by what they are worth."""
    if isinstance(value, dict):
        if NAME in value:
            return int(value[NAME]["chars"])
        return sum(len(name) + _worth(inner) for name, inner in value.items())
    if isinstance(value, list):
        return sum(map(_worth, value))
    return len(str(value))
