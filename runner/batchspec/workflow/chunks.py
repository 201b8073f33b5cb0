"""Questions as request segments: what each create call sends, durable before it is sent."""

from __future__ import annotations

import base64
import itertools
import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from batchspec.api.port import CreateBody
from batchspec.plan.hashing import id_stems, parse_custom_id
from batchspec.plan.model import Share
from batchspec.plan.pack import Packable, Packed, pack
from batchspec.plan.questions import Ask, Spool
from batchspec.problems import Problem
from batchspec.prompt.contents import MARK
from batchspec.records import frozen
from batchspec.spec.model import BatchLimits
from batchspec.state.ledger import Claim
from batchspec.workflow.context import Session

_HEAD, _TAIL = b'{"requests":[', b"]}"
_ID_START = len(b'{"custom_id":"')
_BLOCK = 1000
"""Questions whose ids are made at once."""


ClaimBytes = bytes
"""16 bytes of hash and 2 of attempt for each question: what the ledger claims."""


@frozen
class Chunk:
    """One planned create call."""

    tag: str
    segment: str
    requests: int
    bytes: int
    """Exact length of the create body."""
    asked: ClaimBytes
    """What it asks, in the order in which it is sent."""
    usd_most: Decimal | None
    """Ceiling of what it may cost; None: price unknown."""
    share: Share | None = None
    """For how many items it asks; None: it was not counted."""
    canary: bool = False
    has_contents: bool = False
    """Its segment refers to files that are filled in before it is sent (`workflow.contents`)."""


def write_chunks(
    session: Session,
    asks: Iterable[Ask],
    spool: Spool,
    *,
    batches: Iterable[Packed],
    canary: bool,
    usd_most_per_request: Decimal | None,
) -> Iterator[Chunk]:
    """Write a request segment for each batch, in the order of what is asked."""
    iterator = iter(asks)
    for position, packed in enumerate(batches):
        written = _Writing(space=session.namespace, tag=new_tag(session))
        block = itertools.islice(iterator, packed.requests)
        segment = session.segments.write("req", written.lines(block, spool))
        most = None if usd_most_per_request is None else usd_most_per_request * packed.requests
        yield Chunk(
            tag=written.tag,
            segment=segment,
            requests=packed.requests,
            bytes=packed.bytes,
            asked=bytes(written.asked),
            usd_most=most,
            canary=canary and position == 0,
            has_contents=written.has_contents,
        )


def arrange(
    questions: Iterable[Packable], limits: BatchLimits, canary: int, taken: Collection[int]
) -> tuple[tuple[Packed, ...], tuple[Problem, ...]]:
    """Divide questions into batches, the first of at most ``canary`` questions when it is not 0."""
    iterator = iter(questions)
    if not canary:
        return pack(iterator, limits, taken)
    first, problems = pack(itertools.islice(iterator, canary), limits, taken)
    rest, more = pack(iterator, limits, {*taken, *(batch.requests for batch in first)})
    return (*first, *rest), (*problems, *more)


def new_tag(session: Session) -> str:
    """Return 40 random bits as 8 base32 characters: they tell submissions apart (protocol §3.2)."""
    return base64.b32encode(session.randomness(5)).decode().lower()


@dataclass(slots=True, kw_only=True)
class _Writing:
    """One request segment on its way to disk, and what was learnt of it."""

    space: str
    tag: str
    asked: bytearray = field(default_factory=bytearray)
    has_contents: bool = False

    def lines(self, asks: Iterable[Ask], spool: Spool) -> Iterator[bytes]:
        iterator, read = iter(asks), spool.read
        while block := list(itertools.islice(iterator, _BLOCK)):
            digests, attempts, offsets = zip(*block, strict=True)
            self.asked += b"".join(map(pack_claim, digests, attempts))
            stems = id_stems(self.space, digests, self.tag)
            for stem, attempt, offset in zip(stems, attempts, offsets, strict=True):
                params = read(offset)
                self.has_contents = self.has_contents or MARK in params
                yield b'{"custom_id":"%b%d","params":%b}' % (stem, attempt, params)


def body(session: Session, segment: str, length: int) -> CreateBody:
    """Return the create body of a request segment, streamed from disk."""
    return CreateBody(length=length, pieces=lambda: _pieces(session.segments.blocks(segment)))


def _pieces(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the body of a create call; inside a line of JSON there is no line end."""
    before, held = _HEAD, b""
    for block in blocks:
        if held:
            yield before + held
            before = b","
        held = block[:-1].replace(b"\n", b",")
    yield before + held + _TAIL


def ids(session: Session, segment: str) -> Iterator[str]:
    """Yield the custom_ids of a request segment, in order."""
    for line in session.segments.lines(segment):
        yield line[_ID_START : line.index(b'"', _ID_START)].decode()


_CLAIM = struct.Struct(">16sH")


pack_claim = _CLAIM.pack
"""Makes of a hash, whose first 16 bytes it takes, and an attempt a claim as in `Chunk.asked`."""


def claims(chunk: Chunk) -> Iterator[Claim]:
    """Yield what a chunk asks, as the ledger claims it."""
    yield from _CLAIM.iter_unpack(chunk.asked)


def segment_claims(session: Session, segment: str) -> Iterator[Claim]:
    """Yield what a request segment asks, as the ledger claims it."""
    for name in ids(session, segment):
        parsed = parse_custom_id(name)
        if parsed is not None:
            yield parsed.digest16, parsed.attempt


def halves(session: Session, chunk: Chunk) -> tuple[Chunk, Chunk]:
    """Divide a chunk that the server found too large into two with ids of their own.

    For how many items each asks is known only where no items are alike. Those that were asked for
    before are the first one's: both halves together ask for as many as the whole did.
    """
    middle = chunk.requests // 2
    lines = session.segments.lines(chunk.segment)
    cut = middle * _CLAIM.size
    head, tail = chunk.asked[:cut], chunk.asked[cut:]
    first = _rewritten(session, chunk, itertools.islice(lines, middle), head)
    second = _rewritten(session, chunk, lines, tail)
    if chunk.share is None or chunk.share.items != chunk.requests:
        return first, second
    return (
        replace(first, share=replace(chunk.share, items=first.requests)),
        replace(second, share=Share(items=second.requests)),
    )


def _rewritten(session: Session, chunk: Chunk, lines: Iterator[bytes], asked: ClaimBytes) -> Chunk:
    tag, count = new_tag(session), len(asked) // _CLAIM.size
    old, new = f"-{chunk.tag}-a".encode(), f"-{tag}-a".encode()
    size = len(_HEAD) + len(_TAIL) + max(0, count - 1)

    def renamed() -> Iterator[bytes]:
        nonlocal size
        for line in lines:
            size += len(line)
            yield line.replace(old, new, 1)

    segment = session.segments.write("req", renamed())
    most = None if chunk.usd_most is None else chunk.usd_most * count / chunk.requests
    return Chunk(tag=tag, segment=segment, requests=count, bytes=size, asked=asked, usd_most=most)


def refilled(session: Session, chunk: Chunk, change: Callable[[bytes], bytes]) -> Chunk:
    """Return a chunk whose lines were changed one by one: the same questions, other bytes."""
    size = len(_HEAD) + len(_TAIL) + max(0, chunk.requests - 1)

    def changed() -> Iterator[bytes]:
        nonlocal size
        for line in session.segments.lines(chunk.segment):
            new = change(line)
            size += len(new)
            yield new

    segment = session.segments.write("req", changed())
    return replace(chunk, segment=segment, bytes=size, has_contents=False)


def sweep(session: Session, kept: Collection[str]) -> None:
    """Remove request segments that no submission names: left by a crash before it was prepared."""
    for name in session.segments.names_here():
        if name.startswith("req-") and name not in kept:
            session.segments.discard(name)
