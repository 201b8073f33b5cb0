"""SIGKILL at random moments, again and again, until the run gets through."""

from __future__ import annotations

import random

import pytest
from crash_world import DONE, KILLED, Worlds

MOST_RUNS = 60


def torment(worlds: Worlds, seed: int) -> int:
    """Kill runs at random moments until one ends; return the number of kills."""
    draw = random.Random(seed)  # noqa: S311 - a seeded schedule
    world = worlds.make(chunk=draw.choice((3, 5, 12)), delay_seconds=draw.choice((0.0, 0.4)))
    kills = 0
    for _ in range(MOST_RUNS):
        code = world.run_and_kill(draw.uniform(0.1, 1.6))
        if code == DONE:
            break
        assert code == KILLED, world.story()
        kills += 1
    else:
        assert world.run() == DONE, world.story()
    world.judge(world.output())
    assert world.output().count(b'"status":"succeeded"') == world.items
    worlds.close(world)
    return kills


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(8))
def test_random_kills_pay_once(worlds: Worlds, seed: int) -> None:
    """Runs killed at random moments end with each question paid once and answered."""
    torment(worlds, seed)


@pytest.mark.crash_long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 200))
def test_many_random_kills_pay_once(worlds: Worlds, seed: int) -> None:
    """The same over many seeds."""
    torment(worlds, seed)
