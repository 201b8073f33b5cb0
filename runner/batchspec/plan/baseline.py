"""The items of the last applied plan: a cache from an item's row to its request hash.

It saves rendering and tells why an item changed. Losing it costs time, never money: whatever is not
provably ours, whole and of this version is treated as absent.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from batchspec.durable import disk_errors, file_sha256, publish, write_file
from batchspec.inputs.engine import Engine, quote_literal
from batchspec.records import frozen

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
FORMAT_VERSION = 3
"""In version 1 row digests had another form, and version 2 had no digest of the items."""


@frozen
class BaselinePaths:
    """Where the baseline of one spec is kept."""

    items: Path
    """Parquet: key_json, k0…, row_digest, hash, bytes, chars; one row per item."""
    sidecar: Path
    """JSON: what the Parquet file was made with, and its digest."""

    @classmethod
    def under(cls, folder: Path, spec: str) -> Self:
        """Return the paths of a spec's baseline inside ``folder``."""
        return cls(items=folder / f"{spec}.items.parquet", sidecar=folder / f"{spec}.items.json")

    def files(self) -> tuple[Path, Path]:
        """Return both files, in the order in which they may be moved."""
        return self.items, self.sidecar


@frozen
class Baseline:
    """A baseline that was found whole."""

    items: Path
    render_digest: str
    """What rendering read, but for the rows: hashes hold under the same digest only."""
    parts: Mapping[str, str]
    """Digest per named part of the request (`Renderer.parts`), for reasons."""
    files: Mapping[str, str]
    """Digest per file that the prompt read (`Renderer.files`), for reasons."""
    key: tuple[str, ...]
    """The key's columns."""
    rows: int
    inputs: str
    """`ItemTable.inputs_digest` of its items."""

    @property
    def relation(self) -> str:
        """The SQL text that reads it."""
        return f"read_parquet({quote_literal(str(self.items))})"

    @property
    def numbered(self) -> str:
        """The SQL text that reads it with ``file_row_number``."""
        return f"read_parquet({quote_literal(str(self.items))}, file_row_number = true)"


def read_baseline(paths: BaselinePaths) -> Baseline | None:
    """Return the baseline, or None when it is absent, damaged, or of another version."""
    try:
        meta = _opened(paths.sidecar.read_bytes())
        if meta["sha256"] != file_sha256(paths.items):
            return None
        return Baseline(
            items=paths.items,
            render_digest=str(meta["render_digest"]),
            parts={str(name): str(digest) for name, digest in meta["parts"].items()},
            files={str(name): str(digest) for name, digest in meta["files"].items()},
            key=tuple(str(name) for name in meta["key"]),
            rows=int(meta["rows"]),
            inputs=str(meta["inputs"]),
        )
    except (OSError, *_UNREADABLE):
        return None


def items_digest(sidecar: bytes, *, any_version: bool = False) -> str | None:
    """Return the SHA-256 of the Parquet file that a sidecar describes, or None.

    A team's store may hold anything, and the digest becomes part of a name.

    Args:
        sidecar: The bytes of the sidecar.
        any_version: Take what another version of the program wrote, too.
    """
    try:
        found = str((json.loads(sidecar) if any_version else _opened(sidecar))["sha256"])
    except _UNREADABLE:
        return None
    return found if _SHA256.fullmatch(found) else None


def _opened(sidecar: bytes) -> dict[str, Any]:
    """Return what a sidecar says.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, RecursionError: It is damaged, or of
            another version.
    """
    meta: dict[str, Any] = json.loads(sidecar)
    if meta["format_version"] != FORMAT_VERSION or meta.pop("seal") != seal(meta):
        raise ValueError("damaged, or of another version")
    return meta


def write_baseline(
    engine: Engine, select: str, paths: BaselinePaths, meta: Mapping[str, Any]
) -> None:
    """Write the rows of a query as a baseline, each file whole or not at all.

    The sidecar names the digest of the Parquet file, so a crash between the two leaves a baseline
    that `read_baseline` treats as absent.

    Raises:
        DiskFailure: The files cannot be written.
    """
    temporary = paths.items.with_name(f".{paths.items.name}.part")
    with disk_errors(f"write {paths.items.name}"):
        paths.items.parent.mkdir(parents=True, exist_ok=True)
        engine.execute(
            f"COPY ({select}) TO {quote_literal(str(temporary))} (FORMAT parquet, "
            "COMPRESSION snappy, ROW_GROUP_SIZE 40960)"
        )
        digest, size = file_sha256(temporary), temporary.stat().st_size
        publish(temporary, paths.items, size=size)
    document = {"format_version": FORMAT_VERSION, **meta, "sha256": digest}
    document["seal"] = seal(document)
    write_file(paths.sidecar, [json.dumps(document, indent=2).encode() + b"\n"])


def seal(document: Mapping[str, Any]) -> str:
    """Return a digest of all else that the sidecar says: a flipped bit in it is noticed."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
