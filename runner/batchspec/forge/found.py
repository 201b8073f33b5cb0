"""Which code host this job is of."""

from __future__ import annotations

from collections.abc import Mapping

from batchspec.clock import Clock
from batchspec.errors import UsageFailure
from batchspec.forge.github import GitHub, github_remote
from batchspec.forge.gitlab import GitLab, gitlab_remote
from batchspec.forge.port import Forge, Remote


def forge_of(environ: Mapping[str, str], clock: Clock) -> Forge:
    """Return the code host of the CI job that is running.

    Raises:
        UsageFailure: this is no job of a CI system that is known, or it lacks a variable.
    """
    if environ.get("GITLAB_CI"):
        return GitLab(environ, clock)
    if environ.get("GITHUB_REPOSITORY"):
        return GitHub(environ, clock)
    raise UsageFailure(
        "This is no job of GitHub Actions or GitLab CI: neither GITHUB_REPOSITORY nor GITLAB_CI is "
        "set.",
        hint="`batchspec ci` is for CI jobs; docs/how-to/run-in-ci.md has workflows to copy.",
    )


def remote_of(environ: Mapping[str, str]) -> Remote:
    """Return the repository that the CI job that is running reads from and pushes to."""
    return gitlab_remote(environ) if environ.get("GITLAB_CI") else github_remote(environ)
