"""A small world for the model test: an API in memory, a clock that only it moves, plots at points.

It keeps the protocol's assumptions: a commit comes at most U after the last byte, a listing at most
L after the commit, and a server that was kept waiting for the end of a body makes nothing of it.
Everything else may go wrong, and goes wrong as the test says beforehand: nothing here is random.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from batchspec.api.port import (
    ApiFailure,
    Batch,
    CreateBody,
    FailureKind,
    Page,
    ProcessingStatus,
    RequestCounts,
    ResultStream,
)
from batchspec.spec.headers import Headers

START = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
COMMIT_SECONDS = 900
"""U: so long after the last byte a batch is made at the latest."""
LISTING_SECONDS = 120
"""L: so long after its making it is listed at the latest."""
BODY_SECONDS = 60
"""The server gives up on a body whose end does not come."""
PAGE = 3

ANSWERED, ERRORED, DROPPED, CANCELED = "answered", "errored", "dropped", "canceled"
PAID = (ANSWERED, DROPPED)
"""What is paid for: an answer, and one whose line is never sent."""

NOT_MADE = ("not-sent", "429", "500-before", "auth", "too-large", "rejected")
MADE = ("ok", "500-after", "lost-after", "torn", "miscounted")
LATE = "late"
"""Answered with an error at once, and made some minutes later."""
OUTCOMES = (*MADE, *NOT_MADE, LATE)

REFUSALS = {
    "not-sent": (FailureKind.NOT_SENT, None),
    "429": (FailureKind.RATE_LIMITED, 429),
    "500-before": (FailureKind.AMBIGUOUS, 500),
    "auth": (FailureKind.AUTH, 401),
    "too-large": (FailureKind.TOO_LARGE, 413),
    "rejected": (FailureKind.REJECTED, 400),
}

BREAKS = ("cut", "short", "mid-line", "unframed", "nothing")
"""Results that break off with a sign of it, after a line, in a line; that say nothing of their
length; that are empty."""
READ_FAILURES = (
    FailureKind.AMBIGUOUS,
    FailureKind.NOT_SENT,
    FailureKind.RATE_LIMITED,
    FailureKind.NOT_FOUND,
)


class Killed(BaseException):
    """The process ends here."""


@dataclass(slots=True, kw_only=True)
class Made:
    """A batch on the server."""

    id: str
    kinds: dict[str, str]
    """What becomes of each request, by custom_id."""
    at: float
    visible: float
    ends: float
    ours: bool
    workspace: str
    noisy: bool = False
    """Its results have blank, foreign, repeated and unreadable lines among the others."""

    def lines(self) -> list[bytes]:
        """Return the result lines, not in the order of the requests."""
        found = [
            orjson.dumps(line(name, kind))
            for name, kind in sorted(self.kinds.items(), reverse=True)
            if kind != DROPPED
        ]
        noise = [b"", b"\xff{", orjson.dumps(line("theirs-0", ANSWERED)), *found[:1]]
        return [*noise, *found] if self.noisy else found


@dataclass(slots=True)
class World:
    """The server, the time and what is going to go wrong, shared by all processes."""

    time: float = 0.0
    wall_offset: float = 0.0
    """Seconds by which the machine's wall clock is wrong."""
    dated: bool = True
    """Answers have a Date header."""
    named: bool = True
    """Answers name the workspace."""
    batches: list[Made] = field(default_factory=list)
    late: list[tuple[float, Made]] = field(default_factory=list)
    creates: deque[str] = field(default_factory=deque)
    """Outcomes of the next create calls; then all is well."""
    breaks: deque[tuple[str, int]] = field(default_factory=deque)
    """How the next readings of results break, and after how many lines."""
    reads: deque[FailureKind] = field(default_factory=deque)
    """How the next other calls fail."""
    kinds: deque[str] = field(default_factory=deque)
    """What becomes of the next requests that are made; then they are answered. A batch has a line
    at least: without any, nothing tells whose it is."""
    noisy: bool = False
    lag: float = 0.0
    lasts: float = 60.0
    late_by: float = 300.0
    plots: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    """What strikes the process, and at the how-manieth point from now."""
    drawn: int = 0

    def pass_time(self, seconds: float) -> None:
        """Move the clock; what is made late appears on the way."""
        self.time += seconds
        for due in [entry for entry in self.late if entry[0] <= self.time]:
            self.late.remove(due)
            self.batches.append(due[1])

    def point(self) -> None:
        """Pass a point at which the process may be struck."""
        due = [act for left, act in self.plots if left <= 1]
        self.plots = [(left - 1, act) for left, act in self.plots if left > 1]
        for act in due:
            act()

    def calm(self) -> None:
        """Let nothing more go wrong."""
        self.plots.clear()
        for faults in (self.creates, self.breaks, self.reads, self.kinds):
            faults.clear()
        self.lag, self.lasts, self.noisy = 0.0, 60.0, False

    def make(
        self, ids: list[str], *, at: float, ours: bool = True, workspace: str = "wrkspc_1"
    ) -> Made:
        """Return a batch that is made at some time from now on; it is not on the server yet."""
        number = len(self.batches) + len(self.late)
        kinds = {name: self.kinds.popleft() if self.kinds else ANSWERED for name in ids}
        if set(kinds.values()) == {DROPPED}:
            kinds[ids[0]] = ANSWERED
        return Made(
            id=f"msgbatch_{number:05d}",
            kinds=kinds,
            at=at,
            visible=at + self.lag,
            ends=at + self.lasts,
            ours=ours,
            workspace=workspace,
            noisy=self.noisy,
        )

    def commit(self, ids: list[str], *, ours: bool = True, workspace: str = "wrkspc_1") -> Made:
        """Make a batch now."""
        made = self.make(ids, at=self.time, ours=ours, workspace=workspace)
        self.batches.append(made)
        return made

    def paid(self) -> Counter[str]:
        """Return how often each question was paid, by the hash in its custom_id."""
        return self._count(PAID)

    def dropped(self) -> Counter[str]:
        """Return how often a question was paid whose line was never sent."""
        return self._count((DROPPED,))

    def _count(self, kinds: tuple[str, ...]) -> Counter[str]:
        return Counter(
            name.split("-")[2]
            for made in self.batches
            if made.ours
            for name, kind in made.kinds.items()
            if kind in kinds
        )

    def random_bytes(self, count: int) -> bytes:
        """Return bytes that were never returned before."""
        self.drawn += 1
        return hashlib.sha256(b"%d" % self.drawn).digest()[:count]


class WorldClock:
    """The world's time as the program's clock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> dt.datetime:
        """A wall clock that is wrong: it must decide nothing."""
        return START + dt.timedelta(seconds=self._world.time + self._world.wall_offset)

    def elapsed(self) -> float:
        """Seconds of the world."""
        return self._world.time

    def sleep(self, seconds: float) -> None:
        """Pass time; the process may be struck in its sleep."""
        self._world.pass_time(seconds)
        self._world.point()


class FakeApi:
    """`api.port.BatchApi` over a world, as one key sees it."""

    def __init__(self, world: World, workspace: str = "wrkspc_1") -> None:
        self._world = world
        self._workspace = workspace

    def _arrive(self, *, missing: bool = False) -> None:
        self._world.pass_time(1)
        self._world.point()
        if self._world.reads:
            kind = self._world.reads.popleft()
            if kind is not FailureKind.NOT_FOUND or missing:
                raise ApiFailure(kind, f"{kind} for now")

    def create(
        self,
        body: CreateBody,
        *,
        before_last_byte: Callable[[], None],
        headers: Headers,  # noqa: ARG002 - the port's signature
    ) -> Batch:
        """Make a batch, or fail in one of the ways that leave its making open."""
        world = self._world
        outcome = world.creates.popleft() if world.creates else "ok"
        world.pass_time(1)
        world.point()
        if outcome == "not-sent":
            raise ApiFailure(FailureKind.NOT_SENT, "connection refused")
        data = b"".join(body.pieces())
        assert len(data) == body.length
        ids = [request["custom_id"] for request in orjson.loads(data)["requests"]]
        world.point()
        waiting_since = world.time
        before_last_byte()
        world.point()
        if world.time - waiting_since > BODY_SECONDS:
            raise ApiFailure(FailureKind.AMBIGUOUS, "request_body_timeout", status=408)
        return self._answer(outcome, ids)

    def _answer(self, outcome: str, ids: list[str]) -> Batch:
        world = self._world
        if outcome in REFUSALS:
            kind, status = REFUSALS[outcome]
            raise ApiFailure(kind, outcome, status=status)
        if outcome == LATE:
            at = world.time + world.late_by
            world.late.append((at, world.make(ids, at=at, workspace=self._workspace)))
            world.point()
            raise ApiFailure(FailureKind.AMBIGUOUS, "504", status=504)
        made = world.commit(ids, workspace=self._workspace)
        world.point()
        world.pass_time(600 if outcome == "lost-after" else 1)
        world.point()
        if outcome in ("lost-after", "500-after", "torn"):
            raise ApiFailure(FailureKind.AMBIGUOUS, outcome)
        return self._batch(made, spoken_of=len(ids) + (outcome == "miscounted"))

    def retrieve(self, batch_id: str) -> Batch:
        """Return a batch as it is now."""
        self._arrive(missing=True)
        return self._batch(self._find(batch_id))

    def _find(self, batch_id: str) -> Made:
        for made in self._world.batches:
            if made.id == batch_id and made.workspace == self._workspace:
                return made
        raise ApiFailure(FailureKind.NOT_FOUND, "404", status=404)

    def page(
        self, *, limit: int = 1000, after_id: str | None = None, before_id: str | None = None
    ) -> Page:
        """Return the visible batches, newest first, in pages of three."""
        del limit, before_id
        self._arrive()
        world = self._world
        visible = [
            made
            for made in world.batches
            if made.visible <= world.time and made.workspace == self._workspace
        ]
        visible.sort(key=lambda made: (made.at, made.id), reverse=True)
        ids = [made.id for made in visible]
        start = ids.index(after_id) + 1 if after_id in ids else 0
        shown = visible[start : start + PAGE]
        return Page(
            batches=tuple(self._batch(made) for made in shown),
            has_more=start + PAGE < len(visible),
            server_time=START + dt.timedelta(seconds=int(world.time)) if world.dated else None,
            emulated=False,
            workspace=self._workspace if world.named else None,
        )

    def cancel(self, batch_id: str) -> Batch:
        """Cancel nothing; the batch goes on."""
        return self.retrieve(batch_id)

    @contextlib.contextmanager
    def results(self, batch: Batch) -> Iterator[ResultStream]:
        """Stream the results, broken off when that is what comes next."""
        self._arrive(missing=True)
        made = self._find(batch.id)
        assert self._world.time >= made.ends
        how, lines = self._world.breaks.popleft() if self._world.breaks else ("", 0)
        yield ResultStream(pieces=self._pieces(made.lines(), how, lines), framed=how in ("", "cut"))

    def _pieces(self, lines: list[bytes], how: str, most: int) -> Iterator[bytes]:
        sent = lines if how in ("", "unframed") else lines[: 0 if how == "nothing" else most]
        for text in sent:
            self._world.point()
            yield text + b"\n"
        if how == "cut":
            raise ApiFailure(FailureKind.AMBIGUOUS, "the stream broke off")
        if how == "mid-line" and len(sent) < len(lines):
            yield lines[len(sent)][:20]

    def _batch(self, made: Made, *, spoken_of: int | None = None) -> Batch:
        ended = self._world.time >= made.ends
        counts = Counter(made.kinds.values())
        at = START + dt.timedelta(seconds=made.at)
        return Batch(
            id=made.id,
            status=ProcessingStatus.ENDED if ended else ProcessingStatus.IN_PROGRESS,
            counts=RequestCounts(
                processing=0 if ended else spoken_of or len(made.kinds),
                succeeded=counts[ANSWERED] + counts[DROPPED] if ended else 0,
                errored=counts[ERRORED] if ended else 0,
                canceled=counts[CANCELED] if ended else 0,
                expired=0,
            ),
            created_at=at,
            expires_at=at + dt.timedelta(hours=24),
            ended_at=START + dt.timedelta(seconds=made.ends) if ended else None,
            archived_at=None,
            results_url=None,
        )

    def close(self) -> None:
        """Nothing to close."""


def line(name: str, kind: str) -> dict[str, Any]:
    """Return a result line; an answer tells which question it answers."""
    if kind == CANCELED:
        return {"custom_id": name, "result": {"type": "canceled"}}
    if kind == ERRORED:
        error = {"type": "overloaded_error", "message": "try again"}
        result = {"type": "errored", "error": {"type": "error", "error": error}}
        return {"custom_id": name, "result": result}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": [{"type": "text", "text": f"answer to {name}"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 5, "service_tier": "batch"},
    }
    return {"custom_id": name, "result": {"type": "succeeded", "message": message}}
