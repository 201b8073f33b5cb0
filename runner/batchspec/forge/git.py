"""Git, as jobs need it: no hooks, no prompts, and a token that stands in no command line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from batchspec.errors import EnvironmentFailure
from batchspec.forge.port import Remote
from batchspec.records import frozen

AUTHOR = ("batchspec", "batchspec@users.noreply.invalid")
"""Who commits when the job does not say."""
_REJECTED = ("[rejected]", "stale info", "fetch first", "non-fast-forward", "[remote rejected]")


class GitFailure(EnvironmentFailure):
    """Git is not there, or could not do what a job needs."""


class Overtaken(GitFailure):
    """Somebody else pushed first."""


@frozen
class Repository:
    """A checkout and the repository it pushes to."""

    root: Path
    """A folder of the checkout."""
    remote: Remote
    environ: Mapping[str, str]

    def git(self, *arguments: str, data: bytes | None = None, quiet: bool = False) -> bytes:
        """Run git and return what it prints.

        Args:
            arguments: The command.
            data: Its standard input.
            quiet: A failure is an answer: return nothing.

        Raises:
            GitFailure: it failed, or there is no git.
        """
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program, and no shell
                ["git", "-c", f"core.hooksPath={os.devnull}", *arguments],  # noqa: S607 - as above
                cwd=self.root,
                env=self._environment(),
                input=data,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise GitFailure(f"Git cannot be started: {error.strerror}.") from error
        if done.returncode == 0:
            return done.stdout
        if quiet:
            return b""
        said = done.stderr.decode(errors="replace").strip()
        kind = Overtaken if any(mark in said for mark in _REJECTED) else GitFailure
        raise kind(f"git {arguments[0]} failed: {said[-500:]}")

    def text(self, *arguments: str, quiet: bool = False) -> str:
        """Run git and return what it prints as text without its final line break."""
        return self.git(*arguments, quiet=quiet).decode(errors="replace").strip()

    def tip(self, branch: str) -> str:
        """Return the commit of a branch of the remote, or nothing when there is no such branch."""
        listed = self.text("ls-remote", self.remote.name, f"refs/heads/{branch}")
        return listed.partition("\t")[0]

    def push(self, commit: str, branch: str, *, expected: str | None = None) -> None:
        """Push a commit to a branch.

        Args:
            commit: What is pushed.
            branch: Of the remote.
            expected: Replace the branch, if that is still its commit (empty: if there is none);
                None: only go forward.

        Raises:
            Overtaken: the branch has moved.
            GitFailure: the remote does not take it.
        """
        lease = [] if expected is None else [f"--force-with-lease=refs/heads/{branch}:{expected}"]
        target = f"{commit}:refs/heads/{branch}"
        self.git("push", "--quiet", *lease, *self.remote.options, self.remote.name, target)

    def _environment(self) -> dict[str, str]:
        name, mail = AUTHOR
        settings = [("commit.gpgSign", "false"), *self.remote.settings]
        found = {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": mail,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": mail,
            **self.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for number, (key, value) in enumerate(settings):
            found[f"GIT_CONFIG_KEY_{number}"] = key
            found[f"GIT_CONFIG_VALUE_{number}"] = value
        return found


def repository_of(root: Path, remote: Remote, environ: Mapping[str, str]) -> Repository:
    """Return the checkout that a folder is in.

    Raises:
        GitFailure: it is in none.
    """
    here = Repository(root=root, remote=remote, environ=environ)
    top = here.text("rev-parse", "--show-toplevel", quiet=True)
    if not top:
        raise GitFailure(f"{root} is not in a git checkout, so nothing can be pushed from it.")
    return here


def only_these(paths: Sequence[str]) -> bytes:
    """Return paths as git reads them from its standard input."""
    return b"\0".join(path.encode() for path in paths)
