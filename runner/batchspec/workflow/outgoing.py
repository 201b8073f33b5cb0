"""What a job is still to submit: planned create calls, of which one is written ahead.

The segment of the next call is written while the server takes the one before in, which would be
waited for with idle hands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from batchspec.plan.questions import Spool
from batchspec.records import frozen
from batchspec.workflow.chunks import Chunk, WrittenChunk, write
from batchspec.workflow.context import Session


@frozen
class Source:
    """Where the requests of planned chunks are, until segments hold them."""

    session: Session
    spool: Spool

    def write(self, chunk: Chunk) -> WrittenChunk:
        """Write a chunk's segment; see `chunks.write`."""
        return write(self.session, chunk, self.spool)


class Outgoing:
    """Planned create calls in the order in which they are to be sent.

    Args:
        chunks: The calls.
        source: The requests of those whose segments are to be written; closed with this.
    """

    def __init__(self, chunks: Iterable[Chunk] = (), source: Source | None = None) -> None:
        self._chunks = deque(chunks)
        self._source = source
        self._ahead: Future[WrittenChunk] | None = None
        """Writes the first chunk that has no segment."""
        self._pool: ThreadPoolExecutor | None = None

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
        ahead, self._ahead = self._ahead, None
        written = self._written(chunk) if ahead is None else ahead.result()
        self._chunks[0] = written
        if all(isinstance(one, WrittenChunk) for one in self._chunks):
            self._close_source()
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

    def write_ahead(self) -> None:
        """Begin to write the segment of the first call that has none, beside what goes on here.

        What goes wrong with it is raised when that call is next.
        """
        chunk = next((one for one in self._chunks if not isinstance(one, WrittenChunk)), None)
        if chunk is not None and self._ahead is None:
            self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="write")
            self._ahead = self._pool.submit(self._written, chunk)

    def clear(self) -> None:
        """Drop all calls. What is written of them is swept by the next run."""
        self._chunks.clear()
        self._close_source()

    def _written(self, chunk: Chunk) -> WrittenChunk:
        if self._source is None:
            raise LookupError(f"no segment holds the requests of {chunk.tag}")
        return self._source.write(chunk)

    def _close_source(self) -> None:
        """Wait until nothing is written any more, and remove the requests."""
        if self._pool is not None:
            self._pool.shutdown()
        self._ahead = self._pool = None
        if self._source is not None:
            self._source.spool.close()
        self._source = None
