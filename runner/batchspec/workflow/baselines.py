"""The items of the last applied plan, which the next plan is compared with: here, and for a team.

Of a shared state they lie beside the segments, so that a fresh checkout says what changed, as the
machine does that ran the spec last. They are a cache there, too: whatever cannot be stored, read or
proved whole is done without, and no command fails for it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from batchspec.durable import disk_errors, file_sha256, publish, write_file
from batchspec.errors import EnvironmentFailure
from batchspec.plan.baseline import items_digest
from batchspec.state.objects import Objects
from batchspec.workflow.context import Session
from batchspec.workflow.job import Job


def promote_baseline(session: Session, job: Job) -> None:
    """Make the items of the plan that is being submitted the ones the next plan compares with."""
    pending, current = session.baseline(job.name, pending=True), session.baseline(job.name)
    for source, target in zip(pending.files(), current.files(), strict=True):
        if source.exists():
            source.replace(target)
    job.applied = True


def share_baseline(session: Session, spec: str) -> None:
    """Store the items of a spec's last applied plan where the team finds them, if they are new."""
    objects = _shared(session)
    if objects is None:
        return
    paths = session.baseline(spec)
    with contextlib.suppress(EnvironmentFailure, OSError):
        sidecar, shared = paths.sidecar.read_bytes(), objects.read_note(_note(spec))
        mine = items_digest(sidecar)
        if mine is None or sidecar == shared:
            return
        objects.put(_name(spec, mine), paths.items, mine)
        objects.write_note(_note(spec), sidecar)
        former = items_digest(shared, any_version=True)
        if former is not None and former != mine:
            objects.discard(_name(spec, former))


def fetch_baseline(session: Session, spec: str) -> None:
    """Get the items that the team last applied, unless they are those that this machine has.

    Those that another version of the program described are left where they are.
    """
    objects = _shared(session)
    if objects is None:
        return
    paths = session.baseline(spec)
    sidecar = objects.read_note(_note(spec))
    wanted = items_digest(sidecar)
    if wanted is None or sidecar == _bytes(paths.sidecar):
        return
    with contextlib.suppress(EnvironmentFailure, OSError):
        paths.items.parent.mkdir(parents=True, exist_ok=True)
        temporary = paths.items.with_name(f".{paths.items.name}.fetched")
        try:
            size = write_file(temporary, objects.pieces(_name(spec, wanted)))
            if file_sha256(temporary) == wanted:
                with disk_errors(f"write {paths.items.name}"):
                    publish(temporary, paths.items, size=size)
                write_file(paths.sidecar, [sidecar])
        finally:
            temporary.unlink(missing_ok=True)


def _shared(session: Session) -> Objects | None:
    """Return the team's store; None: there is none, or a sample is run, which is one's own."""
    if session.team is None or session.sampled:
        return None
    try:
        return session.team.objects()
    except EnvironmentFailure:
        return None


def _note(spec: str) -> str:
    return f"items.{spec}.json"


def _name(spec: str, sha256: str) -> str:
    return f"items.{spec}.{sha256}.parquet"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
