"""Competing processes: one works, the others are told; reading commands never wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from crash_world import DONE, KILLED, World, Worlds

REFUSED, CHECKS_FAILED = 4, 3


def start(world: World) -> subprocess.Popen[bytes]:
    """Start a run of its own, imports and all."""
    return subprocess.Popen(
        [sys.executable, "-m", "batchspec", "run"],
        cwd=world.root,
        env=world.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(processes: list[subprocess.Popen[bytes]]) -> tuple[list[int], str]:
    """Wait for all; return their exit codes, sorted, and what they said."""
    said = b"".join(process.communicate(timeout=200)[1] for process in processes)
    return sorted(process.returncode for process in processes), said.decode()


def wait_for_a_batch(world: World) -> None:
    """Wait until the server has made a batch."""
    deadline = time.monotonic() + 60
    while not world.paid():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_processes_never_both_submit(worlds: Worlds, count: int) -> None:
    """Started together, one works; the others are told, and nothing is paid twice."""
    world = worlds.make(items=30, chunk=4)
    codes, said = finish([start(world) for _ in range(count)])
    assert codes[0] == DONE, said
    assert set(codes) <= {DONE, REFUSED}, said
    assert world.run() == DONE
    world.judge(world.output())


@pytest.mark.slow
def test_a_holder_killed_in_the_middle_of_a_create(worlds: Worlds) -> None:
    """While it stands still others are refused and readers are not; its death is noticed."""
    world = worlds.make()
    world.fault(endpoint="create", kind="hang_after", seconds=5)
    holder = start(world)
    wait_for_a_batch(world)
    os.kill(holder.pid, signal.SIGSTOP)
    assert world.run("plan") == DONE, world.story()
    assert "in flight" in world.story()
    assert world.run("status") == DONE, world.story()
    assert world.run("show", "crash", "3") == DONE, world.story()
    assert world.run() == REFUSED
    assert "in use by" in world.story()
    assert holder.poll() is None
    os.kill(holder.pid, signal.SIGKILL)
    assert finish([holder])[0] == [KILLED]
    codes, said = finish([start(world) for _ in range(2)])
    assert codes[0] == DONE, said
    assert set(codes) <= {DONE, REFUSED}, said
    assert world.run() == DONE
    world.judge(world.output())


@pytest.mark.slow
def test_reading_commands_do_not_wait_for_a_run(worlds: Worlds) -> None:
    """While a run waits for its batch, plan, status, show and verify answer."""
    world = worlds.make(delay_seconds=3600, chunk=100)
    running = start(world)
    wait_for_a_batch(world)
    for command in (("plan",), ("status",), ("show", "crash", "3")):
        assert world.run(*command) == DONE, world.story()
    assert world.run("verify") == CHECKS_FAILED, world.story()
    assert "not written yet" in world.story()
    assert running.poll() is None
    world.advance(3600)
    assert finish([running])[0] == [DONE]
    world.judge(world.output())
