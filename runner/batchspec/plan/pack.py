"""Dividing questions into batches within the limits of the API and of the spec."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from batchspec.plan.hashing import MAX_ATTEMPT, custom_id
from batchspec.plan.model import JsonKey
from batchspec.problems import Problem
from batchspec.records import frozen
from batchspec.spec.model import BatchLimits

API_MAX_REQUESTS = 100_000
"""Requests per batch (fact sheet §2.1)."""
API_MAX_BYTES = 250_000_000
"""Body of a create call: "256 MB", MB or MiB not stated, so the safe reading (fact sheet §2.1)."""
API_MAX_REQUEST_BYTES = 32_000_000
"""Params of one request: whether a batch is bound by it is unknown, so it is kept (§2.1)."""
_TWO_DIGITS = 10
MAX_NAMED = 20
"""So many requests that are too large are named; the rest are counted."""

_BODY_HEAD = b'{"requests":['
_BODY_TAIL = b"]}"
_ID_LENGTH = len(custom_id("n" * 8, bytes(32), "t" * 8, 1)) - 1
_FRAME = len(b'{"custom_id":"","params":}') + _ID_LENGTH


Entry = tuple[int, int, JsonKey]
"""What packing reads of a question: the bytes of its params as they are sent, which ask it is (the
digits are part of the custom_id), and the first item that asks, for messages."""


@frozen
class Packed:
    """One batch: questions ``start`` to ``stop`` (exclusive) in the order they were given."""

    start: int
    stop: int
    bytes: int
    """Exact length of the create body."""
    contested: bool = False
    """Its number of requests could not be kept apart from an unresolved submission's: wait first,
    since the workspace's listing shows little more of a batch than that number."""

    @property
    def requests(self) -> int:
        """How many questions it holds."""
        return self.stop - self.start


def entry_size(length: int, attempt: int) -> int:
    """Return the bytes of one element of ``requests``, without the comma before the next."""
    return _FRAME + len(str(attempt)) + length


def body_size(entries: int, entry_bytes: int) -> int:
    """Return the exact length of a create body from its elements' number and total bytes."""
    return len(_BODY_HEAD) + entry_bytes + max(0, entries - 1) + len(_BODY_TAIL)


def pack(
    questions: Iterable[Entry],
    limits: BatchLimits,
    forbidden_sizes: Collection[int] = (),
) -> tuple[tuple[Packed, ...], tuple[Problem, ...]]:
    """Divide questions, in order, into as few batches as the limits allow.

    Args:
        questions: In the order they are to be sent; read once.
        limits: The spec's own limits; the API's hard ones hold above them.
        forbidden_sizes: Numbers of requests of unresolved submissions in the workspace. Every batch
            gets another number, and one of its own, so that the listing can tell them apart.

    Returns:
        The batches, and a problem ``request-too-large`` for each question that fits into none.
    """
    packer = _Packer(limits, forbidden_sizes)
    packer.take(questions)
    return packer.finish(), packer.problems()


class _Packer:
    """Sizes of the open batch, and the batches closed so far."""

    def __init__(self, limits: BatchLimits, forbidden_sizes: Collection[int]) -> None:
        self._max_requests = max(1, min(limits.max_requests, API_MAX_REQUESTS))
        self._max_bytes = min(limits.max_bytes, API_MAX_BYTES)
        self._taken = set(forbidden_sizes)
        self._done: list[Packed] = []
        self._start = 0
        self._open: list[int] = []
        self._large: list[tuple[JsonKey, int]] = []

    def take(self, questions: Iterable[Entry]) -> None:
        # One loop without calls: a plan of a million questions goes through it before each run.
        most = self._max_requests
        room = self._max_bytes - body_size(0, 0)
        largest = min(API_MAX_REQUEST_BYTES, room - entry_size(0, MAX_ATTEMPT))
        open_sizes, open_bytes = self._open, 0
        for length, attempt, key in questions:
            size = _FRAME + length + (1 if attempt < _TWO_DIGITS else len(str(attempt)))
            if length > largest:
                self._weigh(length, size, key)
            while open_sizes and (
                len(open_sizes) >= most or open_bytes + size + len(open_sizes) > room
            ):
                self._close()
                open_sizes = self._open
                open_bytes = sum(open_sizes)
            open_sizes.append(size)
            open_bytes += size

    def _weigh(self, length: int, size: int, key: JsonKey) -> None:
        if length > API_MAX_REQUEST_BYTES or body_size(1, size) > self._max_bytes:
            self._large.append((key, length))

    def finish(self) -> tuple[Packed, ...]:
        while self._open:
            self._close()
        return tuple(self._done)

    def problems(self) -> tuple[Problem, ...]:
        named = [
            self._problem(f"The request of item {key} has {size:,} bytes.")
            for key, size in self._large[:MAX_NAMED]
        ]
        if len(self._large) > MAX_NAMED:
            more = len(self._large) - MAX_NAMED
            named.append(self._problem(f"{more:,} more items have such requests."))
        return tuple(named)

    def _problem(self, what: str) -> Problem:
        limit = min(self._max_bytes, API_MAX_REQUEST_BYTES)
        return Problem(
            code="request-too-large",
            summary="a request is too large for a batch",
            detail=f"{what} One request may have about {limit:,} bytes, and the API would refuse "
            "the whole batch. Shorten what the template takes from this item, upload its files "
            "with `files_api: true`, or raise `batch.max_bytes` if it is below "
            f"{API_MAX_REQUEST_BYTES:,}.",
        )

    def _close(self) -> None:
        """Close the open batch at the largest number of requests that is still free."""
        whole = len(self._open)
        count = next((n for n in range(whole, 0, -1) if n not in self._taken), whole)
        kept, rest = self._open[:count], self._open[count:]
        self._done.append(
            Packed(
                start=self._start,
                stop=self._start + count,
                bytes=body_size(count, sum(kept)),
                contested=count in self._taken,
            )
        )
        self._taken.add(count)
        self._start += count
        self._open = rest
