"""The queue of create calls: one segment is written ahead, and a spool that outlives its plan."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from batchspec.errors import DiskFailure
from batchspec.plan.hashing import custom_id
from batchspec.plan.pack import body_size, entry_size
from batchspec.plan.questions import Spool
from batchspec.workflow.chunks import Chunk, WrittenChunk, claims, halves, new_tag, pack_ask
from batchspec.workflow.context import Session
from batchspec.workflow.outgoing import Outgoing, Source
from batchspec.workflow.sentids import kept_ids


def digest(number: int) -> bytes:
    """Return the hash of a question."""
    return bytes([number]) * 32


def queue(session: Session, sizes: list[int]) -> Outgoing:
    """Return calls of so many questions each, numbered through."""
    spool = Spool(session.spool_path("triage"))
    chunks, number = [], 0
    for size in sizes:
        asks = [(n, spool.append(b'{"n":%d}' % n)) for n in range(number, number + size)]
        lengths = [entry_size(len(b'{"n":%d}' % n), 1) for n, _ in asks]
        chunks.append(
            Chunk(
                tag=new_tag(session),
                requests=size,
                bytes=body_size(size, sum(lengths)),
                asks=b"".join(pack_ask(digest(n), 1, offset) for n, offset in asks),
                usd_most=None,
            )
        )
        number += size
    spool.rest()
    return Outgoing(chunks, Source(session=session, spool=spool))


def sent(session: Session, chunk: WrittenChunk) -> list[bytes]:
    """Return the lines of a chunk's segment."""
    return list(session.segments.lines(chunk.segment))


def wanted(session: Session, chunk: Chunk, numbers: range) -> list[bytes]:
    """Return the lines that ask some questions."""
    return [
        b'{"custom_id":"%s","params":{"n":%d}}'
        % (custom_id(session.namespace, digest(n), chunk.tag, 1).encode(), n)
        for n in numbers
    ]


def test_calls_are_taken_in_order_whether_written_ahead_or_not(session: Session) -> None:
    """What is sent is what was planned, and the requests are removed with the last of them."""
    with session:
        calls = queue(session, [2, 3, 1])
        first = calls.take()
        with calls.writing_ahead():
            pass
        second, third = calls.take(), calls.take()
        with calls.writing_ahead():
            pass
        assert sent(session, first) == wanted(session, first, range(2))
        assert sent(session, second) == wanted(session, second, range(2, 5))
        assert sent(session, third) == wanted(session, third, range(5, 6))
        for chunk in (first, second, third):
            assert kept_ids(session, chunk.segment) == [
                json.loads(line)["custom_id"] for line in sent(session, chunk)
            ]
        assert [list(claims(chunk)) for chunk in (first, third)] == [
            [(digest(0)[:16], 1), (digest(1)[:16], 1)],
            [(digest(5)[:16], 1)],
        ]
        assert not calls
        assert not list(session.scratch.glob("*.spool"))


def test_a_segment_is_written_beside_what_goes_on(session: Session) -> None:
    """It is there before the block is left, and needs nothing of the thread that waits."""
    with session:
        calls = queue(session, [1, 2])
        calls.take()
        with calls.writing_ahead():
            waited = 0
            while len(session.segments.names()) < 2 and waited < 3000:
                time.sleep(0.01)
                waited += 1
            assert len(session.segments.names()) == 2
        assert calls.take().requests == 2


def test_what_cannot_be_written_ahead_is_told_when_it_is_next(session: Session) -> None:
    """The call before it is not disturbed, and a later try may succeed."""
    with session:
        calls = queue(session, [1, 1])
        (path,) = session.scratch.glob("*.spool")
        hidden = path.rename(path.with_suffix(".hidden"))
        with calls.writing_ahead():
            pass
        with pytest.raises(DiskFailure, match="spool"):
            calls.first()
        hidden.rename(path)
        chunk = calls.take()
        assert sent(session, chunk) == wanted(session, chunk, range(1))
        calls.clear()


def big_queue(session: Session) -> Outgoing:
    """Return a call that was taken already, and one whose segment takes a while to write."""
    spool = Spool(session.spool_path("triage"))
    params = b'{"n":"%b"}' % (b"x" * 2000)
    asks = [(n, spool.append(params)) for n in range(200)]
    spool.rest()
    ask = [pack_ask(digest(n), 1, offset) for n, offset in asks]
    sizes = [1, 100_000]
    return Outgoing(
        [
            Chunk(
                tag=new_tag(session),
                requests=size,
                bytes=body_size(size, size * entry_size(len(params), 1)),
                asks=b"".join(ask[n % 200] for n in range(size)),
                usd_most=None,
            )
            for size in sizes
        ],
        Source(session=session, spool=spool),
    )


def wait_for_part(session: Session) -> None:
    """Wait until a segment is being written."""
    waited = 0
    while not list((session.state_dir / "segments").glob(".req-*.part")) and waited < 3000:
        time.sleep(0.001)
        waited += 1


def interrupt_while_written(session: Session) -> None:
    """Wait until a segment is being written, and be interrupted."""
    wait_for_part(session)
    raise KeyboardInterrupt


def interrupt_soon(session: Session) -> None:
    """Be interrupted a moment after a segment began to be written."""
    wait_for_part(session)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()


@pytest.mark.parametrize("interrupt", [interrupt_while_written, interrupt_soon])
def test_an_interrupt_stops_the_segment(
    session: Session, interrupt: Callable[[Session], None]
) -> None:
    """In the call or after it: nothing is at work when it goes on, nothing half-written is left."""
    with session:
        calls = big_queue(session)
        calls.take()
        with pytest.raises(KeyboardInterrupt), calls.writing_ahead():
            interrupt(session)
        assert not any(thread.name.startswith("write") for thread in threading.enumerate())
        assert len(list((session.state_dir / "segments").iterdir())) == 1
        calls.clear()
        assert not list(session.scratch.glob("*.spool"))


def test_a_segment_at_work_gives_its_room_back_and_is_written_later(session: Session) -> None:
    """Whoever needs the room has it; the call itself is not lost."""
    with session:
        calls = big_queue(session)
        calls.take()
        with calls.writing_ahead() as give_back:
            wait_for_part(session)
            assert give_back()
            assert len(list((session.state_dir / "segments").iterdir())) == 1
        assert len(sent(session, calls.take())) == 100_000


def test_a_whole_segment_gives_its_room_back_and_is_written_again(session: Session) -> None:
    """It was written for nothing; what it asks is asked all the same, once."""
    with session:
        calls = queue(session, [1, 2])
        calls.take()
        with calls.writing_ahead() as give_back:
            while len(session.segments.names()) < 2:
                time.sleep(0.001)
            assert give_back()
            assert give_back()
            assert len(session.segments.names()) == 1
        chunk = calls.take()
        assert sent(session, chunk) == wanted(session, chunk, range(1, 3))
        assert not calls
        with calls.writing_ahead() as give_back:
            assert not give_back()


def test_halves_go_before_a_call_that_is_written_ahead(session: Session) -> None:
    """A call that was too large is sent again in two; the next is not lost or doubled."""
    with session:
        calls = queue(session, [4, 2])
        whole = calls.take()
        with calls.writing_ahead():
            pass
        calls.put_first(*halves(session, whole))
        taken = [calls.take() for _ in range(3)]
        assert [chunk.requests for chunk in taken] == [2, 2, 2]
        for chunk, numbers in zip(taken, (range(2), range(2, 4), range(4, 6)), strict=True):
            assert sent(session, chunk) == wanted(session, chunk, numbers)


def test_plans_of_one_spec_do_not_share_their_requests(session: Session) -> None:
    """A spec that is planned anew while calls of its last plan wait keeps those as they were."""
    with session:
        calls = queue(session, [1])
        other = queue(session, [3])
        chunk = calls.take()
        assert sent(session, chunk) == wanted(session, chunk, range(1))
        other.clear()
