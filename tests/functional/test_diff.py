"""`diff` and `run --sample`: what an edited prompt changes, before it is paid for all items."""

from __future__ import annotations

import subprocess
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
outputs: [{path: out/triage.jsonl}, {path: "out/items/{{ key }}.md"}]
checks: [{row_count: {equals: inputs}}, {row_count: {min: 20}, name: all of them}]
"""
ANSWERS = "rules:\n  - {when: {text: again}, answer: new}\n  - {answer: old}\n"
DATA = "id,subject\n" + "".join(f"T-{n:02},Subject {n}\n" for n in range(20))


def git(folder: Folder, *arguments: str) -> None:
    """Run git in the project."""
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
    subprocess.run(command, cwd=folder.root, env=folder.environ, check=True, capture_output=True)


@pytest.fixture
def folder(project: Any) -> Folder:
    """Return a project in a repository, one folder down, with its first answers committed."""
    made = project({"data/tickets.csv": DATA, "specs/triage.yaml": SPEC, "answers.yaml": ANSWERS})
    made.write("batchspec.yaml", "emulator: {answers: answers.yaml}\n")
    made.write(".gitignore", ".batchspec/\n*.receipt.json\n")
    subprocess.run(["git", "init", "-q"], cwd=made.root.parent, env=made.environ, check=True)
    assert made.batchspec("run", "--emulate").code == 0
    git(made, "add", "-A", ".")
    git(made, "commit", "-qm", "answers")
    return made


def test_a_sample_shows_what_an_edit_would_change(folder: Folder) -> None:
    """The sample stays apart, its answers are compared, and the full run asks only the others."""
    before = folder.tree()
    folder.write("specs/triage.yaml", SPEC.replace("subject }}", "subject }} again"))
    before["specs/triage.yaml"] = (folder.root / "specs/triage.yaml").read_bytes()
    sampled = folder.batchspec("run", "--emulate", "--sample", "5")
    assert sampled.code == 0, sampled.err
    assert ".batchspec/emulated/samples/out/triage.jsonl (5 rows" in sampled.out
    assert "row_count" not in sampled.out
    assert folder.tree() == before
    found = folder.batchspec("diff", "triage", "--emulate", "--sample", "--format", "json")
    assert found.code == 0, found.err
    first, second = found.json()["outputs"]
    none = {"same": 0, "changed": 5, "new": 0, "gone": 0}
    assert (first["counts"], second["counts"]) == (none, none)
    assert first["changes"][0]["fields"] == {"result": {"before": "old", "after": "new"}}
    assert second["changes"][0]["fields"] == {"result": {"before": "old\n", "after": "new\n"}}
    done = folder.batchspec("run", "--emulate")
    assert "15 requests submitted" in done.out


def test_answers_are_compared_with_a_revision(folder: Folder) -> None:
    """HEAD by default, any revision or manifest by name; a threshold is an exit code."""
    assert "  100 % of 20 rows agree" in folder.batchspec("diff", "triage", "--emulate").out
    folder.write("data/tickets.csv", DATA.replace("Subject 7\n", "again\n"))
    assert folder.batchspec("run", "--emulate").code == 0
    found = folder.batchspec("diff", "specs/triage.yaml", "--emulate", "--against", "HEAD")
    lines = found.out.splitlines()
    assert lines[0] == "out/triage.jsonl: HEAD → the working tree"
    assert '      result: "old" → "new"' in lines
    assert '  ~ "out/items/T-07.md"' in lines
    git(folder, "commit", "-qam", "seven")
    least = ("diff", "triage", "--emulate", "--against", "HEAD~1", "--min-agreement")
    assert folder.batchspec(*least, "0.95").code == 0
    assert folder.batchspec(*least, "0.951").code == 3
    for name in ("triage.jsonl", "triage.jsonl.manifest.json"):
        folder.write(f"kept/{name}", (folder.root / "out" / name).read_bytes())
    kept = "kept/triage.jsonl.manifest.json"
    same = folder.batchspec("diff", "triage", "--emulate", "--against", kept)
    assert same.code == 0, same.err
    assert same.out.startswith(f"out/triage.jsonl: {kept} → the working tree\n  same     20\n")
    assert "out/items" not in same.out
    folder.write(f"kept/{kept[5:]}", folder.read(kept).replace("out/triage", "out/other"))

    for arguments, said in (
        (("--against", "nowhere"), "nowhere is no git revision here"),
        (("--against=--help",), "--help is no git revision here"),
        (("--against", "specs.manifest.json"), "is no manifest that batchspec wrote"),
        (("--against", kept), f"{kept} speaks of out/other.jsonl, which is no output of triage"),
    ):
        refused = folder.batchspec("diff", "triage", "--emulate", *arguments)
        assert (refused.code, said in refused.err) == (2, True), refused.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "out/triage.jsonl was not written yet"),
        (("--sample",), "samples/out/triage.jsonl was not written yet"),
        (("--min-agreement", "2"), "'2' is not a number from 0 to 1"),
        (("--limit", "-1"), "is not a number of changes"),
    ],
)
def test_what_cannot_be_compared_is_said(
    project: Any, arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 2, one message, and what to do; a foreign file is no output."""
    folder = project({"data/tickets.csv": DATA, "specs/triage.yaml": SPEC})
    folder.write("out/triage.jsonl", "{}\n")
    done = folder.batchspec("diff", "triage", "--emulate", *arguments)
    assert (done.code, said in done.err) == (2, True), done.err


def test_a_sample_of_a_chain_reads_what_stands(project: Any) -> None:
    """A needed spec's whole output is what a sample is drawn from, and stays readable after it."""
    second = (
        SPEC.replace("name: triage", "name: second\nneeds: [triage]")
        .replace(
            "table: data/tickets.csv", "sql: 'SELECT key AS id, result AS subject FROM triage'"
        )
        .replace("out/", "second/")
    )
    folder = project(
        {"data/tickets.csv": DATA, "specs/triage.yaml": SPEC, "specs/second.yaml": second}
    )
    assert folder.batchspec("run", "--emulate").code == 0
    sampled = folder.batchspec("run", "--emulate", "--sample", "3")
    assert sampled.code == 0, sampled.err
    assert "samples/second/triage.jsonl (3 rows" in sampled.out
    assert "0 requests submitted" in sampled.out
    assert "Nothing to submit" in folder.batchspec("plan", "--emulate").out
