"""The five faults that every other tool fails at least one of (100 items; batches paid for)."""

from __future__ import annotations

import os
import signal
import time

import pytest
from crash_world import DONE, KILLED, World, Worlds

ITEMS = 100
ENVIRONMENT = 5


@pytest.fixture
def world(worlds: Worlds) -> World:
    """Return a project of 100 items that fit into one batch, ended half a second after creation."""
    return worlds.make(items=ITEMS, chunk=1000, delay_seconds=0.5)


def batches(world: World) -> int:
    """Return how many batches were paid for."""
    return len({line["batch_id"] for line in world.paid_lines()})


def wait_for_batches(world: World, created: int, seconds: float = 20) -> set[str]:
    """Wait until the server has committed so many batches; return their ids."""
    deadline = time.monotonic() + seconds
    while batches(world) < created and time.monotonic() < deadline:
        time.sleep(0.005)
    return {line["batch_id"] for line in world.paid_lines()}


def kill_when(world: World, created: int) -> None:
    """Run, and kill as soon as the server has committed so many batches."""
    pid = world.zygote.start(world.order("run"))
    wait_for_batches(world, created)
    os.kill(pid, signal.SIGKILL)
    assert world.zygote.wait() == KILLED


@pytest.mark.slow
def test_a_kill_after_create(world: World) -> None:
    """A: killed while waiting, run again: one batch, all items."""
    pid = world.zygote.start(world.order("run"))
    deadline = time.monotonic() + 20
    while b"msgbatch_" not in (world.log.read_bytes() if world.log.exists() else b""):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    assert world.zygote.wait() == KILLED
    assert world.run() == DONE, world.story()
    world.judge(world.output())
    assert batches(world) == 1


@pytest.mark.slow
def test_b_kill_while_the_answer_is_delayed(world: World) -> None:
    """B: accepted, the answer delayed, killed in between, run again: one batch, all items."""
    world.fault(endpoint="create", kind="hang_after", seconds=3)
    kill_when(world, 1)
    assert world.run() == DONE, world.story()
    world.judge(world.output())
    assert batches(world) == 1


@pytest.mark.slow
def test_c_response_lost(world: World) -> None:
    """C: accepted, the connection closed without an answer: one batch, all items, one run."""
    world.fault(endpoint="create", kind="cut_after")
    assert world.run() == DONE, world.story()
    world.judge(world.output())
    assert batches(world) == 1


@pytest.mark.slow
def test_d_polls_fail(world: World) -> None:
    """D: the first six polls answer 500: one batch, all items, one run."""
    world.fault(endpoint="retrieve", kind="status", status=500, times=6)
    assert world.run() == DONE, world.story()
    world.judge(world.output())
    assert batches(world) == 1


@pytest.mark.slow
def test_e_every_tenth_line_missing(worlds: Worlds) -> None:
    """E: exactly the ten missing items are asked again, by batch, and reported."""
    world = worlds.make(items=ITEMS, chunk=1000, delay_seconds=3600)
    world.zygote.start(world.order("run"))
    (batch,) = wait_for_batches(world, 1)
    world.fault(endpoint="results", kind="drop_every", every=10, times=0, batch=batch)
    world.advance(3600)
    assert len(wait_for_batches(world, 2, seconds=120)) == 2, world.story()
    world.advance(3600)
    assert world.zygote.wait() == DONE, world.story()
    paid = world.paid()
    assert len(paid) == ITEMS
    assert sorted(paid.values()) == [1] * 90 + [2] * 10
    assert batches(world) == 2
    assert world.output().count(b'"status":"succeeded"') == ITEMS
    assert "10 missing" in world.log.read_text()


@pytest.mark.slow
def test_e_for_ever(world: World) -> None:
    """E in every batch: what is missing is asked again until all is there, and nothing else is."""
    world.fault(endpoint="results", kind="drop_every", every=10, times=0)
    assert world.run() == DONE, world.story()
    assert len(world.paid()) == ITEMS
    assert sum(world.paid().values()) == ITEMS + 10 + 1
    assert world.output().count(b'"status":"succeeded"') == ITEMS


@pytest.mark.slow
def test_a_silent_short_read_is_not_the_end(world: World) -> None:
    """Close-delimited results cut after a whole line, twice, are read again; nothing is asked."""
    world.fault(endpoint="results", kind="truncate_at_line", lines=40, times=2)
    assert world.run() == DONE, world.story()
    world.judge(world.output())
    assert batches(world) == 1


@pytest.mark.slow
def test_creates_that_never_work_end(world: World) -> None:
    """A server that answers every create with 502 and makes nothing is given up on."""
    world.fault(endpoint="create", kind="status", status=502, times=0)
    assert world.run() == ENVIRONMENT, world.story()
    assert not world.paid()
    assert "3 create calls in a row" in world.story()
