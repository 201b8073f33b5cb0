"""GitLab: notes, artifacts and merge requests through its REST API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batchspec.clock import Clock
from batchspec.forge.github import MOST_BYTES, login
from batchspec.forge.http import Host
from batchspec.forge.port import Comment, Remote, required


class GitLab:
    """GitLab as a job of GitLab CI knows it.

    The job's own token may not write notes or read merge requests, so a token of the project is
    needed, with the scopes ``api`` and ``write_repository``.
    """

    longest = 1_000_000

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        self._environ = environ
        why = "a project access token; the job's own token may not do this"
        token = required(environ, "BATCHSPEC_GITLAB_TOKEN", why)
        self._project = required(environ, "CI_PROJECT_ID", "it names the project")
        self._host = Host(
            url=required(environ, "CI_API_V4_URL", "it is the address of the API").rstrip("/"),
            headers={"PRIVATE-TOKEN": token},
            clock=clock,
        )
        self._root = f"/projects/{self._project}"

    def me(self) -> str:
        """Return the token's login."""
        return str(self._host.call("GET", "/user")["username"])

    def comments(self) -> list[Comment]:
        """Return the notes of the job's merge request, oldest first."""
        notes = self._host.every(f"{self._notes()}", order_by="created_at", sort="asc")
        return [
            Comment(id=raw["id"], author=raw["author"]["username"], body=raw["body"] or "")
            for raw in notes
            if raw.get("author")
        ]

    def post(self, body: str) -> None:
        """Write a note."""
        self._host.call("POST", self._notes(), {"body": body})

    def change(self, comment: Comment, body: str) -> None:
        """Give a note another text."""
        self._host.call("PUT", f"{self._notes()}/{comment.id}", {"body": body})

    def _notes(self) -> str:
        number = required(self._environ, "CI_MERGE_REQUEST_IID", "it names the merge request")
        return f"{self._root}/merge_requests/{number}/notes"

    def saved_plan(self, prefix: str, target: Path) -> bool:
        """Write the artifacts of the newest job of this name for the merge request."""
        commit = required(self._environ, "CI_COMMIT_SHA", "it names the commit")
        requests = self._host.every(f"{self._root}/repository/commits/{commit}/merge_requests")
        for request in requests:
            if request.get("state") != "merged":
                continue
            job = self._planning_job(f"{self._root}/merge_requests/{request['iid']}", prefix)
            if job is not None:
                path = f"{self._root}/jobs/{job}/artifacts"
                self._host.download(path, target, most=MOST_BYTES)
                return True
        return False

    def _planning_job(self, request: str, prefix: str) -> int | None:
        """Return the newest successful job that made a plan for a merge request here."""
        pipelines = [
            raw["id"]
            for raw in self._host.every(f"{request}/pipelines")
            if str(raw.get("project_id", self._project)) == self._project
        ]
        for pipeline in sorted(pipelines, reverse=True):
            jobs: list[Any] = self._host.every(f"{self._root}/pipelines/{pipeline}/jobs")
            made = [
                raw["id"]
                for raw in jobs
                if raw["name"] == prefix
                and raw["status"] == "success"
                and raw.get("artifacts_file")
            ]
            if made:
                return int(max(made))
        return None

    def request(self, branch: str, base: str, title: str, body: str) -> str:
        """Open a merge request from a branch to another, or find the one that is open."""
        path = f"{self._root}/merge_requests"
        for found in self._host.every(
            path, state="opened", source_branch=branch, target_branch=base
        ):
            return str(found["web_url"])
        made = {
            "title": title,
            "description": body,
            "source_branch": branch,
            "target_branch": base,
            "remove_source_branch": True,
        }
        return str(self._host.call("POST", path, made)["web_url"])


def gitlab_remote(environ: Mapping[str, str]) -> Remote:
    """Return where a job pushes to; without a token it can read from where it was checked out.

    The address of the checkout carries the job's own token, which may not push.
    """
    branch = environ.get("CI_COMMIT_BRANCH", "")
    token, address = environ.get("BATCHSPEC_GITLAB_TOKEN", ""), environ.get("CI_PROJECT_URL", "")
    if not (token and address):
        return Remote(name="origin", branch=branch)
    parts = urlsplit(address)
    return Remote(
        name=f"{address}.git",
        settings=login(f"{parts.scheme}://{parts.netloc}", f"oauth2:{token}"),
        options=("--push-option=ci.skip",) if parts.scheme in {"http", "https"} else (),
        branch=branch,
    )
