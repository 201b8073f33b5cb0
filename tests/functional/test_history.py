"""`history`: who did what when, and everything of it as JSON lines."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.functional.conftest import Finished, Folder

SPEC = """\
version: 1
inputs: {rows: [{id: 1}, {id: 2}], key: id}
model: claude-haiku-4-5
max_tokens: 16
prompt: {user: "Say {{ id }}."}
outputs: {path: out/words.jsonl}
"""
OCTOCAT = {
    "GITHUB_ACTOR": "octocat",
    "GITHUB_SERVER_URL": "https://robot:secret@github.com",
    "GITHUB_REPOSITORY": "acme/jobs",
    "GITHUB_RUN_ID": "77",
}
MOMENT = r"20\d\d-\d\d-\d\d \d\d:\d\dZ"


@pytest.fixture
def folder(served: Folder) -> Folder:
    """Return a project with one small spec, in front of an emulator."""
    served.write("batchspec.yaml", "version: 1\nname: jobs\n")
    served.write("specs/words.yaml", SPEC)
    return served


def git(root: Path, *arguments: str) -> str:
    """Run git as somebody."""
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def audit(folder: Folder, *arguments: str) -> list[dict[str, Any]]:
    """Return the lines of an audit."""
    done = folder.batchspec("history", "--audit", *arguments)
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def wide(done: Finished) -> list[str]:
    """Return the lines that no terminal of 80 columns has room for."""
    return [line for line in done.out.splitlines() if len(line) > 80]


def test_before_anything_was_done(folder: Folder) -> None:
    """A project without a state has no history, and asking for it makes none."""
    assert folder.batchspec("history").out == "Nothing was done yet that is remembered.\n"
    assert audit(folder) == [
        {
            "kind": "state",
            "format_version": 1,
            "project": "jobs",
            "lineage": None,
            "serial": 0,
            "emulated": False,
        }
    ]
    assert not (folder.root / ".batchspec").exists()


def test_a_run_names_who_where_and_what(folder: Folder) -> None:
    """Actor, page of the CI run without its password, commit, what was submitted, how it ended."""
    git(folder.root, "init", "-q")
    git(folder.root, "add", ".")
    git(folder.root, "commit", "-qm", "first")
    commit = git(folder.root, "rev-parse", "HEAD")
    assert folder.batchspec("run", env=OCTOCAT).code == 0
    folder.write("specs/words.yaml", SPEC.replace("Say", "Shout"))
    assert folder.batchspec("run", "--max-usd", "0").code == 4
    shown = folder.batchspec("history")
    assert wide(shown) == []
    expected = (
        rf"{MOMENT}  run  \S+ +{commit[:7]}\*  exit 4, \S+ s\n"
        r"    words: nothing submitted\n"
        r"    plan [0-9a-f]{12}\n"
        r"    ended by over-budget\n"
        rf"{MOMENT}  run  octocat +{commit[:7]}   done, \S+ s\n"
        r"    words: 1 batch of 2 requests, at most \$0\.\d+, 1 batch collected\n"
        r"    plan [0-9a-f]{12}\n"
        r"    https://github.com/acme/jobs/actions/runs/77\n"
    )
    assert re.fullmatch(expected, shown.out), shown.out
    refused, done = folder.batchspec("history", "--format", "json").json()["runs"]
    assert (refused["exit_code"], refused["failure"], refused["dirty"]) == (4, "over-budget", True)
    assert (refused["requests"], refused["submissions"]) == (2, [])
    assert (done["commit"], done["dirty"], done["exit_code"]) == (commit, False, 0)
    assert (done["items"], done["requests"], done["requests_submitted"]) == (2, 2, 2)
    assert done["submissions"] == done["collected"]
    assert done["ended_at"] > done["began_at"]


def test_a_saved_plan_is_named_and_stays_fresh(folder: Folder) -> None:
    """A record of a command makes no plan stale; `apply` names the plan that it applied."""
    assert folder.batchspec("run").code == 0
    folder.write("specs/words.yaml", SPEC.replace("Say", "Shout"))
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    assert folder.batchspec("run", "--max-usd", "0").code == 4
    applied = folder.batchspec("apply", "plan.json")
    assert applied.code == 0, applied.err
    newest = folder.batchspec("history", "--limit", "1", "--format", "json").json()
    assert newest["total"] == 3
    (run,) = newest["runs"]
    saved = json.loads(folder.read("plan.json"))
    assert run["command"] == "apply"
    assert run["plan_digest"] == run["saved_plan_digest"] == saved["digest"]
    assert run["digests"] == {"words": saved["specs"][0]["digests"]}
    assert f"    plan {saved['digest'][7:19]}, as saved\n" in folder.batchspec("history").out


def test_a_run_names_the_plan_that_it_made(folder: Folder) -> None:
    """Its digests of spec and inputs are those that a plan shows; who asks nothing has none."""
    (planned,) = folder.batchspec("plan", "--format", "json").json()["specs"]
    assert folder.batchspec("run").code == 0
    assert folder.batchspec("run").code == 0
    again, first = folder.batchspec("history", "--format", "json").json()["runs"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", first["plan_digest"])
    assert (first["saved_plan_digest"], first["digests"]) == (None, {"words": planned["digests"]})
    assert (again["plan_digest"], again["digests"]) == (None, {})
    run = next(event for event in audit(folder) if event["kind"] == "run")
    assert run["plan_digest"] == first["plan_digest"]


def test_a_spec_that_is_planned_later_is_named_too(folder: Folder) -> None:
    """What needs the output of another spec has digests of its own in the same record."""
    needing = SPEC.replace("rows: [{id: 1}, {id: 2}]", "sql: SELECT key AS id FROM words")
    needing = needing.replace("version: 1\n", "version: 1\nneeds: [words]\n")
    folder.write(
        "specs/again.yaml", needing.replace("Say", "Repeat").replace("out/w", "out/again-w")
    )
    assert folder.batchspec("run").code == 0
    (run,) = folder.batchspec("history", "--format", "json").json()["runs"]
    assert {name: sorted(found) for name, found in run["digests"].items()} == {
        "again": ["inputs", "spec"],
        "words": ["inputs", "spec"],
    }


def test_a_fresh_plan_in_the_place_of_a_stale_one_is_named(folder: Folder) -> None:
    """The history has both: which was reviewed, and which was submitted instead."""
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    saved = json.loads(folder.read("plan.json"))
    folder.write("specs/words.yaml", SPEC.replace("Say", "Cry"))
    assert folder.batchspec("apply", "plan.json").code == 4
    assert folder.batchspec("apply", "plan.json", "--if-stale", "replan").code == 0
    applied, refused = folder.batchspec("history", "--format", "json").json()["runs"]
    assert applied["saved_plan_digest"] == refused["plan_digest"] == saved["digest"]
    assert applied["plan_digest"] not in {saved["digest"], None}
    assert applied["digests"]["words"]["spec"] != saved["specs"][0]["digests"]["spec"]
    shown = f", in the place of the saved {saved['digest'][7:19]}, which was stale\n"
    assert shown in folder.batchspec("history").out


def test_an_audit_has_every_step(folder: Folder) -> None:
    """Runs and steps stand in the order of their times; the same state gives the same bytes."""
    killed = folder.batchspec("run", env={"BATCHSPEC_CRASH_AT": "bind:after:1"})
    assert killed.code == -signal.SIGKILL
    assert folder.batchspec("collect").code == 0
    assert folder.batchspec("collect").code == 0, "finds nothing, and leaves no record"
    state, *events = audit(folder)
    assert state["serial"] > 0
    told = [(event["kind"], event.get("state") or event["command"]) for event in events]
    assert told == [
        ("run", "run"),
        ("submission", "PREPARED"),
        ("submission", "ARMED"),
        ("submission", "BOUND"),
        ("run", "collect"),
        ("submission", "ENDED"),
        ("submission", "COLLECTED"),
    ]
    run, collect = (event for event in events if event["kind"] == "run")
    steps = [event for event in events if event["kind"] == "submission"]
    assert [step["run"] for step in steps] == [run["run"]] * 3 + [collect["run"]] * 2
    assert len({step["batch_id"] for step in steps}) == 1
    assert {step["requests"] for step in steps} == {2}
    assert [step["server_at"] is None for step in steps] == [True, False, False, False, True]
    assert run["submissions"] == collect["collected"] == [steps[0]["submission"]]
    text = folder.batchspec("history", "--audit").out
    assert text == folder.batchspec("history", "--audit", "--format", "json").out
    assert "canary-key" not in text


def test_a_killed_run_did_not_end(folder: Folder) -> None:
    """It shows as not ended yet, and once another command came after it, as one that did not."""
    killed_run = folder.batchspec("run", env={"BATCHSPEC_CRASH_AT": "bind:after:1"})
    assert killed_run.code == -signal.SIGKILL
    assert "not ended yet" in folder.batchspec("history").out
    assert folder.batchspec("run").code == 0
    newest, killed = folder.batchspec("history", "--format", "json").json()["runs"]
    assert (killed["ended_at"], killed["exit_code"]) == (None, None)
    assert killed["submissions"] == newest["collected"]
    assert "  did not end\n" in folder.batchspec("history").out


def test_a_spec_and_a_limit_choose(folder: Folder) -> None:
    """By name, by path, and by the name of a spec that is gone; older ones are counted."""
    folder.write("specs/other.yaml", SPEC.replace("words", "other").replace("Say", "Sing"))
    for name in ("words", "other", "other"):
        assert folder.batchspec("run", name).code == 0
    (folder.root / "specs/words.yaml").unlink()
    for choice, count in (("words", 1), ("other", 2), ("specs/other.yaml", 2), ("none", 0)):
        found = folder.batchspec("history", choice, "--format", "json").json()
        assert found["total"] == count, choice
    shown = folder.batchspec("history", "--limit", "1").out
    assert shown.endswith("\n2 older commands; `--limit` shows more.\n")
    assert {e["spec"] for e in audit(folder, "other") if e["kind"] == "submission"} == {"other"}
    assert folder.batchspec("history", "--limit", "0").code == 2


def test_an_exported_state_takes_its_history_along(folder: Folder) -> None:
    """An import is a command of its own, after those that came with it."""
    assert folder.batchspec("run").code == 0
    assert folder.batchspec("state", "export", "state.tar.zst").code == 0
    (folder.root / ".batchspec").rename(folder.root / "away")
    assert folder.batchspec("state", "import", "state.tar.zst").code == 0
    runs = folder.batchspec("history", "--format", "json").json()["runs"]
    assert [run["command"] for run in runs] == ["state import", "run"]
    assert folder.batchspec("verify").code == 0


def test_hostile_names_stay_harmless(folder: Folder) -> None:
    """What variables say cannot steer a terminal, and an address that is none is left out."""
    env = {"BATCHSPEC_ACTOR": "\x1b[31mmallory\u202e", "BATCHSPEC_CI_URL": "javascript:alert(1)"}
    assert folder.batchspec("run", env=env).code == 0
    shown = folder.batchspec("history").out
    assert "  [31mmallory  " in shown
    assert "javascript" not in shown
    assert folder.batchspec("history", "--format", "json").json()["runs"][0]["ci_url"] is None


def test_a_repository_starts_no_program(folder: Folder) -> None:
    """Hooks and monitors that a repository names do not run when a record is made."""
    git(folder.root, "init", "-q")
    git(folder.root, "add", ".")
    git(folder.root, "commit", "-qm", "first")
    hook = folder.write("hook.sh", "#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    git(folder.root, "config", "core.fsmonitor", os.fspath(hook))
    assert folder.batchspec("run").code == 0
    assert not (folder.root / "hooked").exists()
    (run,) = folder.batchspec("history", "--format", "json").json()["runs"]
    assert len(run["commit"]) == 40
