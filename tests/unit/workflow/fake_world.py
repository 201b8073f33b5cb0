"""A small world for model tests: an API in memory, a clock that only it moves, kills anywhere.

It makes the protocol's assumptions true: a commit comes at most U after the last byte, a listing at
most L after the commit; other jobs share the workspace, often with our number of requests.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
from collections import Counter
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
LISTING_SECONDS = 120
OUTCOMES = {
    "ok": 50,
    "lost-after": 8,
    "500-after": 8,
    "500-before": 8,
    "cut-before": 5,
    "429": 5,
    "not-sent": 5,
    "slow": 6,
    "torn": 5,
}


class Killed(BaseException):
    """The process ends here."""


@dataclass(slots=True)
class Made:
    """A batch on the server."""

    id: str
    ids: list[str]
    at: float
    visible: float
    ends: float
    ours: bool


@dataclass(slots=True)
class World:
    """The server and the time, shared by all processes of one history."""

    draw: random.Random
    time: float = 0.0
    batches: list[Made] = field(default_factory=list)
    kills_left: int = 0
    kills: int = 0
    pending: list[tuple[float, list[str]]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)

    def pass_time(self, seconds: float) -> None:
        """Move the clock; what was committed late appears on the way."""
        self.time += seconds
        for due in [entry for entry in self.pending if entry[0] <= self.time]:
            self.pending.remove(due)
            self.commit(due[1], at=due[0])

    def commit(self, ids: list[str], *, at: float | None = None, ours: bool = True) -> Made:
        """Make a batch."""
        at = self.time if at is None else at
        lag = self.draw.randint(0, LISTING_SECONDS) if self.draw.random() < 0.3 else 0
        made = Made(
            id=f"msgbatch_{len(self.batches):05d}",
            ids=ids,
            at=at,
            visible=at + lag,
            ends=at + self.draw.choice((5, 60, 3600, 40000)),
            ours=ours,
        )
        self.batches.append(made)
        return made

    def maybe_kill(self) -> None:
        """End the process now and then."""
        if self.kills_left and self.draw.random() < 0.08:
            self.kills_left -= 1
            self.kills += 1
            raise Killed

    def paid(self) -> Counter[str]:
        """Return how often each question was paid: by the hash in its custom_id."""
        return Counter(
            name.split("-")[2] for made in self.batches if made.ours for name in made.ids
        )


class WorldClock:
    """The world's time as the program's clock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> dt.datetime:
        """A wall clock that is wrong by days: it must decide nothing."""
        return START + dt.timedelta(days=3, seconds=self._world.time)

    def elapsed(self) -> float:
        """Seconds of the world."""
        return self._world.time

    def sleep(self, seconds: float) -> None:
        """Pass time; the process may be killed in its sleep."""
        self._world.pass_time(seconds)
        self._world.maybe_kill()


class FakeApi:
    """`api.port.BatchApi` over a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _arrive(self, call: str) -> None:
        self._world.calls[call] += 1
        self._world.pass_time(self._world.draw.random() * 2)
        self._world.maybe_kill()
        if self._world.draw.random() < 0.03 and call != "create":
            raise ApiFailure(FailureKind.AMBIGUOUS, "500 api_error", status=500)

    def create(
        self,
        body: CreateBody,
        *,
        before_last_byte: Callable[[], None],
        headers: Headers,  # noqa: ARG002 - the port's signature
    ) -> Batch:
        """Make a batch, or fail in one of the ways that leave its making open."""
        self._arrive("create")
        outcome = self._world.draw.choices(list(OUTCOMES), list(OUTCOMES.values()))[0]
        if outcome == "not-sent":
            raise ApiFailure(FailureKind.NOT_SENT, "connection refused")
        data = b"".join(body.pieces())
        assert len(data) == body.length
        ids = [request["custom_id"] for request in orjson.loads(data)["requests"]]
        self._world.maybe_kill()
        before_last_byte()
        self._world.maybe_kill()
        return self._answer(outcome, ids)

    def _answer(self, outcome: str, ids: list[str]) -> Batch:
        world = self._world
        if outcome == "429":
            raise ApiFailure(FailureKind.RATE_LIMITED, "429", status=429)
        if outcome in ("500-before", "cut-before"):
            raise ApiFailure(FailureKind.AMBIGUOUS, outcome, status=500)
        if outcome == "slow":
            world.pending.append((world.time + world.draw.randint(0, COMMIT_SECONDS - 10), ids))
            world.pass_time(world.draw.randint(1, 300))
            raise ApiFailure(FailureKind.AMBIGUOUS, "504", status=504)
        made = world.commit(ids)
        world.maybe_kill()
        world.pass_time(600 if outcome == "lost-after" else 1)
        world.maybe_kill()
        if outcome in ("lost-after", "500-after", "torn"):
            raise ApiFailure(FailureKind.AMBIGUOUS, outcome)
        return self._batch(made)

    def retrieve(self, batch_id: str) -> Batch:
        """Return a batch as it is now."""
        self._arrive("retrieve")
        for made in self._world.batches:
            if made.id == batch_id:
                return self._batch(made)
        raise ApiFailure(FailureKind.NOT_FOUND, "404", status=404)

    def page(
        self, *, limit: int = 1000, after_id: str | None = None, before_id: str | None = None
    ) -> Page:
        """Return the visible batches, newest first, in pages of three."""
        del limit, before_id
        self._arrive("list")
        visible = [made for made in self._world.batches if made.visible <= self._world.time]
        visible.sort(key=lambda made: (made.at, made.id), reverse=True)
        ids = [made.id for made in visible]
        start = ids.index(after_id) + 1 if after_id in ids else 0
        shown = visible[start : start + 3]
        return Page(
            batches=tuple(self._batch(made) for made in shown),
            has_more=start + 3 < len(visible),
            server_time=START + dt.timedelta(seconds=int(self._world.time)),
            emulated=False,
            workspace="wrkspc_1",
        )

    def cancel(self, batch_id: str) -> Batch:
        """Cancel nothing; the batch goes on."""
        return self.retrieve(batch_id)

    @contextlib.contextmanager
    def results(self, batch: Batch) -> Iterator[ResultStream]:
        """Stream the results, shuffled, sometimes cut short without a sign of it."""
        self._arrive("results")
        (made,) = (made for made in self._world.batches if made.id == batch.id)
        assert self._world.time >= made.ends
        ids = list(made.ids)
        self._world.draw.shuffle(ids)
        if self._world.draw.random() < 0.25:
            ids = ids[: self._world.draw.randint(0, len(ids) - 1)]
        yield ResultStream(pieces=self._lines(ids), framed=self._world.draw.random() < 0.5)

    def _lines(self, ids: list[str]) -> Iterator[bytes]:
        for name in ids:
            self._world.maybe_kill()
            yield orjson.dumps(line(name)) + b"\n"

    def _batch(self, made: Made) -> Batch:
        ended = self._world.time >= made.ends
        count = len(made.ids)
        at = START + dt.timedelta(seconds=made.at)
        return Batch(
            id=made.id,
            status=ProcessingStatus.ENDED if ended else ProcessingStatus.IN_PROGRESS,
            counts=RequestCounts(
                processing=0 if ended else count,
                succeeded=count if ended else 0,
                errored=0,
                canceled=0,
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


def line(name: str) -> dict[str, Any]:
    """Return a succeeded result line that tells which question it answers."""
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
