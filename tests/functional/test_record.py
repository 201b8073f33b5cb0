"""A run is recorded from one server and replayed by another, which gives the same bytes."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

    from batchspec.emulator.server import RunningEmulator

KEY = "canary-key-of-a-test"
LEAK = "sk-ant-api03-leaked"
FILES = {
    "batchspec.yaml": "version: 1\nname: tape\nspecs: [specs/*.yaml]\n",
    "data/cities.csv": "id,city\n" + "".join(f"{n},City {n}\n" for n in range(12)),
    "specs/cities.yaml": """\
version: 1
inputs: {table: data/cities.csv, key: id}
model: claude-haiku-4-5
max_tokens: 40
prompt: {user: 'Describe {{ city }}.'}
response:
  schema:
    type: object
    properties: {text: {type: string}}
    required: [text]
    additionalProperties: false
  on_invalid: retry
  attempts: 2
outputs: {path: out/cities.jsonl}
""",
}
ANSWERS = """\
rules:
  - {when: {text: 'City 3'}, outcome: invalid, times: 1}
  - {when: {text: 'City 4'}, outcome: refusal}
  - {when: {text: 'City 5'}, outcome: errored, error_type: overloaded_error, message: no, times: 1}
  - {when: {text: '(?P<name>City \\d+)'}, json: {text: 'A place called {{ name }}.'}}
"""


def pointed(folder: Folder, server: RunningEmulator) -> Folder:
    """Make a server the API of a project."""
    folder.environ.update(ANTHROPIC_BASE_URL=server.base_url, ANTHROPIC_API_KEY=KEY)
    return folder


@pytest.fixture
def original(project: MakeProject, emulator: MakeEmulator, tmp_path: Path) -> Folder:
    """Return a project that was run against what stands for the real API."""
    rules = tmp_path / "answers.yaml"
    rules.write_text(ANSWERS, encoding="utf-8")
    folder = pointed(project(FILES), emulator(answers=rules, seed=7))
    assert folder.batchspec("run").code == 3  # one refusal
    return folder


def test_a_replay_gives_the_same_bytes(
    original: Folder, project: MakeProject, emulator: MakeEmulator
) -> None:
    """Outputs and manifests are the same, retries and money included, from another server."""
    done = original.batchspec("record", "tape.jsonl")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Recorded 14 answers in tape.jsonl.\n")
    tape = original.root / "tape.jsonl"
    again = pointed(project(FILES), emulator(replay=(tape,), replay_only=True, seed=8))
    ran = again.batchspec("run", "--format", "json")
    assert ran.code == 3, ran.err
    assert ran.json()["specs"][0]["requests_submitted"] == 14
    tape.unlink()
    assert again.tree() == original.tree()


def test_adopted_answers_are_recorded(
    original: Folder, project: MakeProject, emulator: MakeEmulator
) -> None:
    """A state that was lost and recovered has no requests; the ids say what was asked."""
    shutil.rmtree(original.root / ".batchspec")
    assert original.batchspec("recover").code == 0
    assert original.batchspec("record", "tape.jsonl").out.startswith("Recorded 14 answers")
    assert {*original.rows("tape.jsonl")[0]} == {"custom_id_part", "result"}
    tape = original.root / "tape.jsonl"
    again = pointed(project(FILES), emulator(replay=(tape,), replay_only=True, seed=8))
    assert again.batchspec("run").code == 3
    assert again.read("out/cities.jsonl") == original.read("out/cities.jsonl")


def test_a_recording_has_no_key_and_no_prompt(original: Folder) -> None:
    """Only digests of what was asked, unless the params are asked for."""
    original.batchspec("record", "tape.jsonl")
    text = original.read("tape.jsonl")
    assert KEY not in text
    assert "Describe City" not in text
    assert {*original.rows("tape.jsonl")[0]} == {"params_sha256", "custom_id_part", "result"}
    original.batchspec("record", "tape.jsonl", "--with-params")
    assert "Describe City" in original.read("tape.jsonl")


def test_the_emulator_inside_replays(original: Folder) -> None:
    """`--emulate` answers from a recording, and says of an item that it was not recorded."""
    original.batchspec("record", "tape.jsonl")
    file = original.read("batchspec.yaml")
    original.write("batchspec.yaml", f"{file}emulator: {{replay: tape.jsonl}}\n")
    original.write("data/cities.csv", original.read("data/cities.csv") + "99,Nowhere\n")
    done = original.batchspec("run", "--emulate")
    assert done.code == 3, done.err
    assert "99 errored: The emulator replays a recording" in done.out
    rows = {row["key"]: row for row in original.rows("out/cities.jsonl")}
    assert rows[3]["result"] == {"text": "A place called City 3."}


@pytest.mark.parametrize("name", ["BATCHSPEC_EMULATOR_REPLAY", "BATCHSPEC_EMULATOR_ANSWERS"])
def test_files_of_the_emulator_inside(original: Folder, name: str) -> None:
    """A file that is missing or wrong is usage, not a bug."""
    missing = original.batchspec("run", "--emulate", env={name: "nothing.jsonl"})
    assert (missing.code, missing.out) == (2, "")
    assert "file is 'nothing.jsonl', and there is no such file" in missing.err
    assert f"the environment variable {name}." in missing.err
    original.write("wrong.jsonl", "wrong\n")
    wrong = original.batchspec("run", "--emulate", env={name: "wrong.jsonl"})
    assert (wrong.code, wrong.out) == (2, "")
    assert "The emulator cannot start: wrong.jsonl" in wrong.err


def test_nothing_to_record(project: MakeProject) -> None:
    """A state without answers makes no empty recording."""
    folder = project(FILES)
    done = folder.batchspec("record", "tape.jsonl")
    assert (done.code, done.out) == (2, "")
    assert "There is nothing to record" in done.err
    assert not (folder.root / "tape.jsonl").exists()


REQUEST: dict[str, Any] = {
    "custom_id": "row-1",
    "params": {
        "model": "claude-haiku-4-5",
        "max_tokens": 30,
        "messages": [{"role": "user", "content": "hello"}],
    },
}


def test_another_programs_batch(
    project: MakeProject, emulator: MakeEmulator, tmp_path: Path
) -> None:
    """Requests and results as files, or results from the API, make the same recording."""
    server = emulator()
    folder = pointed(project(FILES), server)
    asked = {**REQUEST, "params": {**REQUEST["params"], "metadata": {"user_id": LEAK}}}
    asked["params"]["messages"] = [{"role": "user", "content": f"say {LEAK}"}]
    batch = server.probe.call("POST", "/v1/messages/batches", {"requests": [asked]}).json
    results = server.probe.call("GET", f"/v1/messages/batches/{batch['id']}/results").body
    folder.write("sent.jsonl", json.dumps(asked) + "\n")
    folder.write("received.jsonl", results + b'{"custom_id":"other","result":{"type":"expired"}}\n')
    files = folder.batchspec(
        "record", "a.jsonl", "--requests", "sent.jsonl", "--results", "received.jsonl",
        "--with-params", "--format", "json",
    )  # fmt: skip
    assert files.json() == {
        "file": "a.jsonl",
        "answers": 1,
        "unmatched": 1,
        "unreadable": 0,
        "redacted": 1,
    }
    called = folder.batchspec(
        "record", "b.jsonl", "--requests", "sent.jsonl", "--batch", batch["id"], "--with-params"
    )
    assert called.code == 0, called.err
    assert folder.read("a.jsonl") == folder.read("b.jsonl")
    assert LEAK not in folder.read("a.jsonl")
    replay = emulator(replay=(folder.root / "a.jsonl",), replay_only=True, data_dir=tmp_path / "r")
    again = replay.probe.call("POST", "/v1/messages/batches", {"requests": [asked]}).json
    answered = replay.probe.call("GET", f"/v1/messages/batches/{again['id']}/results").body
    assert json.loads(answered)["result"]["message"]["content"][0]["text"] == "echo: say [redacted]"


def test_half_of_a_foreign_batch(project: MakeProject) -> None:
    """Requests without answers, and the other way round, are usage."""
    folder = project(FILES)
    for half in (("--requests", "a"), ("--results", "b"), ("--batch", "c")):
        done = folder.batchspec("record", "tape.jsonl", *half)
        assert (done.code, done.out) == (2, "")
        assert "--requests goes with --results or --batch" in done.err
