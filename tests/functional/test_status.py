"""`status` and its --watch: how far work has come, when it should end, and what it costs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

    from batchspec.emulator.server import RunningEmulator

SPEC = """\
version: 1
inputs: {rows: [{id: 1}, {id: 2}, {id: 3}], key: id}
model: claude-haiku-4-5
max_tokens: 16
prompt: {user: "Say {{ id }}."}
outputs: {path: out/words.jsonl}
batch: {max_requests: 2}
budget: {max_usd: 3}
canary: 0
"""
DELAY = 60.0


@pytest.fixture
def server(emulator: MakeEmulator) -> RunningEmulator:
    """Return a server whose batches end a minute after they were made, on its own clock."""
    return emulator(stepped=True, delay_seconds=DELAY)


@pytest.fixture
def folder(project: MakeProject, server: RunningEmulator) -> Folder:
    """Return a project with work in flight: three requests in two batches."""
    made = project({"specs/words.yaml": SPEC})
    made.environ["ANTHROPIC_BASE_URL"] = server.base_url
    made.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    done = made.batchspec("run", "--detach")
    assert done.code == 0, done.err
    return made


def first_line(process: subprocess.Popen[str]) -> str:
    """Wait for the first line that a process writes."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_text_and_json_have_the_same_figures(folder: Folder) -> None:
    """Batches, items, requests, what may be spent, the budget; ids whole, 80 columns."""
    shown = folder.batchspec("status")
    assert max(map(len, shown.out.splitlines())) <= 80
    data = folder.batchspec("status", "--format", "json").json()
    progress = data["progress"]
    assert (progress["batches"], progress["batches_done"]) == (2, 0)
    assert (progress["requests"], progress["requests_done"]) == (3, 0)
    assert (progress["items"], progress["items_done"]) == (3, 0)
    assert (progress["usd"], progress["budget_max_usd"]) == ("0", "3")
    assert progress["expected"] is None, "no batch has ended yet"
    assert 0 < float(progress["usd_in_flight_max"]) < 0.01
    assert "\n0 of 2 batches and 0 of 3 items done after " in shown.out
    assert "Spent so far: $0, at most $0.0" in shown.out
    assert " Budget: $3.00.\n" in shown.out
    for submission in data["submissions"]:
        assert f"  {submission['batch_id']}  in progress " in shown.out
        assert submission["expected_seconds"] is None


def test_ended_batches_teach_when_others_end(folder: Folder, server: RunningEmulator) -> None:
    """Once some have ended, the next ones' end is said: median, range, and what it stands on."""
    server.probe.advance(DELAY + 1)
    assert folder.batchspec("collect").code == 0
    assert folder.batchspec("status", "--format", "json").json()["progress"] is None
    folder.write("specs/words.yaml", SPEC.replace("Say", "Shout"))
    assert folder.batchspec("run", "--detach").code == 0
    expected = folder.batchspec("status", "--format", "json").json()["progress"]["expected"]
    assert expected["batches"] == 2
    assert 0 < expected["least_seconds"] <= expected["seconds"] <= expected["most_seconds"]
    assert expected["most_seconds"] <= DELAY
    shown = folder.batchspec("status").out
    assert "judged by 2 earlier batches)." in shown


def test_watching_ends_with_the_work(folder: Folder, server: RunningEmulator) -> None:
    """In a log: the whole status once, then what changes; at the end the last status, exit 0."""
    watching = folder.start("status", "--watch")
    assert first_line(watching).split() == ["BATCH", "STATE", "REQUESTS", "AGE", "ENDS", "IN"]
    server.probe.advance(DELAY + 1)
    assert folder.batchspec("collect").code == 0
    assert watching.stdout is not None
    with watching:
        out = watching.stdout.read()
    assert watching.returncode == 0
    assert out.endswith("\n\nNothing is in flight; known questions: 3 succeeded.\n")
    assert out.count("0 of 2 batches and 0 of 3 items done after ") == 1
    assert "\x1b" not in out


def test_watching_can_be_left(folder: Folder) -> None:
    """Ctrl-C ends the watching with 130 and says that the work goes on, which it does."""
    watching = folder.start("status", "--watch")
    first_line(watching)
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=60)
    nobody, *rest = err.splitlines()
    assert nobody.startswith("Nobody is at work on this state")
    assert "`batchspec collect` takes" in nobody
    assert (watching.returncode, rest) == (130, ["Interrupted.", "What is in flight goes on."])
    assert len(folder.batchspec("status", "--format", "json").json()["submissions"]) == 2


def test_watching_as_json_waits_for_the_end(folder: Folder, server: RunningEmulator) -> None:
    """One document, when nothing is in flight any more: for scripts that wait."""
    server.probe.advance(DELAY + 1)
    watching = folder.start("status", "--watch", "--format", "json")
    assert folder.batchspec("collect").code == 0
    out, err = watching.communicate(timeout=60)
    assert watching.returncode == 0, err
    assert out.count('"format_version"') == 1
    assert '"progress": null' in out
