"""SIGKILL at every recorded step of a run, each time under one fault of the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from crash_world import DONE, KILLED, World, Worlds

FAULTS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "500-before": {"endpoint": "create", "kind": "status", "status": 500},
    "500-after": {"endpoint": "create", "kind": "status_after_commit", "status": 500},
    "529-after": {"endpoint": "create", "kind": "status_after_commit", "status": 529},
    "cut-before": {"endpoint": "create", "kind": "cut_before"},
    "cut-after": {"endpoint": "create", "kind": "cut_after"},
    "torn": {"endpoint": "create", "kind": "torn_response"},
    "429": {"endpoint": "create", "kind": "status", "status": 429},
    "truncated": {"endpoint": "results", "kind": "truncate_at_line", "lines": 2},
    "poll-500": {"endpoint": "retrieve", "kind": "status", "status": 500, "times": 2},
}
SHORT = ("none", "500-after", "cut-after", "truncated")
MOST_RESTARTS = 4
CHUNK = 7
"""Twelve items travel in two batches."""


def undisturbed(worlds: Worlds, crash_log: Path) -> tuple[bytes, list[str]]:
    """Return the output of a run that nothing disturbs, and the points it passes."""
    world = worlds.make(chunk=CHUNK)
    assert world.run(env={"BATCHSPEC_CRASH_LOG": str(crash_log)}) == DONE, world.story()
    world.judge(world.output())
    output = world.output()
    worlds.close(world)
    seen: dict[str, int] = {}
    points = []
    for name in crash_log.read_text().split():
        seen[name] = seen.get(name, 0) + 1
        points.append(f"{name}:{seen[name]}")
    return output, points


def restart(world: World) -> None:
    """Run the same command again until it is done, as a CI job would."""
    for _ in range(MOST_RESTARTS):
        if world.run() == DONE:
            return
    pytest.fail(world.story())


def kill_everywhere(
    worlds: Worlds, log: Path, fault: dict[str, Any] | None, *, first_only: bool
) -> int:
    """Kill at each point in a world of its own; return how many kills there were.

    Args:
        worlds: Makes worlds.
        log: Where the points are recorded.
        fault: What the server does wrong in each of them.
        first_only: Kill where a point is passed for the first time only.
    """
    expected, points = undisturbed(worlds, log)
    assert len(points) > 40, points
    kills = 0
    for point in points:
        if first_only and not point.endswith(":1"):
            continue
        world = worlds.make(chunk=CHUNK)
        if fault is not None:
            world.fault(**fault)
        code = world.run(env={"BATCHSPEC_CRASH_AT": point})
        assert code in (KILLED, DONE), (point, world.story())
        kills += code == KILLED
        restart(world)
        world.judge(expected)
        worlds.close(world)
    return kills


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SHORT)
def test_a_kill_at_any_step_pays_once_and_loses_nothing(
    worlds: Worlds, tmp_path: Path, name: str
) -> None:
    """After a kill at any step and a restart each question is paid once and answered."""
    log = tmp_path / "points"
    assert kill_everywhere(worlds, log, FAULTS[name], first_only=name != "none") > 20


@pytest.mark.crash_long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", FAULTS)
def test_a_kill_at_any_passing_of_any_step(worlds: Worlds, tmp_path: Path, name: str) -> None:
    """The same under the whole fault menu, at every passing of every point."""
    log = tmp_path / "points"
    assert kill_everywhere(worlds, log, FAULTS[name], first_only=False) > 40
