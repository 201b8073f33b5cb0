"""One emulator: its store, time, faults and answers, and what its endpoints share."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from batchspec.emulator.answering import Answerer
from batchspec.emulator.clock import EmulatorClock
from batchspec.emulator.draws import digest, make_id
from batchspec.emulator.faults import FaultDesk
from batchspec.emulator.files import FileShelf
from batchspec.emulator.media import file_tokens
from batchspec.emulator.params import Terms
from batchspec.emulator.processing import write_results
from batchspec.emulator.rates import Bucket
from batchspec.emulator.replay import load_recordings
from batchspec.emulator.rowindex import RowIndex
from batchspec.emulator.rules import load_rules
from batchspec.emulator.store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchspec.emulator.lifecycle import BatchRecord, Counts
    from batchspec.emulator.settings import EmulatorSettings

_REMEMBERED_CALLS = 20_000
_OPEN_WORKSPACE = "default"
_BATCH_ENDPOINTS = ("create", "retrieve", "list", "cancel", "delete", "results")


class Emulator:
    """Everything that the endpoints of one emulator share.

    Args:
        settings: what it was started with.

    Raises:
        AnswersError: when the answers file is wrong.
        FaultsError: when the faults file is wrong.
        RecordingError: when a recording is wrong.
    """

    def __init__(self, settings: EmulatorSettings) -> None:
        self.settings = settings
        self.faults = FaultDesk(settings.seed)
        if settings.faults is not None:
            self.faults.load(settings.faults)
        self.answerer = Answerer(
            seed=settings.seed,
            rules=() if settings.answers is None else load_rules(settings.answers),
            recording=load_recordings(settings.replay),
            replay_only=settings.replay_only,
            warm_seconds=min(settings.cache_warm_seconds, settings.delay_seconds),
        )
        self.store = Store(settings.data_dir)
        self.files = FileShelf(self.store.db, self.store.folder / "files")
        self.answerer.cache.measure = self._measured
        self.clock = self._clock()
        self._buckets = self._full_buckets()
        self.calls: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED_CALLS)
        self.organization = str(uuid.UUID(bytes=digest(self.store.nonce, "organization")[:16]))
        self.stopping = asyncio.Event()
        self._settling = asyncio.Lock()
        self._later: set[asyncio.Task[None]] = set()
        self._request_ids = 0

    def _clock(self) -> EmulatorClock:
        """Return the clock; time never runs backwards from one start to the next."""
        settings = self.settings
        clock = EmulatorClock(speed=settings.speed, stepped=settings.stepped)
        last = float(self.store.meta("clock") or 0)
        if last > clock.now():
            clock.advance(last - clock.now())
        return clock

    def _full_buckets(self) -> dict[str, Bucket]:
        limits, now = self.settings.limits, self.clock.now()
        rates = {
            "batches": limits.requests_per_minute,
            "count_tokens": limits.count_tokens_per_minute,
        }
        return {group: Bucket.full(rate, now) for group, rate in rates.items() if rate is not None}

    def admit(self, endpoint: str) -> dict[str, str]:
        """Count a call against its rate limit, and return the headers to send with its answer.

        Raises:
            ApiError: 429 when a limit is switched on and reached.
        """
        group = "batches" if endpoint in _BATCH_ENDPOINTS else endpoint
        bucket = self._buckets.get(group)
        if bucket is None:
            return {}
        now = self.clock.now()
        bucket.take(now)
        return bucket.headers(now) if self.settings.unknowns.rate_limit_headers else {}

    async def close(self) -> None:
        """End what is waiting, drop what was to happen later, and close the store."""
        self.stopping.set()
        for task in list(self._later):
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
        async with self._settling:
            self.remember_time()
            self.store.close()

    def remember_time(self) -> None:
        """Write the emulated time down, for the next start."""
        self.store.set_meta("clock", repr(self.clock.now()))

    def _measured(self, file_id: str) -> int | None:
        """Return the tokens of a file that a request names, or ``None`` when it is not there."""
        path = self.settings.files.get(file_id)
        if path is None and file_id.startswith("file_") and file_id.isidentifier():
            path = self.files.folder / file_id
        try:
            return None if path is None else file_tokens(path.read_bytes())
        except OSError:
            return None

    def workspace_of(self, key: str) -> str | None:
        """Return the workspace id of an API key, or ``None`` when the key is not known."""
        keys = self.settings.keys
        name = _OPEN_WORKSPACE if keys is None else keys.get(key)
        if name is None or name.startswith("wrkspc_"):
            return name
        return make_id("wrkspc", self.store.nonce, name)

    def next_request_id(self) -> str:
        """Return the id of the next answer."""
        self._request_ids += 1
        return make_id("req", self.store.nonce, self.clock.now(), self._request_ids)

    async def pause(self, seconds: float) -> None:
        """Wait real ``seconds``, or less when the emulator is closed."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return

    def later(self, seconds: float, act: Callable[[], Awaitable[Any]]) -> None:
        """Let ``act`` happen after real ``seconds``, unless the emulator is closed before."""

        async def wait_and_act() -> None:
            await asyncio.sleep(seconds)
            await act()

        task = asyncio.create_task(wait_and_act())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def settled(self, record: BatchRecord) -> BatchRecord:
        """Return the record with its counts when the batch has ended.

        The first to look at an ended batch makes its results be written.
        """
        if record.counts is not None or record.status(self.clock.now()) != "ended":
            return record
        async with self._settling:
            fresh = self.store.batch(record.workspace, record.id)
            if fresh is None or fresh.counts is not None:
                return fresh or record
            terms = self._terms(fresh)
            counts = await asyncio.to_thread(
                self._write_results, fresh, terms, self._earlier(fresh)
            )
            self.store.set_counts(fresh, counts)
        return self.store.batch(record.workspace, record.id) or record

    def _earlier(self, record: BatchRecord) -> list[BatchRecord]:
        if not self.answerer.needs_history:
            return []
        return [other for other in self.store.every_batch() if other.seq < record.seq]

    def _terms(self, record: BatchRecord) -> Terms:
        return Terms(
            version=record.version,
            betas=record.betas,
            profile=record.profile,
            any_model=self.settings.unknowns.unknown_model == "accept",
            files=self.files.usable(record.workspace, record.created) | self.settings.files.keys(),
        )

    def _write_results(
        self, record: BatchRecord, terms: Terms, earlier: list[BatchRecord]
    ) -> Counts:
        asked: Counter[bytes] = Counter()
        for other in earlier:
            with RowIndex(self.store.files_of(other) / "rows.bin") as rows:
                asked.update(row.sha256 for row in rows)
        self.answerer.cache.forget_before(record.created)
        return write_results(record, self.store.files_of(record), self.answerer, terms, asked)
