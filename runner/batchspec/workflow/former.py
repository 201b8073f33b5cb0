"""Requests that were sent before, found again in the segments of what was sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from batchspec.errors import StateFailure
from batchspec.plan.examples import Example
from batchspec.plan.hashing import H26_START, CustomId, h26_of, parse_custom_id
from batchspec.plan.model import Reworded
from batchspec.plan.wording import Rewording, compare_requests
from batchspec.state.ledger import LedgerReader
from batchspec.workflow.context import Session

MAX_LINES = 200_000
"""So many lines of segments are looked through for the examples of one plan."""
_BEFORE_ID, _BEFORE_PARAMS = b'{"custom_id":"', b'","params":'
_H26 = slice(len(_BEFORE_ID) + H26_START, len(_BEFORE_ID) + H26_START + len(h26_of(bytes(32))))


def sent_requests(session: Session, segment: str) -> Iterator[tuple[CustomId, bytes]]:
    """Yield id and params of what a request segment sent, in order.

    Raises:
        StateFailure: when the segment is missing or damaged.
    """
    for line in session.segments.lines(segment):
        end = _end_of_id(line)
        parsed = parse_custom_id(line[len(_BEFORE_ID) : end].decode())
        if parsed is not None:
            yield parsed, _params(line)


def _end_of_id(line: bytes) -> int:
    return line.index(b'"', len(_BEFORE_ID))


def _params(line: bytes) -> bytes:
    return line[_end_of_id(line) + len(_BEFORE_PARAMS) : -1]


def reworded(
    session: Session, reader: LedgerReader, examples: Iterable[Example]
) -> tuple[Reworded, ...]:
    """Compare examples with what was asked before.

    Those whose former request is gone, or lies too deep in the state, are left out, and so are
    those that differ in the same way as one before them.
    """
    listed = list(examples)
    found = former_requests(session, reader, [example.former for example in listed])
    different: dict[Rewording, Example] = {}
    for example in listed:
        if example.former in found:
            rewording = compare_requests(found[example.former], example.request)
            different.setdefault(rewording, example)
    return tuple(
        Reworded(key=example.key_json, reason=example.reason, rewording=rewording)
        for rewording, example in different.items()
    )


def former_requests(
    session: Session, reader: LedgerReader, hashes: Iterable[bytes]
) -> Mapping[bytes, bytes]:
    """Return, by the 32-byte request hash, the params of those requests that are found."""
    segments = {s.tag: s.segment for s in reader.submissions() if s.segment is not None}
    wanted: dict[str, dict[bytes, bytes]] = {}
    for digest in hashes:
        known = reader.known(digest[:16])
        segment = None if known is None else segments.get(known.tag)
        if segment is not None:
            wanted.setdefault(segment, {})[h26_of(digest).encode()] = digest
    found: dict[bytes, bytes] = {}
    left = MAX_LINES
    for segment, names in wanted.items():
        left -= _look_through(session, segment, names, found, left)
    return found


def _look_through(
    session: Session,
    segment: str,
    names: dict[bytes, bytes],
    found: dict[bytes, bytes],
    most: int,
) -> int:
    """Move what a segment holds from ``names`` to ``found``; return how many lines it took."""
    looked = 0
    try:
        for line in session.segments.lines(segment):
            if not names or looked >= most:
                break
            looked += 1
            digest = names.pop(line[_H26], None)
            if digest is not None:
                found[digest] = _params(line)
    except StateFailure:
        # A damaged segment is `verify`'s to tell; a plan goes on without the example.
        pass
    return looked
