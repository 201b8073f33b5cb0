"""Deterministic choices: every number the emulator 'draws' comes from a SHA-256 of named parts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_ID_PAIRS = 11
_UNIT = float(1 << 64)


def digest(*parts: object) -> bytes:
    """Return the SHA-256 of ``parts``; each is length-prefixed so that no two lists collide."""
    encoded = [str(part).encode() for part in parts]
    return hashlib.sha256(b"".join(b"%d:%s" % (len(part), part) for part in encoded)).digest()


def unit(*parts: object) -> float:
    """Return a number in [0, 1) that depends on ``parts`` alone."""
    return int.from_bytes(digest(*parts)[:8], "big") / _UNIT


def make_id(prefix: str, *parts: object) -> str:
    """Return an id shaped like the API's: prefix, ``01``, 22 base58 characters (§1.4)."""
    number = int.from_bytes(digest(prefix, *parts)[:16], "big")
    tail = []
    for _ in range(_ID_PAIRS):
        number, index = divmod(number, len(_PAIRS))
        tail.append(_PAIRS[index])
    return f"{prefix}_01{''.join(tail)}"


class Draw:
    """A stream of choices that is the same for the same seed parts."""

    def __init__(self, *parts: object) -> None:
        self._seed = digest(*parts)
        self._count = 0

    def below(self, limit: int) -> int:
        """Return a whole number in ``[0, limit)``."""
        self._count += 1
        block = hashlib.sha256(self._seed + self._count.to_bytes(8, "big")).digest()
        return int.from_bytes(block[:8], "big") % limit

    def between(self, low: int, high: int) -> int:
        """Return a whole number in ``[low, high]``."""
        return low + self.below(high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        """Return one of ``options``."""
        return options[self.below(len(options))]

    def flip(self) -> bool:
        """Return true or false, equally often."""
        return self.below(2) == 1
