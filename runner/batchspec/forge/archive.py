"""A saved plan out of the archive that a CI job left: known names only, and none of its paths."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from batchspec.errors import StateFailure
from batchspec.forge.github import MOST_BYTES
from batchspec.plan.sidecar import sidecar_of

PLAN = "plan.json"


def unpack_plan(archive: Path, target: Path) -> None:
    """Write the plan in an archive, and the changes beside it, to a path of our choice.

    Raises:
        StateFailure: there is none in it, or it is larger than a plan can be.
    """
    wanted = {PLAN: target, sidecar_of(Path(PLAN)).name: sidecar_of(target)}
    found = False
    try:
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                name = PurePosixPath(entry.filename).name
                place = wanted.pop(name, None)
                if place is None or entry.is_dir():
                    continue
                if entry.file_size > MOST_BYTES:
                    raise StateFailure(f"{name} of the CI job is too large for a plan.")
                with packed.open(entry) as source, place.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
                found = found or name == PLAN
    except zipfile.BadZipFile as error:
        raise StateFailure("The archive of the CI job is damaged.") from error
    if not found:
        raise StateFailure(f"The archive of the CI job has no {PLAN}.")
