"""Who gives a command, from where, and on which commit: as the surroundings say, never proven."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from batchspec.records import frozen
from batchspec.workflow.revisions import git

ACTORS = ("BATCHSPEC_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN")
"""Variables that name who gave a command; the first that is set counts."""
PAGES = ("BATCHSPEC_CI_URL", "CI_JOB_URL", "BUILD_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL")
"""Variables that hold the address of a CI run, as GitLab, Jenkins, Buildkite and CircleCI do."""
_GITHUB = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
_LONGEST = 300
"""More than so many characters of a variable are not kept."""


@frozen
class Checkout:
    """What git says of the project's folder."""

    commit: str = ""
    """Hex digest; empty: no repository, no commit yet, or no git."""
    dirty: bool | None = None
    """Whether tracked files below the folder differ from it; None: not known."""


def actor(environ: Mapping[str, str]) -> str:
    """Return who gives the command: a CI system's user, else that of the operating system."""
    for name in ACTORS:
        if environ.get(name, "").strip():
            return environ[name].strip()[:_LONGEST]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def ci_url(environ: Mapping[str, str]) -> str:
    """Return the address of the CI run's page, without credentials; empty outside of CI."""
    for name in PAGES:
        if page := _page(environ.get(name, "")):
            return page
    server, repository, number = (environ.get(name, "") for name in _GITHUB)
    if not (server and repository and number):
        return ""
    return _page(f"{server}/{repository}/actions/runs/{number}")


def _page(text: str) -> str:
    """Return an address without user, password, query and fragment; empty when it is none."""
    try:
        parts = urlsplit(text.strip()[:_LONGEST])
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def checkout(root: Path) -> Checkout:
    """Return the commit that is checked out, and whether files below ``root`` differ from it."""
    done = git(
        root, "status", "--porcelain=v2", "--branch", "--untracked-files=no", "-z", "--", "."
    )
    if done is None or done.returncode != 0:
        return Checkout()
    lines = [line for line in done.stdout.decode(errors="replace").split("\0") if line]
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "")
    if not commit.isalnum():  # `(initial)`: nothing was committed yet
        return Checkout()
    return Checkout(commit=commit, dirty=any(not line.startswith("#") for line in lines))
