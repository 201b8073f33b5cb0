"""What is asked of a code host, GitHub or GitLab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Protocol

from batchspec.errors import UsageFailure
from batchspec.records import frozen


@frozen
class Comment:
    """A comment on a pull request."""

    id: int
    author: str
    """Login of who wrote it; anybody may write what looks like ours."""
    body: str


@frozen
class Remote:
    """A repository to push to."""

    name: str
    """A remote of the checkout, or an address."""
    settings: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Git settings that carry the token; they go through the environment, not a command line."""
    options: tuple[str, ...] = ()
    """Options of every push."""
    branch: str = ""
    """The branch that the job is about; empty when it is about none."""


class Forge(Protocol):
    """A code host, as the job that is running knows it."""

    longest: int
    """A comment has at most so many characters."""

    def me(self) -> str:
        """Return the login whose comments are ours."""

    def comments(self) -> list[Comment]:
        """Return the comments on the job's pull request, oldest first."""

    def post(self, body: str) -> None:
        """Write a comment on the job's pull request."""

    def change(self, comment: Comment, body: str) -> None:
        """Give a comment another text."""

    def saved_plan(self, prefix: str, target: Path) -> bool:
        """Write the archive with the plan of the pull request that became the job's commit.

        Args:
            prefix: What the name of the archive, or of the job that made it, begins with.
            target: Where the archive (zip) goes.

        Returns:
            Whether there is one that a job of this repository, not of a fork, has made.
        """

    def request(self, branch: str, base: str, title: str, body: str) -> str:
        """Open a pull request from a branch to another, or find the one that is open.

        Returns:
            Its address.
        """


def required(environ: Mapping[str, str], name: str, why: str) -> str:
    """Return a variable that the CI system, or the workflow, has to set.

    Raises:
        UsageFailure: it is not set.
    """
    value = environ.get(name, "")
    if not value:
        raise UsageFailure(
            f"The variable {name} is not set: {why}.",
            hint="`batchspec ci` works in jobs of GitHub Actions and GitLab CI; "
            "docs/how-to/run-in-ci.md shows workflows that set everything.",
        )
    return value
