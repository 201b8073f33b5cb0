"""Questions as create calls and their request segments, durable before they are sent."""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from decimal import Decimal

from batchspec.api.port import CreateBody
from batchspec.plan.hashing import id_stems, parse_custom_id
from batchspec.plan.model import Share
from batchspec.plan.pack import Entry, Packed, pack
from batchspec.plan.questions import Ask, Spool
from batchspec.problems import Problem
from batchspec.prompt.contents import MARK
from batchspec.records import frozen
from batchspec.spec.model import BatchLimits
from batchspec.state.ledger import Claim
from batchspec.workflow.context import Session
from batchspec.workflow.sentids import forget_ids, keep_ids, kept_ids, sweep_ids

_HEAD, _TAIL = b'{"requests":[', b"]}"
_ID_START = len(b'{"custom_id":"')
UNTOUCHED = dt.timedelta(hours=1)
"""A file that was not written to for so long is nobody's any more."""
_BLOCK = 1000
"""Questions whose ids are made at once."""


AskBytes = bytes
"""17 bytes of hash, 2 of attempt and 8 of place in the spool for each question; see `pack_ask`."""


@frozen
class Chunk:
    """One planned create call."""

    tag: str
    requests: int
    bytes: int
    """Exact length of the create body."""
    asks: AskBytes
    """What it asks, in the order in which it is sent."""
    usd_most: Decimal | None
    """Ceiling of what it may cost; None: price unknown."""
    share: Share | None = None
    """For how many items it asks; None: it was not counted."""
    canary: bool = False


@frozen
class WrittenChunk(Chunk):
    """A create call whose request segment is durable."""

    segment: str
    has_contents: bool = False
    """Its segment refers to files that are filled in before it is sent (`workflow.contents`)."""


def plan_chunks(
    session: Session,
    asks: Iterable[Ask],
    *,
    batches: Iterable[Packed],
    shares: Iterable[Share | None],
    canary: bool,
    usd_most_per_request: Decimal | None,
) -> Iterator[Chunk]:
    """Yield a create call for each batch, in the order of what is asked."""
    iterator = iter(asks)
    for position, (packed, share) in enumerate(zip(batches, shares, strict=True)):
        most = None if usd_most_per_request is None else usd_most_per_request * packed.requests
        block = itertools.islice(iterator, packed.requests)
        yield Chunk(
            tag=new_tag(session),
            requests=packed.requests,
            bytes=packed.bytes,
            asks=b"".join(itertools.starmap(pack_ask, block)),
            usd_most=most,
            share=share,
            canary=canary and position == 0,
        )


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Nobody wants the segment any more."""


def write(
    session: Session, chunk: Chunk, spool: Spool, stopped: Callable[[], bool]
) -> WrittenChunk:
    """Write a chunk's request segment.

    Raises:
        DiskFailure, StoreFailure: the segment cannot be stored.
        Stopped: ``stopped`` said so; nothing is left of the segment.
    """
    space, has_contents = session.namespace, False

    def lines() -> Iterator[bytes]:
        nonlocal has_contents
        iterator, read = _ASK.iter_unpack(chunk.asks), spool.read
        while block := list(itertools.islice(iterator, _BLOCK)):
            digests, attempts, offsets = zip(*block, strict=True)
            stems = id_stems(space, digests, chunk.tag)
            for stem, attempt, offset in zip(stems, attempts, offsets, strict=True):
                if stopped():
                    raise Stopped
                params = read(offset)
                has_contents = has_contents or MARK in params
                yield b'{"custom_id":"%b%d","params":%b}' % (stem, attempt, params)

    segment = _store(session, lines())
    return WrittenChunk(
        tag=chunk.tag,
        requests=chunk.requests,
        bytes=chunk.bytes,
        asks=chunk.asks,
        usd_most=chunk.usd_most,
        share=chunk.share,
        canary=chunk.canary,
        segment=segment,
        has_contents=has_contents,
    )


def arrange(
    questions: Iterable[Entry], limits: BatchLimits, canary: int, taken: Collection[int]
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
    kept = kept_ids(session, segment)
    if kept is not None:
        yield from kept
        return
    for block in session.segments.blocks(segment):
        lines = block.removesuffix(b"\n").split(b"\n")
        yield from b"\n".join(map(_id, lines)).decode().split("\n")


def _store(session: Session, lines: Iterable[bytes]) -> str:
    """Write a request segment, and its ids beside it."""
    found: list[bytes] = []

    def seen() -> Iterator[bytes]:
        for line in lines:
            found.append(_id(line))
            yield line

    segment = session.segments.write("req", seen())
    keep_ids(session, segment, found)
    return segment


def discard(session: Session, segment: str) -> None:
    """Remove a request segment that no submission names, and its ids."""
    session.segments.discard(segment)
    forget_ids(session, segment)


def _id(line: bytes) -> bytes:
    return line[_ID_START : line.index(b'"', _ID_START)]


_ASK = struct.Struct(">17sHq")
_CLAIM = struct.Struct(">16sxH8x")
"""What the ledger claims of the same bytes."""

pack_ask = _ASK.pack
"""Makes of a hash, whose first 17 bytes it takes, an attempt and a place in the spool a question as
in `Chunk.asks`; -1 where a segment holds it already."""


def claims(chunk: Chunk) -> Iterator[Claim]:
    """Yield what a chunk asks, as the ledger claims it."""
    yield from _CLAIM.iter_unpack(chunk.asks)


def segment_claims(session: Session, segment: str) -> Iterator[Claim]:
    """Yield what a request segment asks, as the ledger claims it."""
    for name in ids(session, segment):
        parsed = parse_custom_id(name)
        if parsed is not None:
            yield parsed.digest16, parsed.attempt


def halves(session: Session, chunk: WrittenChunk) -> tuple[WrittenChunk, WrittenChunk]:
    """Divide a chunk that the server found too large into two with ids of their own.

    For how many items each asks is known only where no items are alike. Those that were asked for
    before are the first one's: both halves together ask for as many as the whole did.
    """
    middle = chunk.requests // 2
    lines = session.segments.lines(chunk.segment)
    cut = middle * _ASK.size
    head, tail = chunk.asks[:cut], chunk.asks[cut:]
    first = _rewritten(session, chunk, itertools.islice(lines, middle), head)
    second = _rewritten(session, chunk, lines, tail)
    if chunk.share is None or chunk.share.items != chunk.requests:
        return first, second
    return (
        replace(first, share=replace(chunk.share, items=first.requests)),
        replace(second, share=Share(items=second.requests)),
    )


def _rewritten(
    session: Session, chunk: WrittenChunk, lines: Iterator[bytes], asks: AskBytes
) -> WrittenChunk:
    tag, count = new_tag(session), len(asks) // _ASK.size
    old, new = f"-{chunk.tag}-a".encode(), f"-{tag}-a".encode()
    size = len(_HEAD) + len(_TAIL) + max(0, count - 1)

    def renamed() -> Iterator[bytes]:
        nonlocal size
        for line in lines:
            size += len(line)
            yield line.replace(old, new, 1)

    segment = _store(session, renamed())
    most = None if chunk.usd_most is None else chunk.usd_most * count / chunk.requests
    return WrittenChunk(
        tag=tag, segment=segment, requests=count, bytes=size, asks=asks, usd_most=most
    )


def refilled(
    session: Session, chunk: WrittenChunk, change: Callable[[bytes], bytes]
) -> WrittenChunk:
    """Put another segment in the place of a chunk's: the same questions, each line changed."""
    size = len(_HEAD) + len(_TAIL) + max(0, chunk.requests - 1)

    def changed() -> Iterator[bytes]:
        nonlocal size
        for line in session.segments.lines(chunk.segment):
            new = change(line)
            size += len(new)
            yield new

    segment = _store(session, changed())
    if segment != chunk.segment:
        discard(session, chunk.segment)
    return replace(chunk, segment=segment, bytes=size, has_contents=False)


def sweep(session: Session, kept: Collection[str], waiting: Collection[str]) -> None:
    """Remove what a crash left.

    Args:
        session: The session, which holds the lease.
        kept: Segments that submissions name; other request segments go.
        waiting: Those of submissions that are not collected; the ids of others go.
    """
    sweep_ids(session, waiting)
    session.segments.sweep(session.clock.now() - UNTOUCHED)
    for name in session.segments.names_here():
        if name.startswith("req-") and name not in kept:
            discard(session, name)
