"""The workflows for GitHub, run from their YAML in a scratch repository."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from fake_forge import READS, WRITES
from scratch_repository import KEY, ROWS
from workflow_runner import git

if TYPE_CHECKING:
    from pathlib import Path

    from fake_forge import FakeForge
    from scratch_repository import Scratch
    from workflow_runner import GitHubRunner, Job

PLAN, APPLY, COLLECT = (f"batchspec-{step}.yml" for step in ("plan", "apply", "collect"))


def opened(runner: GitHubRunner, commit: str, number: int = 1, *, fork: bool = False) -> Job:
    """Run the workflow of a pull request."""
    head = {"sha": commit, "repo": {"full_name": "else/jobs" if fork else "team/jobs"}}
    payload: dict[str, Any] = {"pull_request": {"number": number, "head": head}, "fork": fork}
    event = {"name": "pull_request", "ref": f"refs/pull/{number}/merge", "payload": payload}
    return runner.run(PLAN, commit, event, READS if fork else WRITES)


def merged(
    runner: GitHubRunner, scratch: Scratch, forge: FakeForge, head: str, number: int = 1
) -> Job:
    """Merge a pull request and run the workflow of the push."""
    commit = scratch.merge(head, number)
    forge.merged[commit] = {
        "number": number,
        "merged_at": "2026-11-23T11:00:00Z",
        "merge_commit_sha": commit,
        "head": {"sha": head},
    }
    return pushed(runner, commit)


def pushed(runner: GitHubRunner, commit: str) -> Job:
    """Run the workflow of a push to main."""
    return runner.run(APPLY, commit, {"name": "push", "ref": "refs/heads/main"}, WRITES)


def collected(runner: GitHubRunner, scratch: Scratch) -> Job:
    """Run the scheduled workflow."""
    event = {"name": "schedule", "ref": "refs/heads/main"}
    return runner.run(COLLECT, scratch.main(), event, WRITES)


@pytest.mark.slow
def test_from_pull_request_to_merge(
    scratch: Scratch, runner: GitHubRunner, forge: FakeForge
) -> None:
    """One comment, changed by the next push; on merge exactly the reviewed plan is applied."""
    first = scratch.commit({"tickets.csv": ROWS + "3,Body 3\n"}, branch="edit")
    planned = opened(runner, first)
    assert planned.code == 0, planned.told()
    assert "### batchspec: 4 items to submit as 4 requests" in planned.summary
    (body,) = forge.bodies("1")
    assert body.startswith("<!-- batchspec plan: jobs -->\n### batchspec: 4 items to submit")
    assert not any(KEY in str(step.environ) for step in planned.steps)

    second = scratch.commit({"tickets.csv": ROWS + "3,Body 3\n4,Body 4\n"}, branch="edit")
    assert opened(runner, second).code == 0
    (body,) = forge.bodies("1")
    assert "### batchspec: 5 items to submit" in body

    applied = merged(runner, scratch, forge, second)
    assert applied.code == 0, applied.told()
    assert "The reviewed plan is in" in applied.step("Apply").out
    assert "  5 requests submitted" in applied.step("Apply").out
    assert "is stale" not in applied.told()
    assert scratch.paid() == 5
    assert_collected_once(runner, scratch)


def assert_collected_once(runner: GitHubRunner, scratch: Scratch) -> None:
    """Outputs are committed by the first collect; the second has nothing, and nobody pays again."""
    done = collected(runner, scratch)
    assert done.code == 0, done.told()
    rows = [json.loads(line) for line in scratch.there("out/triage.jsonl").splitlines()]
    assert [row["status"] for row in rows] == ["succeeded"] * 5
    assert json.loads(scratch.there("out/triage.jsonl.manifest.json"))["emulated"] is False
    assert git(scratch.origin, "log", "-1", "--format=%an %s", "main") == (
        "batchspec batchspec: outputs (2 files) [skip ci]"
    )
    assert "receipt" not in git(scratch.origin, "ls-tree", "-r", "--name-only", "main")
    tip = scratch.main()
    again = collected(runner, scratch)
    assert (again.code, scratch.main()) == (0, tip), again.told()
    assert "No output has changed." in again.step("Collect").out
    nothing = pushed(runner, tip)
    assert nothing.code == 0, nothing.told()
    assert "Nothing to submit." in nothing.step("Apply").out
    assert scratch.paid() == 5


@pytest.mark.slow
def test_outputs_as_an_artifact(
    scratch: Scratch, runner: GitHubRunner, forge: FakeForge, tmp_path: Path
) -> None:
    """Kept once after answers were taken in, failed items or not; nothing is committed for it."""
    place = ".github/workflows/batchspec-collect.yml"
    workflow = scratch.folder.read(place).replace("publish: commit", "publish: artifact")
    commit = scratch.commit({place: workflow}, branch="main")
    assert pushed(runner, commit).code == 0
    done = collected(runner, scratch)
    assert done.code == 0, done.told()
    (kept,) = forge.archives
    assert kept.name == "batchspec-outputs"
    with zipfile.ZipFile(io.BytesIO(kept.data)) as archive:
        archive.extractall(tmp_path / "kept")
    names = ("triage.jsonl", "triage.jsonl.manifest.json")
    assert sorted(path.name for path in (tmp_path / "kept/out").iterdir()) == [*names]
    assert len((tmp_path / "kept/out/triage.jsonl").read_text().splitlines()) == 3
    again = collected(runner, scratch)
    assert "No output has changed since it was last published." in again.step("Collect").out
    assert (again.code, len(forge.archives), scratch.main()) == (0, 1, commit)


@pytest.mark.slow
def test_a_forks_pull_request(scratch: Scratch, runner: GitHubRunner, forge: FakeForge) -> None:
    """No key, a token that only reads, no comment: its plan stands in the job's summary.

    Merged, there is no plan to trust, so a fresh one is submitted under the workflow's ceiling.
    """
    hostile = '3,"$(touch pwned) `touch pwned` ${{ secrets.ANTHROPIC_API_KEY }} ::error::x"\n'
    head = scratch.commit({"tickets.csv": ROWS + hostile}, branch="theirs")
    planned = opened(runner, head, fork=True)
    assert planned.code == 0, planned.told()
    assert "Comment" not in planned.names()
    assert "### batchspec: 4 items to submit" in planned.summary
    assert not forge.comments
    assert not list(planned.folder.rglob("pwned"))
    assert not any(KEY in str(step.environ) for step in planned.steps)
    assert not [line for line in planned.told().splitlines() if line.startswith("::")]
    applied = merged(runner, scratch, forge, head)
    assert applied.code == 0, applied.told()
    assert "No plan was reviewed for this commit" in applied.step("Apply").err
    assert scratch.paid() == 4


@pytest.mark.slow
def test_a_stale_plan(scratch: Scratch, runner: GitHubRunner, forge: FakeForge) -> None:
    """A plan that another change has overtaken is made anew, if it costs no more than reviewed."""
    more = scratch.commit({"tickets.csv": ROWS + "3,Body 3\n"}, branch="more")
    assert opened(runner, more).code == 0
    git(scratch.folder.root, "checkout", "--quiet", "--detach", "HEAD~1")
    scratch.commit({"tickets.csv": ROWS.replace("0,Body 0", "0,B")}, branch="main")
    applied = merged(runner, scratch, forge, more)
    assert applied.code == 0, applied.told()
    said = applied.step("Apply").err
    assert "The saved plan is stale. The inputs of `triage`" in said
    assert "A fresh plan of its specs is submitted instead" in said
    assert scratch.paid() == 4
