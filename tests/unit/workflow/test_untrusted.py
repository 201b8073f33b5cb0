"""CI jobs that a fork's text set off may not use the key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from batchspec.errors import UntrustedJob
from batchspec.workflow.untrusted import refuse_untrusted

if TYPE_CHECKING:
    from pathlib import Path

OWN, FORK = {"id": 1, "full_name": "team/jobs"}, {"id": 2, "full_name": "else/jobs"}
GITLAB = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_PROJECT_ID": "7"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"GITHUB_EVENT_NAME": "push"},
        {"GITHUB_EVENT_NAME": "schedule"},
        {"GITHUB_EVENT_NAME": "pull_request"},
        GITLAB | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7"},
    ],
)
def test_jobs_of_the_project_are_let_through(environ: dict[str, str]) -> None:
    """A job without the secrets, or set off by members, is nobody else's."""
    refuse_untrusted(environ)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"GITHUB_EVENT_NAME": "pull_request_target"}, "runs on pull_request_target"),
        ({"GITHUB_EVENT_NAME": "workflow_run"}, "nothing says that none did"),
        (GITLAB | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8"}, "a fork's merge request"),
    ],
)
def test_jobs_of_others_are_refused(environ: dict[str, str], says: str) -> None:
    """The message says which, and the hint where such a job belongs."""
    with pytest.raises(UntrustedJob, match=says) as refused:
        refuse_untrusted(environ)
    assert refused.value.exit_code == 4
    assert "lan " in refused.value.hint


@pytest.mark.parametrize(
    ("event", "refused"),
    [
        ({"repository": OWN, "workflow_run": {"head_repository": OWN}}, False),
        ({"repository": OWN, "workflow_run": {"head_repository": FORK}}, True),
        ({"repository": OWN, "workflow_run": {"head_repository": None}}, True),
        ({"repository": OWN, "workflow_run": []}, True),
        ({}, True),
        ([], True),
        ("no JSON", True),
    ],
)
def test_a_run_after_a_forks_is_the_forks(tmp_path: Path, event: Any, *, refused: bool) -> None:
    """An event that does not name this repository as the head counts as a fork's."""
    path = tmp_path / "event.json"
    path.write_text(event if isinstance(event, str) else json.dumps(event), encoding="utf-8")
    environ = {"GITHUB_EVENT_NAME": "workflow_run", "GITHUB_EVENT_PATH": str(path)}
    if refused:
        with pytest.raises(UntrustedJob):
            refuse_untrusted(environ)
    else:
        refuse_untrusted(environ)
