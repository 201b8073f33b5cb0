"""The template for GitLab, run from its YAML in a scratch repository."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_forge import GITLAB_BOT, WRITES
from scratch_repository import KEY, ROWS
from workflow_runner import clone, gitlab_job, read_yaml

if TYPE_CHECKING:
    from fake_forge import FakeForge
    from scratch_repository import Scratch


@pytest.mark.slow
@pytest.mark.parametrize("scratch", ["gitlab"], indirect=True)
def test_from_merge_request_to_outputs(
    scratch: Scratch, forge: FakeForge, environ: dict[str, str], tmp_path: Path
) -> None:
    """A note on the merge request, the reviewed plan on merge, outputs by the schedule."""
    common = environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}",
        "ANTHROPIC_BASE_URL": scratch.api.base_url,
        "ANTHROPIC_API_KEY": KEY,
        "BATCHSPEC_GITLAB_TOKEN": WRITES,
        "CI_API_V4_URL": f"{forge.url}/api/v4",
        "CI_PROJECT_ID": "7",
        "CI_PROJECT_URL": scratch.origin.with_suffix("").as_uri(),
    }
    head = scratch.commit({"tickets.csv": ROWS + "3,Body 3\n"}, branch="edit")
    clone(scratch.origin, tmp_path / "plan", head)
    request = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "5"}
    planned = gitlab_job("batchspec-plan", tmp_path / "plan", common, request)
    assert planned.code == 0, planned.told()
    (note,) = forge.comments["5"]
    assert note["author"] == {"username": GITLAB_BOT}
    assert "### batchspec: 4 items to submit" in note["body"]
    assert json.loads((tmp_path / "plan/gl-code-quality-report.json").read_text()) == []
    template = read_yaml(tmp_path / "plan/ci/batchspec.gitlab-ci.yml")
    (kept,) = template["batchspec-plan"]["artifacts"]["paths"]
    forge.keep("batchspec-plan", tmp_path / "plan" / kept, sha="5")

    commit = scratch.merge(head, 5)
    forge.merged[commit] = {"iid": 5, "state": "merged"}
    branch = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_SHA": commit, "CI_COMMIT_BRANCH": "main"}
    clone(scratch.origin, tmp_path / "apply", commit)
    applied = gitlab_job("batchspec-apply", tmp_path / "apply", common, branch)
    assert applied.code == 0, applied.told()
    assert "The reviewed plan is in plan.json." in applied.told()
    assert "is stale" not in applied.told()

    clone(scratch.origin, tmp_path / "collect", commit)
    schedule = branch | {"CI_PIPELINE_SOURCE": "schedule"}
    done = gitlab_job("batchspec-collect", tmp_path / "collect", common, schedule)
    assert done.code == 0, done.told()
    assert len(scratch.there("out/triage.jsonl").splitlines()) == 4
    assert scratch.paid() == 4
