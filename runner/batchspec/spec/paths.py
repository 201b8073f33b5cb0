"""Paths that a spec names: always relative, always below the project's root."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

_DRIVE = re.compile(r"[A-Za-z]:|\\\\")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_OURS = frozenset({".batchspec", ".git"})


def complaint(text: str, root: Path) -> str | None:
    """Return why ``text`` does not name a place below ``root``; None when it does.

    It may be a glob or a template; symlinks are followed as far as the path exists.
    """
    path = PurePosixPath(text)
    if _URL.match(text):
        return "is a web address, and only files of the project are read"
    if path.is_absolute() or _DRIVE.match(text) or text.startswith("~"):
        return "is an absolute path"
    if ".." in path.parts:
        return "leads upward"
    if "\\" in text:
        return "has a backslash; paths are written with / on every system"
    return None if _stays(root / path, root) else "leads out of the project through a symlink"


def _stays(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a circle of symlinks, or a name that is too long
        return False


def is_reserved(text: str) -> bool:
    """Tell whether a path lies in a folder that belongs to batchspec or to git."""
    return bool(_OURS.intersection(PurePosixPath(text).parts))


def normal(text: str) -> str:
    """Return a path's one spelling: ``out//a.jsonl`` and ``./out/a.jsonl`` are ``out/a.jsonl``."""
    return PurePosixPath(text).as_posix()
