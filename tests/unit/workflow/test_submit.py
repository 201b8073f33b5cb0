"""A create call whose answer finds no room on the disk, beside a segment that takes it."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import orjson
from fake_process import Bench, Rules, WatchedLedger, chunk, told
from fake_world import World

from batchspec.errors import StateFailure
from batchspec.spec.headers import headers_of
from batchspec.state.model import SubmissionState
from batchspec.workflow.listing import look
from batchspec.workflow.submit import Order, Sent, submit
from batchspec.workflow.worker import Worker


class FullDisk(WatchedLedger):
    """A ledger on a disk whose last room somebody else takes."""

    taken = True

    def bind(self, tag: str, batch_id: str, created_at: dt.datetime) -> None:
        """Refuse, while the room is taken."""
        if FullDisk.taken:
            raise StateFailure("database or disk is full", hint="Free space.")
        super().bind(tag, batch_id, created_at)


def send(root: Path, meanwhile: Callable[[], Iterator[Callable[[], bool]]]) -> SubmissionState:
    """Send one chunk and return what the ledger says of it."""
    questions = [orjson.dumps({"q": number}) for number in range(3)]
    rules = Rules(ledger=FullDisk)
    bench = Bench(root=root, world=World(), rules=rules, questions=questions, chunk=3)
    with bench.session() as session, session.writer("run") as ledger:
        worker = Worker(session=session, ledger=ledger, api=session.api())
        order = Order(
            chunk=chunk(session, [(bench.digest(params), params, 1) for params in questions]),
            spec="model",
            headers=headers_of(bench.loaded.spec, bench.project.config.api),
            meanwhile=contextlib.contextmanager(meanwhile),
        )

        def steps() -> Generator[None, None, Sent]:
            sight = yield from told(look(worker))
            sent: Sent = yield from told(submit(worker, order, sight))
            return sent

        with contextlib.suppress(StateFailure):
            for _ in steps():
                pass
        (submission,) = ledger.submissions()
        assert len(bench.world.paid()) == 3
        return submission.state


def test_what_takes_the_last_room_is_stopped_for_the_paid_id(tmp_path: Path) -> None:
    """The batch is bound by this run, and needs no search by the next."""
    FullDisk.taken = True

    def writing() -> Iterator[Callable[[], bool]]:
        def stop() -> bool:
            FullDisk.taken = False
            return True

        yield stop

    assert send(tmp_path, writing) is SubmissionState.BOUND


def test_where_nothing_is_written_the_failure_is_told(tmp_path: Path) -> None:
    """The batch stays armed: the next run finds it in the listing, and does not ask again."""
    FullDisk.taken = True

    def idle() -> Iterator[Callable[[], bool]]:
        yield lambda: False

    assert send(tmp_path, idle) is SubmissionState.ARMED
