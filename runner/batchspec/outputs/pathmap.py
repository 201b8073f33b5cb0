"""Paths made from items: rendered in SQL, checked before a single file is written."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from batchspec.inputs.engine import quote_identifier, quote_literal
from batchspec.outputs.places import FIELD, Target
from batchspec.problems import Place, Problem
from batchspec.spec.paths import complaint

NAMED: Final = 5
"""How many offending paths a message names."""
_NAME_BYTES: Final = 255
"""Longest file name that common file systems take, in bytes of UTF-8."""


def fields_of(template: str) -> tuple[str, ...]:
    """Return the names of a path template's fields, in order."""
    return tuple(FIELD.findall(template))


def path_expression(template: str) -> str:
    """Return the SQL of a template's path; a NULL becomes empty text, which no path may have."""
    parts = [quote_literal(template[: _first(template)])]
    for match in FIELD.finditer(template):
        following = FIELD.search(template, match.end())
        end = following.start() if following else len(template)
        parts += [
            f"{quote_identifier(match[1])}::VARCHAR",
            quote_literal(template[match.end() : end]),
        ]
    return f"concat({', '.join(parts)})"


def _first(template: str) -> int:
    match = FIELD.search(template)
    return match.start() if match else len(template)


def path_complaint(path: str, folder: PurePosixPath) -> str | None:
    """Return why a rendered path cannot be written; None when it can.

    Args:
        path: The path, relative to the project root.
        folder: The template's fixed folder; the path must lie below it.
    """
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in path):
        return "holds a control character"
    if "\\" in path:
        return "holds a backslash"
    fixed = f"{folder.as_posix()}/" if folder.parts else ""
    for name in path.removeprefix(fixed).split("/"):
        if not name:
            return "has an empty part"
        if name.startswith("."):
            return "has a part that begins with a dot"
        if len(name.encode()) > _NAME_BYTES:
            return f"has a part longer than {_NAME_BYTES} bytes"
    return None


def is_safe(root: Path, path: str) -> bool:
    """Tell whether a path that a manifest names lies inside the project, no link leading out."""
    return complaint(path, root.resolve()) is None


@dataclass(slots=True, kw_only=True)
class PathMap:
    """The files of one output, gathered row by row."""

    target: Target
    files: dict[str, str] = field(default_factory=dict)
    """Path relative to the project root, and SHA-256 of its content."""
    size: int = 0
    """Bytes of all of them."""
    _folded: dict[str, str] = field(default_factory=dict)
    _refused: list[tuple[str, str]] = field(default_factory=list)
    _clashes: list[tuple[str, str]] = field(default_factory=list)

    def take(self, path: str, content: bytes) -> None:
        """Add one file."""
        wrong = path_complaint(path, self.target.folder)
        if wrong is not None:
            self._refused.append((path, wrong))
            return
        # Some file systems fold case, some normalise: what they would merge is merged nowhere.
        first = self._folded.setdefault(_fold(path), path)
        if path in self.files or first != path:
            self._clashes.append((first, path))
            return
        self.files[path] = hashlib.sha256(content).hexdigest()
        self.size += len(content)

    def digest(self) -> str:
        """Return the SHA-256 of the listing, in the manner of ``sha256sum``, sorted by path."""
        listing = hashlib.sha256()
        for path, digest in sorted(self.files.items()):
            listing.update(f"{digest}  {path}\n".encode())
        return listing.hexdigest()

    def problems(self, where: Place) -> Iterator[Problem]:
        """Yield what keeps these files from being written."""
        if self._refused:
            named = ", ".join(f"{path!r} {why}" for path, why in self._refused[:NAMED])
            yield Problem(
                code="output-path-unsafe",
                summary=f"{len(self._refused)} items have a path that cannot be written",
                detail=f"{named}{_more(len(self._refused))}. Use another column in outputs.path,"
                " or make one in outputs.select. No file was written.",
                where=where,
            )
        clashes = [*self._clashes, *self._nested()]
        if clashes:
            named = ", ".join(f"{first!r} and {second!r}" for first, second in clashes[:NAMED])
            yield Problem(
                code="output-path-collision",
                summary=f"{len(clashes)} items would write over each other's files",
                detail=f"{named}{_more(len(clashes))}: equal paths, equal but for case, or one a"
                " folder of the other. Put the key into outputs.path. No file was written.",
                where=where,
            )

    def _nested(self) -> Iterator[tuple[str, str]]:
        """Yield pairs of which one is, or is a folder of, the other; our own files count too."""
        ours = (self.target.manifest, self.target.receipt, self.target.quarantine)
        names = [path.relative_to(self.target.root).as_posix() for path in ours]
        for name in names:
            if _fold(name) in self._folded:
                yield self._folded[_fold(name)], name
        taken = {**self._folded, **{_fold(name): name for name in names}}
        for folded, path in self._folded.items():
            for parent in PurePosixPath(folded).parents:
                if parent.as_posix() in taken:
                    yield taken[parent.as_posix()], path


def _fold(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _more(count: int) -> str:
    return f" and {count - NAMED} more" if count > NAMED else ""
