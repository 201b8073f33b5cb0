"""A disk that is really full, or read-only: words, exit code 5, and nothing paid again."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from crash_world import DONE, World, Worlds

ENVIRONMENT = 5
SIZE = 4 << 20
"""Bytes of the small disk."""


@dataclass(frozen=True)
class Disk:
    """A small file system of its own."""

    folder: Path

    def fill(self, free: int = 0) -> None:
        """Leave so many bytes free."""
        with (self.folder / "filler").open("ab", buffering=0) as file:
            left = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
            file.write(b"\0" * max(0, left - free))

    def empty(self) -> None:
        """Free the space again."""
        (self.folder / "filler").unlink()

    def remount(self, how: str) -> None:
        """Make it read-only (``ro``) or writable (``rw``)."""
        subprocess.run(["mount", "-o", f"remount,{how}", self.folder], check=True)


MountDisk = Callable[[Path], Disk]


@pytest.fixture
def small_disk() -> Iterator[MountDisk]:
    """Mount small file systems on folders."""
    mounted: list[Path] = []

    def mount(folder: Path) -> Disk:
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "batchspec-test", str(folder)]
        if shutil.which("mount") is None or os.geteuid() != 0:
            pytest.skip("only root can mount a small disk")
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this machine does not let a small disk be mounted")
        mounted.append(folder)
        return Disk(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def state(world: World) -> Path:
    """Return the state folder."""
    return world.root / ".batchspec/state"


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("free", [0, 100_000, 1_150_000])
def test_a_disk_that_is_full_from_the_start(
    worlds: Worlds, small_disk: MountDisk, free: int
) -> None:
    """Wherever the space ends: exit code 5 with words, then the rest for the same money."""
    world = worlds.make()
    disk = small_disk(state(world))
    disk.fill(free)
    code = world.run()
    assert code in (DONE, ENVIRONMENT), world.story()
    if code == ENVIRONMENT:
        assert "Free space" in world.story() or "disk is full" in world.story()
    disk.empty()
    assert world.run() == DONE, world.story()
    world.judge(world.output())


@pytest.mark.slow
def test_a_disk_that_fills_while_a_batch_is_made(worlds: Worlds, small_disk: MountDisk) -> None:
    """The paid id is recorded in the room kept for it; the run stops, and goes on for free."""
    world = worlds.make(items=5, delay_seconds=1)
    disk = small_disk(state(world))
    world.fault(endpoint="create", kind="hang_after", seconds=1)
    world.zygote.start(world.order("run"))
    until(lambda: len(world.paid()) == world.items)
    disk.fill()
    assert world.zygote.wait() in (DONE, ENVIRONMENT), world.story()
    assert not (state(world) / "ballast").exists()
    ledger = sqlite3.connect(state(world) / "ledger.db")
    ((batch,),) = ledger.execute("SELECT batch_id FROM submissions")
    ledger.close()
    assert batch.startswith("msgbatch_")
    disk.empty()
    assert world.run() == DONE, world.story()
    world.judge(world.output())


@pytest.mark.slow
def test_a_disk_that_fills_while_a_batch_runs(worlds: Worlds, small_disk: MountDisk) -> None:
    """Results that find no room are read again; nothing counts as collected before."""
    world = worlds.make(items=5, delay_seconds=1)
    disk = small_disk(state(world))
    assert world.run("run", "--detach") == DONE, world.story()
    disk.fill()
    assert world.run("collect") == ENVIRONMENT, world.story()
    assert world.run("status") == DONE, world.story()
    disk.empty()
    assert world.run() == DONE, world.story()
    world.judge(world.output())


@pytest.mark.slow
def test_outputs_that_find_no_room(worlds: Worlds, small_disk: MountDisk) -> None:
    """The former output stays whole; with room again it is written without asking anything."""
    world = worlds.make()
    disk = small_disk(world.root / "out")
    disk.fill()
    assert world.run() == ENVIRONMENT, world.story()
    assert "Could not write" in world.story()
    disk.empty()
    paid = world.paid()
    assert world.run() == DONE, world.story()
    assert world.paid() == paid
    world.judge(world.output())


@pytest.mark.slow
def test_a_read_only_state(worlds: Worlds, small_disk: MountDisk) -> None:
    """Reading commands read it, writing ones say why they cannot, and nothing is paid."""
    world = worlds.make()
    disk = small_disk(state(world))
    assert world.run("run", "--detach") == DONE, world.story()
    paid = world.paid()
    disk.remount("ro")
    for command in (("status",), ("plan",), ("show", "crash", "3")):
        assert world.run(*command) == DONE, world.story()
    assert world.run() == ENVIRONMENT, world.story()
    assert "read-only" in world.story()
    assert world.paid() == paid
    disk.remount("rw")
    assert world.run() == DONE, world.story()
    world.judge(world.output())


def change_ledger(world: World, statement: str) -> None:
    """Change the ledger behind the program's back."""
    ledger = sqlite3.connect(state(world) / "ledger.db")
    ledger.execute(statement)
    ledger.commit()
    ledger.close()


@pytest.mark.slow
def test_a_newer_state_is_left_alone(worlds: Worlds) -> None:
    """A state of a later version is refused by every command, and not changed."""
    world = worlds.make()
    assert world.run() == DONE, world.story()
    change_ledger(world, "UPDATE meta SET value = '99' WHERE key = 'format_version'")
    before = (state(world) / "ledger.db").read_bytes()
    for command in ("run", "plan", "status", "verify"):
        assert world.run(command) == ENVIRONMENT, (command, world.story())
    assert "Upgrade batchspec" in world.story()
    assert (state(world) / "ledger.db").read_bytes() == before
    change_ledger(world, "UPDATE meta SET value = '1' WHERE key = 'format_version'")
    assert world.run() == DONE, world.story()
    world.judge(world.output())


@pytest.mark.slow
@pytest.mark.parametrize("what", ["header", "row"])
def test_a_damaged_ledger_stops_the_run(worlds: Worlds, what: str) -> None:
    """It is not guessed around; moved away, the workspace gives everything back for free."""
    world = worlds.make()
    assert world.run() == DONE, world.story()
    if what == "header":
        with (state(world) / "ledger.db").open("r+b") as file:
            file.write(b"\xa5" * 100)
    else:
        change_ledger(world, "UPDATE claims SET outcome = 5")
        shutil.rmtree(state(world) / "cache")
    paid = world.paid()
    assert world.run() == ENVIRONMENT, world.story()
    asked = "move it away" if what == "row" else "move the state folder away"
    assert asked in world.story()
    assert world.paid() == paid
    shutil.move(state(world), world.root / "damaged")
    assert world.run("recover") == DONE, world.story()
    assert world.run() == DONE, world.story()
    world.judge(world.output())


@pytest.mark.slow
def test_a_damaged_request_segment_in_flight(worlds: Worlds) -> None:
    """What was sent cannot be read any more: the answers tell by their ids what they answer."""
    world = worlds.make(delay_seconds=1)
    assert world.run("run", "--detach") == DONE, world.story()
    for segment in (state(world) / "segments").glob("req-*"):
        segment.chmod(0o644)
        segment.write_bytes(segment.read_bytes()[:-30] + b"\0" * 30)
    assert world.run() == DONE, world.story()
    world.judge(world.output())
