"""Outputs as a tested dataset: checks, the rows that fail them, and receipts."""

from __future__ import annotations

import json
from typing import Any

import pytest

Folder = Any
SPEC = """\
version: 1
name: triage
inputs: {table: data/tickets.csv, key: id}
model: claude-haiku-4-5
max_tokens: 64
prompt: {user: "{{ subject }}"}
response:
  schema:
    type: object
    properties: {label: {type: string, enum: [low, high]}}
    required: [label]
    additionalProperties: false
outputs: {path: out/triage.jsonl}
checks:
  - not_null: result.label
  - {unique: key}
  - {agreement: {column: result.label, reference: expected, min: 0.75}}
  - {name: nothing is high, sql: "SELECT key FROM output WHERE result->>'label' = 'high'",
     severity: warn}
  - {drift: {column: result.label, max: 0.5}}
"""
ANSWERS = """\
rules:
  - {when: {text: Broken}, json: {label: high}}
  - {json: {label: low}}
"""
COMPARED = "result.label with expected"
AGREE = "3 of 4 rows agree with expected, 75 %"
DATA = "id,subject,expected\nT-1,Broken,high\nT-2,Hello,low\nT-3,Broken,low\nT-4,Bye,low\nT-5,Hi,\n"


@pytest.fixture
def folder(project: Any) -> Folder:
    """Return a project whose answers a file decides."""
    made = project({"data/tickets.csv": DATA, "specs/triage.yaml": SPEC, "answers.yaml": ANSWERS})
    made.environ["BATCHSPEC_EMULATOR_ANSWERS"] = "answers.yaml"
    return made


def test_a_run_tests_its_answers(folder: Folder) -> None:
    """Checks are shown with their figures, failing rows are kept, and a warning fails nothing."""
    done = folder.batchspec("run", "--emulate")
    assert done.code == 0, done.err
    for line in (
        "  check passed: not_null result.label",
        f"  check passed: agreement {COMPARED} ({AGREE}; at least 75 % must)",
        "    label  expected  given  precision  recall",
        "    high          1      2       0.50    1.00",
        "  check warns: nothing is high (2 rows)",
        "  check passed: drift result.label (there is no earlier output to compare with)",
    ):
        assert line in done.out.splitlines(), done.out
    kept = folder.rows("out/triage.jsonl.quarantine.jsonl")
    assert [row["row"]["key"] for row in kept] == ["T-1", "T-3"]
    folder.write("data/tickets.csv", DATA.replace("Broken", "Fine"))
    moved = folder.batchspec("run", "--emulate", "--format", "json")
    assert moved.code == 0, moved.err
    checks = {check["name"]: check for check in moved.json()["specs"][0]["checks"]}
    drift = checks["drift result.label"]
    assert (drift["verdict"], drift["detail"]) == (
        "pass",
        "40 % of the rows moved; at most 50 % may; high −40 %, low +40 %",  # noqa: RUF001
    )
    assert checks["agreement result.label with expected"]["evaluation"]["accuracy"] == 0.75
    assert not (folder.root / "out/triage.jsonl.quarantine.jsonl").exists()


def test_failed_checks_are_exit_code_3_until_they_pass(folder: Folder) -> None:
    """Looking again does not make a drift or a disagreement go away."""
    assert folder.batchspec("run", "--emulate").code == 0
    folder.write("answers.yaml", ANSWERS.replace("low", "high"))
    folder.write("specs/triage.yaml", SPEC.replace("subject }}", "subject }} again"))
    for _ in range(2):
        failed = folder.batchspec("run", "--emulate")
        assert failed.code == 3
        assert "check failed: drift result.label (60 % of the rows moved" in failed.out
        assert "check failed: agreement result.label with expected (1 of 4" in failed.out


def test_a_receipt_says_when_and_by_what(folder: Folder) -> None:
    """Batches, times, models, usage and versions; a run that changes nothing leaves it alone."""
    assert folder.batchspec("run", "--emulate").code == 0
    path = folder.root / "out/triage.jsonl.receipt.json"
    receipt = json.loads(path.read_bytes())
    manifest = json.loads(folder.read("out/triage.jsonl.manifest.json"))
    assert receipt["output"] == {"path": "out/triage.jsonl", "sha256": manifest["output"]["sha256"]}
    assert receipt["emulated"] is True
    (batch,) = receipt["batches"]
    assert batch["id"].startswith("msgbatch_")
    assert batch["created_at"] <= batch["ended_at"] <= receipt["written_at"]
    # T-1 and T-3 ask the same question.
    assert (batch["requests"], batch["answers"]) == (4, 4)
    assert batch["usage"] == manifest["usage"]
    assert batch["cost"] == manifest["cost"]
    assert sum(receipt["models"].values()) == 4
    assert {"batchspec", "duckdb", "python"} <= receipt["tools"].keys()
    before = path.stat().st_mtime_ns
    assert folder.batchspec("run", "--emulate").code == 0
    assert path.stat().st_mtime_ns == before


def test_a_new_project_commits_no_receipts(project: Any) -> None:
    """`init` keeps them out of git."""
    folder = project()
    assert folder.batchspec("init").code == 0
    assert "*.receipt.json" in folder.read(".gitignore").splitlines()


def test_verify_knows_stale_inputs_and_damage(folder: Folder) -> None:
    """Each output with its counts, and what moved since: exit code 3 until a run renews it."""
    missing = folder.batchspec("verify", "--emulate", "--format", "json")
    assert (missing.code, missing.json()["outputs"][0]["state"]) == (3, "missing")
    assert folder.batchspec("run", "--emulate").code == 0
    sound = folder.batchspec("verify", "--emulate", "--format", "json")
    assert sound.code == 0, sound.out
    (output,) = sound.json()["outputs"]
    assert (output["state"], output["rows"], output["emulated"]) == ("whole", 5, True)
    assert output["statuses"] == {"succeeded": 5}
    assert output["written_at"].endswith("Z")
    folder.write("data/tickets.csv", DATA.replace("Hello", "Good day"))
    stale = folder.batchspec("verify", "--emulate")
    assert stale.code == 3
    assert stale.out.startswith("out/triage.jsonl stale: 5 rows, 5 items (5 succeeded), emulated")
    assert "the inputs or the requests have changed" in stale.out
    folder.write("data/tickets.csv", DATA)
    folder.write("out/triage.jsonl", "{}\n")
    damaged = folder.batchspec("verify", "--emulate")
    assert (damaged.code, "out/triage.jsonl damaged: 5 rows" in damaged.out) == (3, True)
    folder.write("data/tickets.csv", DATA + "T-1,again,\n")
    assert "key" in folder.batchspec("verify", "--emulate").err
