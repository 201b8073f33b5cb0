"""CI jobs that have the project's secrets although somebody else's text set them off.

GitHub runs `pull_request_target`, and `workflow_run` after a fork's pull request, with the secrets
of the repository; GitLab does so when a member starts a fork's merge request pipeline in the
parent project. Such a job often has the fork's specs checked out, and a spec from a fork is
somebody else's program for the key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchspec.errors import UntrustedJob

_HINT = (
    "Plan pull requests in a workflow `on: pull_request`, without secrets; `plan` needs no key. "
    "Run or apply what was merged in a workflow `on: push` of the protected branch."
)


def refuse_untrusted(environ: Mapping[str, str]) -> None:
    """Make sure that this CI job was not set off by text of somebody who may not use the key.

    Raises:
        UntrustedJob: it was, or its event cannot be read to tell.
    """
    event = environ.get("GITHUB_EVENT_NAME", "")
    if event == "pull_request_target":
        raise UntrustedJob(
            "This job runs on pull_request_target: it has the secrets of this repository, and a "
            "pull request of anybody sets it off. A spec from it would use your key, so nothing "
            "is sent.",
            hint=_HINT,
        )
    if event == "workflow_run" and _after_a_fork(environ.get("GITHUB_EVENT_PATH", "")):
        raise UntrustedJob(
            "This job runs on workflow_run, after a workflow that a fork set off (or nothing says "
            "that none did): it has the secrets of this repository, and the specs may be the "
            "fork's. Nothing is sent.",
            hint=_HINT,
        )
    if _merge_request_of_a_fork(environ):
        raise UntrustedJob(
            "This pipeline is that of a fork's merge request, run in this project with its "
            "variables. A spec from the fork would use your key, so nothing is sent.",
            hint="Plan merge requests without the key, and run or apply on the protected branch.",
        )


def _after_a_fork(path: str) -> bool:
    """Tell whether the event names another repository as the head; unreadable counts as one."""
    try:
        event = json.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return True
    head, own = _repository(event, "workflow_run", "head_repository"), _repository(event)
    return head is None or head != own


def _repository(event: Any, *path: str) -> Any:
    for name in path or ("repository",):
        event = event.get(name) if isinstance(event, dict) else None
    return event.get("id") if isinstance(event, dict) else None


def _merge_request_of_a_fork(environ: Mapping[str, str]) -> bool:
    source = environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "")
    return bool(source) and source != environ.get("CI_MERGE_REQUEST_PROJECT_ID", source)
