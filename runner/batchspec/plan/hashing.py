"""Identities: the hash of a question, the id of a request, the root over a spec's items.

Every digest stands under a version prefix, so that a new rule can never be mistaken for an old one.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

REQUEST_PREFIX = b"batchspec request 1\0"
NAMESPACE_PREFIX = b"batchspec namespace 1\0"
DIGEST16 = 16
"""The ledger keys a question by this many leading bytes of its hash."""
MERKLE_FANOUT = 1024
_NODE_BYTES = MERKLE_FANOUT * 32
MAX_ATTEMPT = 65_535
"""Attempts are stored as 16-bit numbers."""

H26_START = len("c1-") + 8 + len("-")
"""Where `h26_of` stands in a custom_id."""
_H26 = 26
_H26_BYTES = 17
"""Bytes of a digest that hold the bits of its 26 characters."""
_PADDED = 20
"""The next multiple of five: what base32 encodes without padding characters."""
_DIGIT_BITS = 5
_STRIDE = _PADDED * 8 // _DIGIT_BITS
"""Characters that those are."""
_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567".ljust(256, b"\0")
"""From the value of a digit to its letter."""
_DIGITS = str.maketrans("abcdefghijklmnopqrstuvwxyz234567", "0123456789abcdefghijklmnopqrstuv")
"""From the alphabet of base32 to the digits that `int` reads."""
_ZEROS = "a" * (_STRIDE - _H26)
_NAME_FORM, _COUNT_FORM = "[a-z2-7]{8}", "[1-9][0-9]{0,4}"
_ID = re.compile(
    rf"c1-(?P<namespace>{_NAME_FORM})-(?P<h26>[a-z2-7]{{{_H26}}})-(?P<tag>{_NAME_FORM})"
    rf"-a(?P<attempt>{_COUNT_FORM})"
)
_NAME, _DIGITS_ONLY = re.compile(_NAME_FORM), re.compile("[a-z2-7]*")
_ATTEMPT = re.compile(f"a{_COUNT_FORM}")
_MARK = "|"
"""No part of an id can hold it."""


class RequestHasher:
    """Hashes many requests that share everything outside ``params``.

    Args:
        identity: Canonical JSON of what changes an answer besides the params: the
            ``anthropic-version`` and the betas (fact sheet §1.2).
        sample: Number of the copy, from 2 on, when one question is asked several times; None for a
            plain ask, which the first copy is too.
    """

    __slots__ = ("_state",)

    def __init__(self, identity: bytes, sample: int | None = None) -> None:
        copy = b"\0" if sample is None else b"\1" + sample.to_bytes(8, "big")
        self._state = hashlib.sha256(
            REQUEST_PREFIX + len(identity).to_bytes(8, "big") + identity + copy
        )

    def digest(self, params: bytes) -> bytes:
        """Return the 32-byte request hash of canonical params, the bytes that are sent."""
        state = self._state.copy()
        state.update(params)
        return state.digest()


def request_hash(params: bytes, identity: bytes, sample: int | None = None) -> bytes:
    """Return the 32-byte identity of one question; see `RequestHasher`."""
    return RequestHasher(identity, sample).digest(params)


class CustomId(NamedTuple):
    """What one of our ``custom_id`` values says. A named tuple: collecting makes millions."""

    namespace: str
    """8 characters; tells projects apart for people, decides nothing."""
    digest16: bytes
    """First 16 bytes of the request hash: the ledger's key of the question."""
    h26: str
    """First 130 bits of the request hash, as in the id."""
    tag: str
    """8 characters naming the submission."""
    attempt: int
    """1 for the first ask."""


def custom_id(namespace: str, digest: bytes, tag: str, attempt: int) -> str:
    """Return ``c1-<namespace>-<h26>-<tag>-a<attempt>``, valid by fact sheet §2.1."""
    return f"c1-{namespace}-{_base32(digest[:_H26_BYTES])[:_H26]}-{tag}-a{attempt}"


def id_stems(namespace: str, digests: Sequence[bytes], tag: str) -> list[bytes]:
    """Return, for each digest, its `custom_id` up to the digits of the attempt.

    Many at once take a third of the time of one by one, since base32 is encoded in Python.
    """
    text = _many_base32(digests)
    head, tail = b"c1-%b-" % namespace.encode(), b"-%b-a" % tag.encode()
    return [head + text[at : at + _H26] + tail for at in range(0, len(text), _STRIDE)]


def _many_base32(digests: Sequence[bytes]) -> bytes:
    """Return `_STRIDE` base32 digits for each digest: of its first 17 bytes, then zeros.

    All digests are one number. Each step moves the upper half of every group of bits up, until a
    group is the five bits of a digit, alone in its byte.
    """
    front, back = bytes(_STRIDE - _PADDED), bytes(_PADDED - _H26_BYTES)
    data = b"".join([front + digest[:_H26_BYTES] + back for digest in digests])
    number = int.from_bytes(data, "big")
    for lower, half, shift in _spreads(len(digests)):
        number = (number & lower) | ((number & (lower << half)) << shift)
    return number.to_bytes(len(data), "big").translate(_LETTERS)


@functools.lru_cache(maxsize=4)
def _spreads(count: int) -> tuple[tuple[int, int, int], ...]:
    """Return the steps of `_many_base32`: the lower halves, their bits, and how far to move."""
    steps = []
    group, space = _PADDED * 8, _STRIDE * 8
    while group > _DIGIT_BITS:
        half, room = group // 2, space // 8
        mask = ((1 << half) - 1).to_bytes(room, "big") * (count * _STRIDE // room)
        steps.append((int.from_bytes(mask, "big"), half, space // 2 - half))
        group, space = half, space // 2
    return tuple(steps)


def h26_of(digest: bytes) -> str:
    """Return what a custom_id says of a 32-byte request hash: its first 130 bits."""
    return _base32(digest[:_H26_BYTES])[:_H26]


def parse_custom_id(text: str) -> CustomId | None:
    """Return the parts of one of our ids, or None for anybody else's."""
    match = _ID.fullmatch(text)
    if match is None:
        return None
    namespace, h26, tag, attempt = match.groups()
    number = int(attempt)
    if number > MAX_ATTEMPT:
        return None
    # 26 characters carry 130 bits, of which the ledger's key drops the last two.
    digest16 = (int(h26.translate(_DIGITS), 32) >> 2).to_bytes(DIGEST16, "big")
    return CustomId(namespace, digest16, h26, tag, number)


class ManyIds(NamedTuple):
    """What many of our ids say, in their order; see `CustomId`."""

    digests: list[bytes]
    """First 16 bytes of each."""
    attempts: list[int]
    tags: frozenset[str]
    """The submissions that they name."""


def parse_custom_ids(texts: Sequence[str]) -> ManyIds | None:
    """Return the parts of our ids; None when one of the texts is none, as `parse_custom_id` says.

    Many at once take a third of the time of one by one.
    """
    # Where all marks stand between texts of five parts, each text is five parts.
    parts = f"-{_MARK}-".join(texts).split("-")
    versions, spaces, hashes, tags, numbers, marks = (parts[n::6] for n in range(6))
    if not (
        len(parts) == 6 * len(texts) - 1
        and set(versions) == {"c1"}
        and set(marks) <= {_MARK}
        and all(map(_NAME.fullmatch, {*spaces, *tags}))
        and all(map(_ATTEMPT.fullmatch, set(numbers)))
        and set(map(len, hashes)) == {_H26}
        and _DIGITS_ONLY.fullmatch("".join(hashes))
    ):
        return None
    counts = {number: int(number[1:]) for number in set(numbers)}
    if max(counts.values()) > MAX_ATTEMPT:
        return None
    attempts = [counts[number] for number in numbers]
    # 26 digits of base 32 and six of zero are 20 bytes, so each hash begins at a byte.
    digits = (_ZEROS.join(hashes) + _ZEROS).translate(_DIGITS)
    data = int(digits, 32).to_bytes(_PADDED * len(texts), "big")
    digests = [data[at : at + DIGEST16] for at in range(0, len(data), _PADDED)]
    return ManyIds(digests, attempts, frozenset(tags))


def namespace(project_name: str) -> str:
    """Return the 8 characters that stand for a project in its custom_ids."""
    digest = hashlib.sha256(NAMESPACE_PREFIX + project_name.encode("utf-8", "surrogatepass"))
    return _base32(digest.digest()[:5])


def merkle_root(items: Iterable[tuple[str, bytes]]) -> str:
    """Return the hex Merkle root over (key as JSON text, 32-byte request hash), in the order given.

    The tree has `MERKLE_FANOUT` children per node; a node hashes its children's hex digests under
    the number of its level.
    """
    return merkle_top(bytes.fromhex(merkle_leaf(key, digest)) for key, digest in items)


def merkle_top(leaves: Iterable[bytes]) -> str:
    """Return the hex Merkle root over the digests of items; see `merkle_root`.

    Args:
        leaves: The 32-byte digests, in order; each piece may hold many.
    """
    levels: list[list[str]] = [[]]
    held = bytearray()
    for piece in leaves:
        held += piece
        whole = len(held) - len(held) % _NODE_BYTES
        for at in range(0, whole, _NODE_BYTES):
            levels[0] = [held[at : at + _NODE_BYTES].hex()]
            _fold(levels, 0)
        del held[:whole]
    levels[0] = [held.hex()] if held else []
    depth = 0
    while depth == 0 or depth < len(levels) - 1 or len(levels[depth]) > 1:
        if levels[depth] or len(levels) == 1:
            _fold(levels, depth)
        depth += 1
    return levels[depth][0]


def _fold(levels: list[list[str]], depth: int) -> None:
    """Replace the nodes of one level by their parent, upward as far as levels are full."""
    if len(levels) == depth + 1:
        levels.append([])
    levels[depth + 1].append(merkle_node(depth + 1, levels[depth]))
    levels[depth] = []
    if len(levels[depth + 1]) == MERKLE_FANOUT:
        _fold(levels, depth + 1)


def merkle_leaf(key: str, digest: bytes) -> str:
    """Return the hex digest of one item: ``L``, the hash in hex, the key."""
    return hashlib.sha256(b"L" + digest.hex().encode() + key.encode()).hexdigest()


def merkle_node(depth: int, children: Iterable[str]) -> str:
    """Return the hex digest of a node ``depth`` levels above the leaves, of its children's hex."""
    return hashlib.sha256(f"N{depth}:{''.join(children)}".encode()).hexdigest()


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()
