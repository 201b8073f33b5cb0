"""Moving a state: one archive out, one archive in, every digest checked."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import zstandard

from batchspec.durable import disk_errors, publish
from batchspec.errors import Refused, StateFailure, UsageFailure
from batchspec.state.sqlite import SqliteReader
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
    if not session.ledger_path.exists():
        raise UsageFailure("There is no state to export: nothing was ever submitted here.")
    temporary = target.with_name(f".{target.name}.part")
    with session.writer("state export") as ledger, disk_errors(f"write {target.name}"):
        copy = session.state_dir / "ledger.export.db"
        ledger.copy_to(copy)
        try:
            compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
            with (
                temporary.open("wb") as raw,
                compressor.stream_writer(raw) as packed,
                tarfile.open(fileobj=packed, mode="w|") as archive,
            ):
                archive.add(copy, arcname="ledger.db")
                for part in PARTS[1:]:
                    for path in sorted((session.state_dir / part).glob("*.*")):
                        archive.add(path, arcname=f"{part}/{path.name}")
        finally:
            copy.unlink(missing_ok=True)
        size = temporary.stat().st_size
        publish(temporary, target, size=size)
    return size


def import_state(session: Session, source: Path) -> int:
    """Unpack an exported state into a project that has none; return its number of submissions.

    Raises:
        Refused: the project has a state already.
        StateFailure: the archive, or a digest in it, is damaged.
        UsageFailure: there is no such file.
    """
    if session.ledger_path.exists():
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
            count = _check(session, folder)
            session.state_dir.mkdir(parents=True, exist_ok=True)
            for path in folder.iterdir():
                path.replace(session.state_dir / path.name)
        finally:
            _remove(folder)
    with session.writer("state import") as ledger, recorded(session, ledger, "state import"):
        return count


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


def _check(session: Session, folder: Path) -> int:
    if not (folder / "ledger.db").is_file():
        raise StateFailure("The archive has no ledger.")
    reader = SqliteReader.open(folder / "ledger.db")
    try:
        complaints = [*reader.complaints(), *_damaged(session, folder)]
        count = len(reader.submissions())
    finally:
        reader.close()
    if complaints:
        raise StateFailure(f"The exported state is damaged: {complaints[0]}.")
    return count


def _damaged(session: Session, folder: Path) -> Iterator[str]:
    segments = type(session.segments)(folder / "segments")
    for name in segments.names():
        complaint = segments.complaint(name)
        if complaint is not None:
            yield f"segment {name} {complaint}"


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
