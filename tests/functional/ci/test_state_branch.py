"""The state on a branch: one job at a time, and what a killed job submitted is not paid twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from scratch_repository import KEY
from workflow_runner import clone, git

if TYPE_CHECKING:
    from pathlib import Path

    from scratch_repository import Scratch
    from tests.functional.conftest import Folder

BRANCH = "batchspec-state"


@pytest.fixture
def machines(scratch: Scratch, tmp_path: Path) -> list[Folder]:
    """Return two clean checkouts, as two jobs have them."""
    made = []
    for name in ("first", "second"):
        root = tmp_path / name / "work"
        clone(scratch.origin, root, scratch.main())
        home = {"HOME": str(tmp_path / name), "GITHUB_REPOSITORY": "team/jobs"}
        api = {"ANTHROPIC_BASE_URL": scratch.api.base_url, "ANTHROPIC_API_KEY": KEY}
        made.append(type(scratch.folder)(root=root, environ=scratch.folder.environ | home | api))
    return made


@pytest.mark.slow
def test_a_job_that_was_killed(scratch: Scratch, machines: list[Folder]) -> None:
    """Its state is another's after a while, who finds what it had submitted in the workspace."""
    killed, other = machines
    assert killed.batchspec("ci", "restore", "--open").code == 0
    assert killed.batchspec("run", "--detach").code == 0
    taken = other.batchspec("ci", "restore", "--open", "--wait", "0")
    assert (taken.code, taken.out) == (4, "")
    assert "Another job has had the state on the branch batchspec-state since" in taken.err
    after = other.batchspec("ci", "restore", "--open", "--dead-after", "0")
    assert after.code == 0, after.err
    assert "did not give it back" in after.out
    done = other.batchspec("run", "--detach")
    assert done.code == 0, done.err
    assert scratch.paid() == 3
    assert other.batchspec("ci", "keep").code == 0
    late = killed.batchspec("ci", "keep", "--format", "json")
    assert (late.code, late.json()["error"]["code"]) == (4, "state-locked")
    assert git(scratch.origin, "rev-list", "--count", BRANCH) == "1"
    note = json.loads(git(scratch.origin, "show", f"{BRANCH}:state.json"))
    assert note["open_since"] is None


def test_a_branch_of_something_else(scratch: Scratch, machines: list[Folder]) -> None:
    """A branch of that name that holds no state is told of, and stays as it is."""
    git(scratch.origin, "branch", BRANCH, "main")
    found = machines[0].batchspec("ci", "restore")
    assert found.code == 5
    assert "holds no state that this version of batchspec reads" in found.err
    assert git(scratch.origin, "rev-parse", BRANCH) == scratch.main()


def test_a_state_that_stays_by_itself(machines: list[Folder], tmp_path: Path) -> None:
    """A folder outside of the checkout needs no branch, and no code host is asked."""
    folder = machines[0]
    folder.environ["BATCHSPEC_STATE"] = str(tmp_path / "kept")
    for args in (["restore", "--open"], ["keep"]):
        done = folder.batchspec("ci", *args)
        assert (done.code, done.err) == (0, "")
        assert "no branch is needed" in done.out


def test_a_state_that_is_shared(machines: list[Folder]) -> None:
    """It is where it is: no branch is made, and neither the database nor a code host is asked."""
    folder = machines[0]
    folder.environ["BATCHSPEC_STATE_LEDGER"] = "postgresql://127.0.0.1:1/none"
    folder.environ["BATCHSPEC_STATE_SEGMENTS"] = "s3://none/none"
    for args in (["restore", "--open"], ["keep"]):
        done = folder.batchspec("ci", *args)
        assert (done.code, done.err) == (0, "")
        assert done.out == "The state is a shared one and stays where it is; no branch is needed.\n"
