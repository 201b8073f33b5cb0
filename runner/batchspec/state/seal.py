"""The digest that a writer leaves beside the ledger's file, so that `verify` finds any changed bit.

The rows' own checksums tell which row is damaged; they say nothing of free pages, of the tables'
definitions and of rows that cost no money. The seal covers every byte, but only while nobody
writes: a writer breaks it before its first change, and sets it when it has finished. After a crash
there is none until the next writer has finished.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from batchspec.durable import file_sha256, sync_folder, write_file


def break_seal(ledger: Path) -> None:
    """Remove the seal of a ledger's file that is about to change."""
    seal = _seal(ledger)
    # Who cannot remove it cannot write the ledger's log either, and is told so by SQLite.
    with suppress(OSError):
        if seal.exists():
            seal.unlink(missing_ok=True)
            sync_folder(ledger.parent)


def set_seal(ledger: Path) -> None:
    """Seal a ledger's file, whose log must be empty.

    Raises:
        DiskFailure: when the seal cannot be written; there is none then.
    """
    if not _log_bytes(ledger):
        write_file(_seal(ledger), [_digest(ledger)])


def seal_complaint(ledger: Path) -> str | None:
    """Return what is wrong when a sealed ledger is not what its last writer left; else None."""
    try:
        was = _seal(ledger).read_bytes()
        if _log_bytes(ledger) or _digest(ledger) == was:
            return None
        # A writer that came in between has broken the seal, and may have sealed the file anew.
        unsealed = _seal(ledger).read_bytes() != was or _log_bytes(ledger)
    except OSError:
        return None
    if unsealed:
        return None
    return (
        f"{ledger.name} is not what its last writer left: bits have changed, or another file was "
        "put in its place"
    )


def _seal(ledger: Path) -> Path:
    return ledger.with_suffix(".seal")


def _log_bytes(ledger: Path) -> int:
    log = ledger.with_name(f"{ledger.name}-wal")
    return log.stat().st_size if log.exists() else 0


def _digest(ledger: Path) -> bytes:
    return f"sha256:{file_sha256(ledger)}\n".encode()
