"""Two checkouts, one PostgreSQL, one store: raced, killed and stopped; each question paid once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from crash_world import DONE, KILLED, World, Worlds

from batchspec.clock import SystemClock
from batchspec.spec.model import State
from batchspec.state.team import Team

if TYPE_CHECKING:
    from postgres_server import PostgresServer

REFUSED, ENVIRONMENT = 4, 5
CLOCK = SystemClock()
LEASE_SECONDS = 1


def checkouts(worlds: Worlds, postgres: PostgresServer, items: int = 12) -> list[World]:
    """Return two checkouts of one project, as of two machines, with one API and one state."""
    first = worlds.make(items=items)
    shared = {
        "BATCHSPEC_STATE_LEDGER": postgres.database(),
        "BATCHSPEC_STATE_SEGMENTS": f"file://{first.root}/store",
        "BATCHSPEC_STATE_LEASE_SECONDS": str(LEASE_SECONDS),
    }
    other = first.root.with_name(f"{first.root.name}-other")
    for name in ("specs", "batchspec.yaml"):
        source, target = first.root / name, other / name
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    environ = first.environ | shared
    return [
        replace(first, environ=environ),
        replace(first, root=other, environ=environ | {"HOME": str(other / "home")}),
    ]


def start(world: World) -> subprocess.Popen[bytes]:
    """Start a run of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "batchspec", "run"],
        cwd=world.root,
        env=world.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def until_done(world: World) -> None:
    """Run until nobody else holds the lease."""
    code = world.run()
    while code == REFUSED:
        CLOCK.sleep(0.2)
        code = world.run()
    assert code == DONE, world.story()


def judge(worlds: list[World]) -> None:
    """Assert that both ended well and that nothing was paid twice."""
    for world in worlds:
        until_done(world)
    for world in worlds:
        world.judge(worlds[0].output())


@pytest.mark.slow
@pytest.mark.parametrize("store", ["folder", "bucket"])
def test_two_checkouts_race(
    worlds: Worlds, postgres: PostgresServer, request: pytest.FixtureRequest, store: str
) -> None:
    """Started at once, one works and the other is told; both come to the same output."""
    both = checkouts(worlds, postgres, items=30)
    if store == "bucket":
        buckets = request.getfixturevalue("buckets")
        place = {"BATCHSPEC_STATE_SEGMENTS": f"s3://{buckets.bucket()}/states"}
        both = [replace(one, environ=one.environ | buckets.environ() | place) for one in both]
    running = [start(world) for world in both]
    said = [process.communicate(timeout=200)[1].decode() for process in running]
    codes = sorted(process.returncode for process in running)
    assert codes in ([DONE, DONE], [DONE, REFUSED]), said
    judge(both)


@pytest.mark.slow
def test_holders_killed_at_random_moments(worlds: Worlds, postgres: PostgresServer) -> None:
    """Each checkout goes on where the other was killed, at once, and pays for nothing again."""
    both = checkouts(worlds, postgres)
    chance = random.Random(8)  # noqa: S311 - a seeded schedule
    for turn in range(6):
        both[turn % 2].run_and_kill(chance.uniform(0.2, 2.0))
    judge(both)


@pytest.mark.slow
@pytest.mark.parametrize(
    "point", ["prepare:inside:1", "armed:1", "bind:inside:1", "bind:after:1", "segment:results:1"]
)
def test_a_holder_killed_at_a_point(worlds: Worlds, postgres: PostgresServer, point: str) -> None:
    """Whatever was recorded on one machine is enough for the other to finish."""
    first, second = checkouts(worlds, postgres)
    assert first.run("run", env={"BATCHSPEC_CRASH_AT": point}) == KILLED, first.story()
    until_done(second)
    judge([second, first])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_holder_that_stands_still_past_its_lease(
    worlds: Worlds, postgres: PostgresServer, seed: int
) -> None:
    """Another checkout takes over and finishes; awake again, the first one cannot arm or write."""
    first, second = checkouts(worlds, postgres)
    state = State(
        ledger=first.environ["BATCHSPEC_STATE_LEDGER"],
        segments=first.environ["BATCHSPEC_STATE_SEGMENTS"],
    )
    team = Team(state, "crash", {"HOME": str(Path(first.root, "home"))})
    holder = start(first)
    while (reader := team.reader(CLOCK, os.urandom)) is None:
        assert holder.poll() is None
    CLOCK.sleep(random.Random(seed).uniform(0.0, 0.6))  # noqa: S311 - a seeded moment
    holder.send_signal(signal.SIGSTOP)
    while (tenure := reader.tenure()).held and not tenure.expired:
        CLOCK.sleep(0.1)
    reader.close()
    until_done(second)
    holder.send_signal(signal.SIGCONT)
    _, said = holder.communicate(timeout=100)
    assert holder.returncode in {DONE, REFUSED, ENVIRONMENT}, said.decode()
    judge([second, first])
