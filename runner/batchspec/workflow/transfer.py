"""Moving a state: one archive out, one archive in, or from a folder into the shared state."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath

import zstandard

from batchspec.crashpoints import reached
from batchspec.durable import disk_errors, publish
from batchspec.errors import Refused, StateFailure, UsageFailure
from batchspec.state.copying import copy_ledger
from batchspec.state.lease import held
from batchspec.state.ledger import LedgerReader
from batchspec.state.segments import FolderSegments
from batchspec.state.shared_segments import SharedSegments
from batchspec.state.sqlite import SqliteLedger, SqliteReader
from batchspec.state.writer import SqlLedger
from batchspec.workflow.baselines import share_baseline
from batchspec.workflow.context import Session
from batchspec.workflow.recording import recorded

PARTS = ("ledger.db", "segments", "items")
"""What a state is; the cache is derived from it, locks and downloads belong to a machine."""
MAX_WINDOW = 1 << 27


def export_state(session: Session, target: Path) -> int:
    """Write the state as a tar archive compressed with zstd; return its size in bytes.

    Raises:
        UsageFailure: there is no state yet.
        StateLocked: a run is at work on it.
        DiskFailure: the archive cannot be written.
    """
    if session.reader() is None:
        raise UsageFailure("There is no state to export: nothing was ever submitted here.")
    temporary = target.with_name(f".{target.name}.part")
    with session.writer("state export") as ledger, disk_errors(f"write {target.name}"):
        copy = session.state_dir / "ledger.export.db"
        _as_file(ledger, copy, session)
        try:
            compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
            with (
                temporary.open("wb") as raw,
                compressor.stream_writer(raw) as packed,
                tarfile.open(fileobj=packed, mode="w|") as archive,
            ):
                archive.add(copy, arcname="ledger.db")
                for name in session.segments.names():
                    path = session.segments.file(name)
                    archive.add(path, arcname=f"segments/{path.name}")
                for path in sorted((session.state_dir / "items").glob("*.*")):
                    archive.add(path, arcname=f"items/{path.name}")
        finally:
            copy.unlink(missing_ok=True)
        size = temporary.stat().st_size
        publish(temporary, target, size=size)
    return size


def _as_file(ledger: SqlLedger, target: Path, session: Session) -> None:
    """Copy the ledger into one SQLite file."""
    target.unlink(missing_ok=True)
    copy = SqliteLedger(target, session.randomness)
    try:
        copy_ledger(ledger.database, copy.database, steps=0)
        copy.database.rows("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()


def import_state(session: Session, source: Path) -> int:
    """Unpack an exported state into a project that has none; return its number of submissions.

    Raises:
        Refused: the project has a state already.
        StateFailure: the archive, or a digest in it, is damaged.
        UsageFailure: there is no such file.
    """
    if session.team is None and session.ledger_path.exists():
        raise Refused(
            f"There is a state in {session.state_dir} already; two states are never mixed.",
            hint="Move it away first, or import into another folder (BATCHSPEC_STATE).",
        )
    if not source.is_file():
        raise UsageFailure(f"There is no file {source}.")
    folder = session.state_dir.with_name(f".{session.state_dir.name}.import")
    with disk_errors("unpack the state"):
        folder.mkdir(parents=True)
        try:
            _unpack(source, folder)
            count = _check(folder)
            if session.team is not None:
                return _take_over(session, folder, "state import")
            session.state_dir.mkdir(parents=True, exist_ok=True)
            for path in folder.iterdir():
                path.replace(session.state_dir / path.name)
        finally:
            _remove(folder)
    with session.writer("state import") as ledger, recorded(session, ledger, "state import"):
        return count


def migrate_state(session: Session, source: Path) -> tuple[int, Path]:
    """Move a local state into the shared one; return its submissions and what became of it.

    It can be interrupted at any moment and done again. The local folder is renamed at the end, so
    that nothing writes to it any more; it is never deleted.

    Args:
        session: The session of a project whose state is shared.
        source: The folder of the local state.

    Raises:
        UsageFailure: the project's state is local, or there is none in the folder.
        Refused: the shared state holds other work.
        StateLocked: a command is at work on either of them.
        StateFailure: the local state is damaged.
    """
    if session.team is None:
        raise UsageFailure(
            "This project's state is local, so there is nothing to migrate to.",
            hint="Set `state.ledger` and `state.segments` in batchspec.yaml first; see "
            "docs/how-to/share-state.md.",
        )
    if not (source / "ledger.db").is_file():
        raise UsageFailure(
            f"There is no local state in {source}.",
            hint="Name the folder with --from. One that was migrated before is called "
            f"{source.name}.migrated.",
        )
    local = SqliteLedger(source / "ledger.db", session.randomness)
    with closing(local), held(local, source, "state migrate", session.clock):
        _check(source)
        count = _take_over(session, source, "state migrate")
        reached("migrate:recorded")
    return count, _set_aside(source)


def _set_aside(folder: Path) -> Path:
    kept = folder.with_name(f"{folder.name}.migrated")
    number = 1
    while kept.exists():
        number += 1
        kept = folder.with_name(f"{folder.name}.migrated-{number}")
    with disk_errors("rename the local state"):
        folder.rename(kept)
    return kept


def _take_over(session: Session, folder: Path, command: str) -> int:
    """Copy the state in a folder into the shared one: segments first, the ledger last."""
    source = SqliteReader.open(folder / "ledger.db")
    with closing(source), session.writer(command) as ledger:
        if ledger.lineage != source.lineage:
            _refuse_other(session, ledger)
            _upload(session, folder, source)
            copy_ledger(source.database, ledger.database)
            reached("migrate:ledger")
        elif ledger.serial <= source.serial:
            raise StateFailure(
                f"The shared state is older than the one in {folder}, of which it is a copy.",
                hint="It was restored from a backup. Run `batchspec recover`, which finds what was "
                "paid since then.",
            )
        count = len(ledger.submissions())
    with disk_errors("copy what the last plans left"):
        for path in (folder / "items").glob("*.*"):
            (session.state_dir / "items").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, session.state_dir / "items" / path.name)
    for path in (folder / "items").glob("*.items.json"):
        share_baseline(session, path.name.removesuffix(".items.json"))
    reached("migrate:items")
    with session.writer(command) as ledger, recorded(session, ledger, command):
        return count


def _refuse_other(session: Session, ledger: LedgerReader) -> None:
    if not ledger.submissions() and ledger.kind is None:
        return
    shown = "the shared state" if session.team is None else session.team.shown
    raise Refused(
        f"There is other work in {shown} already; two states are never mixed.",
        hint="Give this project a part of its own with `state.namespace`. To join the team's "
        "state instead, move the local folder away: `batchspec recover` then takes in what was "
        "paid by it.",
    )


def _upload(session: Session, folder: Path, source: LedgerReader) -> None:
    shared, segments = session.segments, FolderSegments(folder / "segments")
    named = {n for s in source.submissions() for n in (s.segment, s.results) if n is not None}
    for name in sorted(named.intersection(segments.names())):
        if isinstance(shared, SharedSegments):
            shared.upload(name, segments.path(name))
            reached("migrate:segment")


def _unpack(source: Path, folder: Path) -> None:
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    try:
        with (
            source.open("rb") as raw,
            decompressor.stream_reader(raw) as unpacked,
            tarfile.open(fileobj=unpacked, mode="r|") as archive,
        ):
            for member in archive:
                name = PurePosixPath(member.name)
                if not member.isfile() or name.parts[0] not in PARTS or ".." in name.parts:
                    raise StateFailure(f"{source.name} holds {member.name}, which no state has.")
                archive.extract(member, folder, filter="data")
    except (tarfile.TarError, zstandard.ZstdError) as error:
        raise StateFailure(f"{source.name} is not an intact export: {error}.") from error


def _check(folder: Path) -> int:
    if not (folder / "ledger.db").is_file():
        raise StateFailure("There is no ledger in it.")
    reader = SqliteReader.open(folder / "ledger.db")
    try:
        complaints = [*reader.complaints(), *_damaged(folder)]
        count = len(reader.submissions())
    finally:
        reader.close()
    if complaints:
        raise StateFailure(f"The exported state is damaged: {complaints[0]}.")
    return count


def _damaged(folder: Path) -> Iterator[str]:
    segments = FolderSegments(folder / "segments")
    for name in segments.names():
        complaint = segments.complaint(name)
        if complaint is not None:
            yield f"segment {name} {complaint}"


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
