"""Where an output and its manifest stand, and whether what stands there may be replaced."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Final

from batchspec.durable import disk_errors
from batchspec.errors import Refused
from batchspec.records import frozen
from batchspec.spec.paths import complaint

ASIDE: Final = PurePosixPath(".batchspec/emulated/outputs")
"""Where an emulated run writes when a real output stands in the output's place."""
SAMPLES: Final = PurePosixPath(".batchspec/samples")
"""Where a run of a sample writes, so that no output is touched."""
EMULATED_SAMPLES: Final = PurePosixPath(".batchspec/emulated/samples")
_ROOT: Final = PurePosixPath()
MANIFEST: Final = ".manifest.json"
RECEIPT: Final = ".receipt.json"
QUARANTINE: Final = ".quarantine.jsonl"

FIELD: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}")
"""A field of a path template; what stands in it is the name of a column."""


@frozen
class Target:
    """The place of one output."""

    root: Path
    """The project root."""
    shown: str
    """The output's path, relative to the root; may be a template."""
    is_template: bool
    """One file per item: ``shown`` has fields like ``{{ key }}``."""

    @property
    def path(self) -> Path:
        """The output's file; for a template, only its folder means anything."""
        return self.root / self.shown

    @property
    def folder(self) -> PurePosixPath:
        """The deepest folder, relative to the root, that no field is part of."""
        parts = PurePosixPath(self.shown).parts[:-1]
        fixed = next((n for n, part in enumerate(parts) if "{{" in part), len(parts))
        return PurePosixPath(*parts[:fixed])

    @property
    def manifest(self) -> Path:
        """The manifest's file: beside the output, or in a template's fixed folder."""
        return self._beside(MANIFEST)

    @property
    def receipt(self) -> Path:
        """The receipt's file, beside the manifest."""
        return self._beside(RECEIPT)

    @property
    def quarantine(self) -> Path:
        """The file of the rows that failed a check, beside the manifest."""
        return self._beside(QUARANTINE)

    def _beside(self, ending: str) -> Path:
        if not self.is_template:
            return self.root / (self.shown + ending)
        rest = PurePosixPath(self.shown).relative_to(self.folder).as_posix()
        name = FIELD.sub(lambda match: f"_{match[1]}_", rest).replace("/", ".")
        return self.root / self.folder / (re.sub(r"[^\w.+-]", "_", name) + ending)


def target_of(root: Path, path: str, *, base: PurePosixPath = _ROOT) -> Target:
    """Return the place of the output that a spec calls ``path``, below ``base`` of the project."""
    return Target(root=root, shown=(base / path).as_posix(), is_template="{{" in path)


def make_folder(target: Target, file: Path) -> None:
    """Make the folder of ``file``, which must lie below the project root.

    Raises:
        Refused: A symlink leads out of the project, or a file stands where a folder should.
        DiskFailure: The folder cannot be made.
    """
    relative = file.parent.relative_to(target.root).as_posix()
    wrong = complaint(relative, target.root.resolve())
    if wrong is not None:
        raise Refused(
            f"The folder {relative} {wrong}, so no output is written there.",
            hint="Outputs stay inside the project. Replace the symlink by a folder, or change "
            "outputs.path.",
        )
    with disk_errors(f"make the folder {relative}"):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise Refused(
                f"The folder {relative} cannot be made: a file stands in its way.",
                hint="Move the file away, or change outputs.path.",
            ) from None


def refuse_foreign(shown: str, path: Path, *, ours: bool) -> None:
    """Refuse to replace what batchspec did not write.

    Args:
        shown: The file's path for the message.
        path: The file.
        ours: Whether a manifest of ours speaks for it.

    Raises:
        Refused: A foreign file, a link or a folder stands there.
    """
    advice = "Move it away or delete it, or give outputs.path another name."
    if path.is_symlink():
        raise Refused(
            f"{shown} is a symbolic link; the output would replace the link, not what it points "
            "to, so nothing was written.",
            hint=advice,
        )
    if path.is_dir():
        raise Refused(f"{shown} is a folder, so the output cannot be written there.", hint=advice)
    if path.exists() and not ours:
        raise Refused(
            f"{shown} exists and was not written by batchspec (no manifest of ours is beside it), "
            "so it is not overwritten.",
            hint=advice,
        )
