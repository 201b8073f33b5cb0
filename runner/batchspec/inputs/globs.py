"""Finding files below a folder by pattern, as a shell does, without following links.

``*`` and ``?`` match within one component, ``**`` any number of folders. Hidden names match only a
pattern that begins with a dot; denied names (`hardened.denied_part`) match nothing.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from typing import TYPE_CHECKING

from batchspec.inputs.hardened import (
    FileRefused,
    denied_part,
    enter_folder,
    open_folder,
    split_relative,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_MAGIC = re.compile(r"[*?\[]")


def find_files(root: Path, pattern: str) -> tuple[str, ...]:
    """Return the paths below ``root`` that ``pattern`` means, sorted; folders are left out.

    A link is returned like a file: whoever opens it refuses it by name.

    Raises:
        FileRefused: when the pattern leads out of ``root``, into a denied folder, or through a
            folder that is named in it and is a link.
    """
    parts = split_relative(pattern)
    if parts[-1] == "**":
        parts.append("*")
    with open_folder(root, []) as folder:
        return tuple(sorted(set(_expand(folder, "", parts))))


def _expand(folder: int, prefix: str, parts: Sequence[str]) -> Iterator[str]:
    first, rest = parts[0], parts[1:]
    if first == "**":
        yield from _expand(folder, prefix, rest)
        for name in _names(folder, "*", folders=True):
            with enter_folder(folder, name) as inner:
                yield from _expand(inner, f"{prefix}{name}/", parts)
        return
    if not rest:
        yield from (f"{prefix}{name}" for name in _names(folder, first, folders=False))
        return
    for name in _names(folder, first, folders=True):
        with enter_folder(folder, name) as inner:
            yield from _expand(inner, f"{prefix}{name}/", rest)


def _names(folder: int, part: str, *, folders: bool) -> list[str]:
    """Return the names in ``folder`` that one component means, of folders or of all else."""
    if not _MAGIC.search(part):
        return _literal(folder, part, folders=folders)
    matches = re.compile(fnmatch.translate(part)).match
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if matches(entry.name)
            and (part.startswith(".") or not entry.name.startswith("."))
            and denied_part(entry.name) is None
            and entry.is_dir(follow_symlinks=False) == folders
        )


def _literal(folder: int, name: str, *, folders: bool) -> list[str]:
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except OSError:
        return []
    if folders and stat.S_ISLNK(mode):
        raise FileRefused(f"goes through the symbolic link {name}, which is not followed")
    return [name] if stat.S_ISDIR(mode) == folders else []
