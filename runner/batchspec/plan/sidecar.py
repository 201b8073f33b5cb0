"""The changes of a large saved plan, one JSON line each, in a compressed file beside it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import zstandard

from batchspec.durable import write_file
from batchspec.errors import Refused

_LEVEL = 9
_MAX_WINDOW = 1 << 27
_MAX_LINE = 1 << 20
"""A change is a key and a hash: a longer line is not ours."""
_AGAIN = "Make the plan again with `batchspec plan --out FILE`, and keep both files together."


def sidecar_of(path: Path) -> Path:
    """Return where the changes of the plan at ``path`` stand."""
    return path.with_name(f"{path.name}.changes.jsonl.zst")


def write_changes(path: Path, changes: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Write changes with the name of their spec and return what the plan says of the file.

    The digest is over the lines, not over their compression: another release of the compressor
    makes other bytes of the same plan.
    """
    digest, count = hashlib.sha256(), 0
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()

    def pieces() -> Iterator[bytes]:
        nonlocal count
        for spec, change in changes:
            line = json.dumps({"spec": spec, **change}, ensure_ascii=False).encode() + b"\n"
            digest.update(line)
            count += 1
            yield compressor.compress(line)
        yield compressor.flush()

    write_file(path, pieces())
    return {"name": path.name, "changes": count, "sha256": digest.hexdigest()}


def read_changes(path: Path, bound: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (spec, change) of a sidecar; the last step checks the number and the digest.

    Raises:
        Refused: The file is missing, damaged, or belongs to another plan.
    """
    digest, count = hashlib.sha256(), 0
    try:
        with path.open("rb") as source:
            for line in _lines(source):
                digest.update(line)
                count += 1
                change = json.loads(line)
                yield change.pop("spec"), change
    except (OSError, ValueError, KeyError, zstandard.ZstdError) as error:
        raise Refused(
            f"{path} cannot be read, so the plan beside it is not complete.", hint=_AGAIN
        ) from error
    if (count, digest.hexdigest()) != (bound["changes"], bound["sha256"]):
        raise Refused(f"{path} does not belong to the plan beside it.", hint=_AGAIN)


def _lines(source: io.BufferedReader) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    with decompressor.stream_reader(source) as raw:
        buffered = io.BufferedReader(raw)
        while line := buffered.readline(_MAX_LINE):
            yield line
