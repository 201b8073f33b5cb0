"""Files as a git revision has them. Git is asked, never told to change anything."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from batchspec.errors import UsageFailure

_PIECE = 1 << 20
_SECONDS = 20.0
"""A repository that takes longer to answer is left unasked."""
_READ_ONLY = (
    "--no-optional-locks",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
)
"""Git writes nothing and starts no program that the repository's settings name."""


def has_revision(root: Path, revision: str) -> bool:
    """Tell whether the folder is in a git repository that has this revision."""
    done = git(
        root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    return done is not None and done.returncode == 0


def fetch(root: Path, revision: str, paths: Iterable[str], folder: Path) -> dict[str, Path]:
    """Write files as they are in a revision into a folder.

    Args:
        root: The project root, somewhere inside of the repository.
        revision: A revision that `has_revision` knows.
        paths: The files, relative to ``root``.
        folder: Where their bytes go, under other names.

    Returns:
        For each path that the revision has, where its bytes are.

    Raises:
        UsageFailure: Git cannot read them.
    """
    prefix = git(root, "rev-parse", "--show-prefix")
    begin = "" if prefix is None else prefix.stdout.decode().strip()
    found: dict[str, Path] = {}
    with subprocess.Popen(
        ["git", "cat-file", "--batch"],  # noqa: S607 - found as every git command is
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        for number, path in enumerate(paths):
            target = folder / f"blob-{number}"
            if _copy(process, f"{revision}:{begin}{path}", target):
                found[path] = target
    return found


def _copy(process: subprocess.Popen[bytes], name: str, target: Path) -> bool:
    """Ask for one blob; tell whether there is one."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("The process was started without pipes.")
    process.stdin.write(f"{name}\n".encode())
    process.stdin.flush()
    head = process.stdout.readline().rstrip(b"\n")
    if head.endswith((b" missing", b" ambiguous")):
        return False
    _, _, rest = head.rpartition(b" blob ")
    if not rest.isdigit():
        raise UsageFailure(
            f"Git cannot read {name}: {head.decode(errors='replace') or 'it gave no answer'}.",
            hint="--against takes a git revision that has the output, or a manifest's path.",
        )
    left = int(rest)
    with target.open("wb") as file:
        while left:
            piece = process.stdout.read(min(left, _PIECE))
            file.write(piece)
            left -= len(piece)
            if not piece:
                raise UsageFailure(f"Git stopped while it read {name}.")
    process.stdout.read(1)
    return True


def git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes] | None:
    """Ask git; None when there is none, or when it gives no answer."""
    try:
        return subprocess.run(  # noqa: S603 - a fixed program, and no shell
            ["git", *_READ_ONLY, *arguments],  # noqa: S607 - found as every git command is
            cwd=root,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
