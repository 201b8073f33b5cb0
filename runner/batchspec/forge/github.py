"""GitHub: comments, artifacts and pull requests through its REST API."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchspec.clock import Clock
from batchspec.forge.http import ForgeFailure, Host
from batchspec.forge.port import Comment, Remote, required

_API = "https://api.github.com"
_SERVER = "https://github.com"
_BOT = "github-actions[bot]"
_PULL = re.compile(r"refs/pull/(\d+)/(?:merge|head)")
MOST_BYTES = 512 << 20
"""The largest archive of a plan that is read."""


class GitHub:
    """GitHub, or GitHub Enterprise, as a job of GitHub Actions knows it."""

    longest = 65_536

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        self._environ = environ
        self._repository = required(environ, "GITHUB_REPOSITORY", "it names the repository")
        token = required(environ, "GITHUB_TOKEN", "the job has to pass it on, in `env`")
        self._host = Host(
            url=(environ.get("GITHUB_API_URL") or _API).rstrip("/"),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {token}",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            clock=clock,
        )
        self._root = f"/repos/{self._repository}"

    def me(self) -> str:
        """Return the token's login; the job's own token is that of a bot and cannot ask."""
        try:
            return str(self._host.call("GET", "/user")["login"])
        except ForgeFailure:
            return _BOT

    def comments(self) -> list[Comment]:
        """Return the comments on the job's pull request, oldest first."""
        return [
            Comment(id=raw["id"], author=raw["user"]["login"], body=raw["body"] or "")
            for raw in self._host.every(f"{self._root}/issues/{self._number()}/comments")
            if raw.get("user")
        ]

    def post(self, body: str) -> None:
        """Write a comment on the job's pull request."""
        path = f"{self._root}/issues/{self._number()}/comments"
        self._host.call("POST", path, {"body": body})

    def change(self, comment: Comment, body: str) -> None:
        """Give a comment another text."""
        self._host.call("PATCH", f"{self._root}/issues/comments/{comment.id}", {"body": body})

    def saved_plan(self, prefix: str, target: Path) -> bool:
        """Write the newest archive named after the head of the pull request that was merged."""
        commit = required(self._environ, "GITHUB_SHA", "it names the commit")
        pulls = self._host.every(f"{self._root}/commits/{commit}/pulls")
        for pull in pulls:
            if not pull.get("merged_at") or pull.get("merge_commit_sha") != commit:
                continue
            found = self._artifact(f"{prefix}-{pull['head']['sha']}")
            if found is not None:
                path = f"{self._root}/actions/artifacts/{found}/zip"
                self._host.download(path, target, most=MOST_BYTES)
                return True
        return False

    def _artifact(self, name: str) -> int | None:
        """Return the newest artifact of this name that no fork's workflow has made."""
        answer = self._host.call("GET", f"{self._root}/actions/artifacts", name=name, per_page=100)
        own = [
            raw
            for raw in answer["artifacts"]
            if raw["name"] == name and not raw["expired"] and _is_own(raw.get("workflow_run"))
        ]
        newest = max(own, key=lambda raw: (raw["created_at"] or "", raw["id"]), default=None)
        return None if newest is None else int(newest["id"])

    def request(self, branch: str, base: str, title: str, body: str) -> str:
        """Open a pull request from a branch to another, or find the one that is open."""
        owner = self._repository.partition("/")[0]
        path = f"{self._root}/pulls"
        for pull in self._host.every(path, state="open", head=f"{owner}:{branch}", base=base):
            return str(pull["html_url"])
        made = {"title": title, "body": body, "head": branch, "base": base}
        return str(self._host.call("POST", path, made)["html_url"])

    def _number(self) -> str:
        ref = required(self._environ, "GITHUB_REF", "it names the pull request")
        found = _PULL.fullmatch(ref)
        if found is None:
            raise ForgeFailure(
                f"{ref} is no pull request, so there is nothing to comment on.",
                hint="`batchspec ci comment` is for workflows `on: pull_request`.",
            )
        return found[1]


def _is_own(run: Any) -> bool:
    return isinstance(run, dict) and run["head_repository_id"] == run["repository_id"]


def github_remote(environ: Mapping[str, str]) -> Remote:
    """Return the repository of the checkout; the token, if there is one, is the job's login."""
    server = (environ.get("GITHUB_SERVER_URL") or _SERVER).rstrip("/")
    branch = environ.get("GITHUB_REF", "").removeprefix("refs/heads/")
    token = environ.get("GITHUB_TOKEN", "")
    return Remote(
        name="origin",
        settings=login(server, f"x-access-token:{token}") if token else (),
        branch="" if branch.startswith("refs/") else branch,
    )


def login(server: str, words: str) -> tuple[tuple[str, str], ...]:
    """Return git's settings that send a login to a server, in place of any that it had."""
    key = f"http.{server}/.extraheader"
    basic = base64.b64encode(words.encode()).decode()
    return ((key, ""), (key, f"AUTHORIZATION: basic {basic}"))
