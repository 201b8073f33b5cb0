"""What a job is still to submit: planned create calls, of which one is written ahead.

The segment of the next call is written while the server takes the one before in, which would be
waited for with idle hands.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from batchspec.errors import EnvironmentFailure
from batchspec.plan.questions import Spool
from batchspec.records import frozen
from batchspec.workflow.chunks import Chunk, WrittenChunk, discard, write
from batchspec.workflow.context import Session


@frozen
class Source:
    """Where the requests of planned chunks are, until segments hold them."""

    session: Session
    spool: Spool


class Outgoing:
    """Planned create calls in the order in which they are to be sent.

    Args:
        chunks: The calls.
        source: The requests of those whose segments are to be written; closed with this.
    """

    def __init__(self, chunks: Iterable[Chunk] = (), source: Source | None = None) -> None:
        self._chunks = deque(chunks)
        self._source = source

    def __bool__(self) -> bool:
        return bool(self._chunks)

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self._chunks)

    def first(self) -> WrittenChunk:
        """Return the next call, its segment written.

        Raises:
            IndexError: There is none.
            DiskFailure, StoreFailure: The segment cannot be stored.
        """
        chunk = self._chunks[0]
        if isinstance(chunk, WrittenChunk):
            return chunk
        written = self._chunks[0] = self._written(chunk)
        self._close_if_written()
        return written

    def take(self) -> WrittenChunk:
        """Remove the next call and return it. Raises as `first` does."""
        chunk = self.first()
        self._chunks.popleft()
        return chunk

    def put_first(self, *chunks: WrittenChunk) -> None:
        """Send some calls before all others."""
        self._chunks.extendleft(reversed(chunks))

    def replace_first(self, chunk: WrittenChunk) -> None:
        """Put another call in the place of the next."""
        self._chunks[0] = chunk

    @contextmanager
    def writing_ahead(self) -> Iterator[Callable[[], bool]]:
        """Write the segment of the first call that has none beside what is done in the block.

        Both have ended when the block is left; an exception in it stops the writing. What goes
        wrong with the segment goes wrong again, and is raised, when its call is the next.

        Yields:
            What gives the room on the disk back that the segment takes, and tells whether there is
            one; its call stays in the queue.
        """
        at = self._first_unwritten()
        if at is None:
            yield lambda: False
            return
        # Plans import this room and send nothing; it brings logging along.
        from concurrent.futures import ThreadPoolExecutor, wait  # noqa: PLC0415

        stopped = threading.Event()
        pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        ahead = pool.submit(self._written, self._chunks[at], stopped.is_set)

        def give_back() -> bool:
            if not stopped.is_set():
                stopped.set()
                wait([ahead])
                if ahead.exception() is None:
                    self._discard(ahead.result())
            return True

        # The result is waited for, not the thread: a signal that interrupts `Thread.join` makes
        # Python 3.11 take a thread that is at work for one that has ended.
        try:
            yield give_back
            wait([ahead])
        except BaseException:
            stopped.set()
            wait([ahead])
            raise
        finally:
            pool.shutdown()
        if ahead.exception() is None and not stopped.is_set():
            self._chunks[at] = ahead.result()
            self._close_if_written()

    def clear(self) -> None:
        """Drop all calls. What is written of them is swept by the next run."""
        self._chunks.clear()
        self._close_source()

    def _first_unwritten(self) -> int | None:
        chunks = enumerate(self._chunks)
        return next((at for at, one in chunks if not isinstance(one, WrittenChunk)), None)

    def _written(self, chunk: Chunk, stopped: Callable[[], bool] = lambda: False) -> WrittenChunk:
        if self._source is None:
            raise LookupError(f"no segment holds the requests of {chunk.tag}")
        return write(self._source.session, chunk, self._source.spool, stopped)

    def _discard(self, chunk: WrittenChunk) -> None:
        if self._source is not None:
            with suppress(EnvironmentFailure):
                discard(self._source.session, chunk.segment)

    def _close_if_written(self) -> None:
        if self._first_unwritten() is None:
            self._close_source()

    def _close_source(self) -> None:
        """Remove the requests: segments hold them, or nobody wants them any more."""
        if self._source is not None:
            self._source.spool.close()
        self._source = None
