"""Progress and `status` count items, also where several share a request or one is asked again."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

    from batchspec.emulator.server import RunningEmulator

WORDS = ["one", "two", "one", "three", "one", "four", "two"]
"""Seven items, four questions: the first has three items, the second two."""
SPEC = """\
version: 1
inputs: {table: data/words.csv, key: id}
model: claude-haiku-4-5
max_tokens: 16
prompt: {user: "Say {{ word }}."}
outputs: {path: out/words.jsonl}
canary: 1
"""
ANSWERS = """\
- {when: {text: "two"}, outcome: expired, times: 1}
"""
DELAY = 60.0
PATIENCE = 120.0


@pytest.fixture
def server(emulator: MakeEmulator, tmp_path: Path) -> RunningEmulator:
    """Return a server whose batches end after a minute of its own; one question expires once."""
    answers = tmp_path / "answers.yaml"
    answers.write_text(ANSWERS)
    return emulator(stepped=True, delay_seconds=DELAY, answers=answers)


@pytest.fixture
def folder(project: MakeProject, server: RunningEmulator) -> Folder:
    """Return a project whose items share questions."""
    rows = "".join(f"{number},{word}\n" for number, word in enumerate(WORDS, start=1))
    made = project({"specs/words.yaml": SPEC, "data/words.csv": f"id,word\n{rows}"})
    made.environ["ANTHROPIC_BASE_URL"] = server.base_url
    made.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    return made


def until(process: subprocess.Popen[str], words: str) -> str:
    """Read lines of a command's progress up to one with these words; fail where none comes."""
    assert process.stderr is not None
    guard = threading.Timer(PATIENCE, process.kill)
    guard.start()
    try:
        for line in process.stderr:
            if words in line:
                return line
    finally:
        guard.cancel()
    pytest.fail(f"the command ended, or was killed, without {words!r}")


def counted(folder: Folder) -> tuple[int, ...]:
    """Return batches, requests and items of `status`, each with those that are done."""
    found: dict[str, Any] = folder.batchspec("status", "--format", "json").json()["progress"]
    names = ("batches", "requests", "items")
    return tuple(found[name + end] for name in names for end in ("_done", ""))


def test_a_run_and_its_status_count_the_same_items(folder: Folder, server: RunningEmulator) -> None:
    """What is planned counts before it is sent; what is asked again is open again, not new."""
    with folder.start("run") as running:
        assert "with 1 request for 3 items\n" in until(running, "submitted")
        assert "waiting: 0 of 2 batches, 0 of 7 items, " in until(running, "waiting: ")
        assert counted(folder) == (0, 2, 0, 4, 0, 7)
        server.probe.advance(DELAY + 1)
        assert ", 1 succeeded, for 3 items\n" in until(running, "collected")
        assert "with 3 requests for 4 items\n" in until(running, "submitted")
        assert counted(folder) == (1, 2, 1, 4, 3, 7)
        assert "\n1 of 2 batches and 3 of 7 items done after " in folder.batchspec("status").out
        server.probe.advance(DELAY + 1)
        assert "asking 1 request again, 1 expired" in until(running, "asking")
        assert "with 1 request for 2 items\n" in until(running, "submitted")
        assert counted(folder) == (2, 3, 4, 5, 5, 7)
        server.probe.advance(DELAY + 1)
        out, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert "succeeded  7" in out


def test_a_run_that_resumes_counts_all_items_of_its_work(
    folder: Folder, server: RunningEmulator
) -> None:
    """After a kill: what nobody is going to send is not counted, until the next run plans it."""
    with folder.start("run") as running:
        until(running, "waiting: ")
        running.kill()
        running.communicate(timeout=60)
    assert counted(folder) == (0, 1, 0, 1, 0, 3)
    with folder.start("run") as running:
        assert "waiting: 0 of 2 batches, 0 of 7 items, " in until(running, "waiting: ")
        running.kill()
        running.communicate(timeout=60)
    server.probe.advance(DELAY + 1)
    assert ", 1 succeeded, for 3 items\n" in folder.batchspec("collect").err


def test_a_changed_prompt_does_not_double_its_items(folder: Folder) -> None:
    """Batches of the former prompt go on, and answer no item of the project any more."""
    folder.write("specs/words.yaml", SPEC.replace("canary: 1", "canary: 0"))
    assert folder.batchspec("run", "--detach").code == 0
    assert counted(folder) == (0, 1, 0, 4, 0, 7)
    folder.write("specs/words.yaml", SPEC.replace("canary: 1", "canary: 0").replace("Say", "Sing"))
    assert folder.batchspec("run", "--detach").code == 0
    assert counted(folder) == (0, 2, 0, 8, 0, 7)


def test_each_spec_has_its_own_items(folder: Folder, server: RunningEmulator) -> None:
    """A question that another spec asks again leaves the item of the one that gave up done."""
    plain = SPEC.replace("canary: 1", "canary: 0")
    first = plain.replace(
        "{table: data/words.csv, key: id}", "{rows: [{id: 1, word: two}], key: id}"
    )
    folder.write(
        "specs/first.yaml", first.replace("out/words", "out/first") + "retry: {expired: 0}\n"
    )
    folder.write("specs/words.yaml", plain)
    with folder.start("run") as running:
        assert "waiting: 0 of 2 batches, 0 of 6 items, " in until(running, "waiting: ")
        server.probe.advance(DELAY + 1)
        assert "asking 1 request again" in until(running, "asking")
        until(running, "submitted")
        assert counted(folder) == (2, 3, 4, 5, 6, 8)
        server.probe.advance(DELAY + 1)
        running.communicate(timeout=60)
    assert running.returncode == 3, "the first spec does not ask again"


@pytest.mark.parametrize(("alike", "items"), [(False, 4), (True, None)])
def test_a_batch_that_was_too_large(
    folder: Folder,
    server: RunningEmulator,
    alike: bool,  # noqa: FBT001 - a column of the table
    items: int | None,
) -> None:
    """Its halves ask for the same items; where items are alike, requests are told instead."""
    words = WORDS if alike else sorted(set(WORDS))
    rows = "".join(f"{number},{word}\n" for number, word in enumerate(words, start=1))
    folder.write("data/words.csv", f"id,word\n{rows}")
    folder.write("specs/words.yaml", SPEC.replace("canary: 1", "canary: 0"))
    server.probe.fault("status", "create", status=413, error_type="request_too_large")
    assert folder.batchspec("run", "--detach").code == 0
    progress = folder.batchspec("status", "--format", "json").json()["progress"]
    assert (progress["batches"], progress["requests"], progress["items"]) == (2, 4, items)


def test_each_sample_counts_as_it_does_in_the_plan(folder: Folder) -> None:
    """Two samples of seven rows are fourteen items in every count."""
    folder.write("specs/words.yaml", f"{SPEC.replace('canary: 1', 'canary: 0')}samples: 2\n")
    (plan,) = folder.batchspec("plan", "--format", "json").json()["specs"]
    assert (plan["items"], plan["requests"]) == (14, 8)
    assert folder.batchspec("run", "--detach").code == 0
    assert counted(folder) == (0, 1, 0, 8, 0, 14)


def test_work_of_a_former_version_is_told_in_requests(
    folder: Folder, server: RunningEmulator
) -> None:
    """A ledger that does not say the items: `status` tells requests, a run's plan counts them."""
    folder.write("specs/words.yaml", SPEC.replace("canary: 1", "canary: 0"))
    assert folder.batchspec("run", "--detach").code == 0
    (ledger,) = folder.root.glob(".batchspec/**/ledger.db")
    with sqlite3.connect(ledger) as connection:
        connection.execute("DELETE FROM meta WHERE key LIKE 'part:%'")
    connection.close()
    progress = folder.batchspec("status", "--format", "json").json()["progress"]
    assert (progress["items"], progress["items_done"]) == (None, None)
    assert "0 of 1 batch and 0 of 4 requests done after " in folder.batchspec("status").out
    with folder.start("run") as running:
        assert "waiting: 0 of 1 batch, 0 of 7 items, " in until(running, "waiting: ")
        server.probe.advance(DELAY + 1)
        until(running, "collected")
        running.kill()
        running.communicate(timeout=60)
