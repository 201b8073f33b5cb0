"""A store outlives its emulator, kill -9 included."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from batchspec.emulator.probe import BATCHES, Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from batchspec.emulator.server import RunningEmulator

    Rows = Callable[[int], list[dict[str, Any]]]
    Start = Callable[..., RunningEmulator]


@contextmanager
def process(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Probe]]:
    """Run the emulator as a program and yield it when it listens."""
    command = [sys.executable, "-m", "batchspec.emulator", "--data-dir", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert line.startswith("emulator listening on http://127.0.0.1:")
            yield running, Probe(line.split()[-1])
        finally:
            running.kill()


def test_restart_finds_everything(start: Start, rows: Rows, tmp_path: Path) -> None:
    """Batches, results, the paid log and the time survive; ids go on, not over again."""
    first = start(data_dir=tmp_path, stepped=True, delay_seconds=60)
    ended = first.probe.create(rows(5))
    first.probe.advance(3600)
    open_ = first.probe.create(rows(3))
    results = first.probe.results(ended)
    time_before = first.probe.call("GET", "/_emulator/clock").json["now"]
    first.close()
    second = start(data_dir=tmp_path, stepped=True, delay_seconds=60).probe
    assert second.call("GET", "/_emulator/clock").json["now"] == time_before
    assert second.results(ended) == results
    assert second.batch(open_)["processing_status"] == "in_progress"
    second.advance(60)
    assert second.batch(open_)["processing_status"] == "ended"
    assert len(second.paid()) == 8
    assert second.create(rows(1)) not in (ended, open_)


def test_kill_at_any_moment_leaves_whole_batches(rows: Rows, tmp_path: Path) -> None:
    """After kill -9 while creating, each batch that was answered is there, and all are whole."""
    answered: list[str] = []

    def create(probe: Probe, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                answered.append(probe.create(rows(50)))
            except (OSError, RuntimeError, http.client.HTTPException):
                return

    for delay in (0.05, 0.12, 0.2):
        stop = threading.Event()
        with process(tmp_path) as (running, probe):
            worker = threading.Thread(target=create, args=(probe, stop))
            worker.start()
            time.sleep(delay)
            running.kill()
            stop.set()
            worker.join()
    with process(tmp_path) as (_, probe):
        known = {batch["id"]: batch["requests"] for batch in probe.batches()}
        assert set(answered) <= set(known)
        assert set(known.values()) == {50}
        assert len(probe.paid()) == 50 * len(known)
        for batch_id in known:
            assert len(probe.results(batch_id)) == 50
        assert not list((tmp_path / "incoming").iterdir())
    assert len(answered) > 3


def test_leftovers_of_a_crash_are_removed(start: Start, tmp_path: Path) -> None:
    """A folder whose batch was never committed disappears at the next start."""
    (tmp_path / "batches" / "msgbatch_01half").mkdir(parents=True)
    (tmp_path / "incoming" / "7").mkdir(parents=True)
    start(data_dir=tmp_path)
    assert not list((tmp_path / "batches").iterdir())
    assert not list((tmp_path / "incoming").iterdir())


def test_program_says_what_is_wrong(tmp_path: Path) -> None:
    """Wrong files and choices end with exit code 2 and a sentence on stderr."""
    (tmp_path / "bad.yaml").write_text("rules: [{when: {text: '('}, outcome: lost}]")
    cases = {
        "--answers": (str(tmp_path / "bad.yaml"), "outcome 'lost' is none of"),
        "--faults": (str(tmp_path / "bad.yaml"), "kind None is none of"),
        "--unknown": ("premature_delete_status=418", "is one of 400, 409"),
        "--replay": (str(tmp_path / "bad.yaml"), "bad.yaml, line 1"),
    }
    for option, (value, message) in cases.items():
        command = [sys.executable, "-m", "batchspec.emulator", "--data-dir", str(tmp_path / "d")]
        ended = subprocess.run(
            [*command, option, value], capture_output=True, text=True, check=False, timeout=60
        )
        assert ended.returncode == 2
        assert message in ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("option", [("--key", "secret"), ("--key", "secret=team")])
def test_program_takes_its_options(tmp_path: Path, option: tuple[str, str]) -> None:
    """Keys given on the command line are the only ones accepted."""
    with process(tmp_path, *option, "--delay", "60", "--stepped") as (_, probe):
        assert probe.call("GET", BATCHES).status == 401
        headers = {**probe.headers, "x-api-key": "secret"}
        assert probe.call("GET", BATCHES, headers=headers).status == 200
        assert probe.call("GET", "/_emulator/clock").json["speed"] == 0
