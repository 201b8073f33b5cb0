"""How much one template may compute: steps, seconds and characters.

Signals and child processes would bound a render too, but neither works for a million renders in
threads. Instead everything in a template that can repeat or grow (loops, calls, operators, filters,
captured output) passes through a meter.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import TemplateRuntimeError
from jinja2.runtime import Undefined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAX_CHARACTERS = 4_000_000
"""Longest text of one template, and of any value made on the way."""
MAX_STEPS = 1_000_000
"""About a second of loops; calls and filters count several steps."""
MAX_SECONDS = 5.0
_LOOK = 1000
"""Steps between two looks at the clock."""
_CHARACTERS_PER_STEP = 64
MAX_PARTS = 200_000
"""Most elements, at all depths, of a list or mapping that a template makes or prints."""


PLAIN = (
    bool,
    int,
    float,
    Decimal,
    bytes,
    dt.date,
    dt.time,
    dt.timedelta,
    type(None),
    Undefined,
)
"""What counts as data besides texts, lists and mappings."""
NO_TEXT = "uses something as a value that is none, such as a macro without its brackets"


class TooMuch(TemplateRuntimeError):  # noqa: N818 - it names what happened
    """A template computes or writes more than it may."""


class Meter:
    """What is left of a template's allowance. One per thread of rendering.

    Args:
        elapsed: Seconds since some fixed moment.
        max_characters: Longest text.
        max_steps: Most steps of one render.
        max_seconds: Longest time of one render.
    """

    __slots__ = ("_deadline", "_elapsed", "_left", "_look_at", "_seconds", "_steps", "characters")

    def __init__(
        self,
        elapsed: Callable[[], float],
        *,
        max_characters: int = MAX_CHARACTERS,
        max_steps: int = MAX_STEPS,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self._elapsed = elapsed
        self._steps = max_steps
        self._seconds = max_seconds
        self.characters = max_characters
        self._deadline: float | None = None
        self._left = max_steps
        self._look_at = max_steps

    def reset(self) -> None:
        """Begin a render."""
        self._left = self._look_at = self._steps
        self._deadline = None

    def spend(self, steps: int) -> None:
        """Take ``steps`` off the allowance.

        Raises:
            TooMuch: when steps or seconds are used up.
        """
        self._left -= steps
        if self._left < self._look_at:
            self._look()

    def text(self, text: str) -> str:
        """Return a text that was just made, if it is not too long.

        Raises:
            TooMuch: when it is.
        """
        size = len(text)
        if size > self.characters:
            raise self.too_long()
        self.spend(1 + size // _CHARACTERS_PER_STEP)
        return text

    def room(self, characters: int) -> None:
        """Make sure that a text of so many characters may be made. Raises as `text` does."""
        if characters > self.characters:
            raise self.too_long()

    def concat(self, parts: Iterable[str]) -> str:
        """Join pieces of output, stopping as soon as they are too long."""
        pieces: list[str] = []
        left = self.characters
        for part in parts:
            left -= len(part)
            if left < 0:
                raise self.too_long()
            pieces.append(part)
        return "".join(pieces)

    def parts(self, value: Any) -> Any:
        """Return a list or mapping, if it has not too many elements at all depths.

        A value of forty lines can hold itself a trillion times over; this stops counting early.

        Raises:
            TooMuch: when it has too many, or its texts are too long together.
            TemplateRuntimeError: when it holds something that is no data, such as a macro.
        """
        waiting, seen, characters = [value], 0, 0
        while waiting:
            item = waiting.pop()
            seen += 1
            if isinstance(item, str):
                characters += len(item)
            elif isinstance(item, dict):
                seen += len(item)
                waiting.extend(item.values())
                characters += sum(len(key) for key in item if isinstance(key, str))
            elif isinstance(item, list | tuple):
                waiting.extend(item)
            elif not isinstance(item, PLAIN):
                raise TemplateRuntimeError(NO_TEXT)
            if seen + len(waiting) > MAX_PARTS or characters > self.characters:
                raise self.too_long()
        self.spend(seen + characters // _CHARACTERS_PER_STEP)
        return value

    def too_long(self) -> TooMuch:
        """Return the failure for a value beyond the limits."""
        return TooMuch(
            f"makes a value of more than {self.characters:,} characters or {MAX_PARTS:,} elements"
        )

    def _look(self) -> None:
        if self._left < 0:
            raise TooMuch(f"takes more than {self._steps:,} steps")
        now = self._elapsed()
        if self._deadline is None:
            self._deadline = now + self._seconds
        elif now > self._deadline:
            raise TooMuch(f"takes longer than {self._seconds:g} seconds")
        self._look_at = self._left - _LOOK


class Metered:
    """A sequence to loop over, one step per round. It has a length, as ``loop.last`` needs."""

    __slots__ = ("_items", "_meter")

    def __init__(self, items: Sequence[Any], meter: Meter) -> None:
        self._items = items
        self._meter = meter

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        spend = self._meter.spend
        for item in self._items:
            spend(1)
            yield item
