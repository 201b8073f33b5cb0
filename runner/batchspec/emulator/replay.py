"""Recorded results to answer from.

A recording is a JSON Lines file; each line is
``{"params_sha256": "…", "result": {…}}`` or ``{"params": {…}, "result": {…}}``, where ``result``
is the ``result`` of a results line of the real API, and the digest is that of the params as
compact JSON with sorted keys.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from pathlib import Path


class RecordingError(ValueError):
    """A recording is not as it must be; the message names file and line."""


def params_digest(params: Any) -> str:
    """Return the hex SHA-256 of params as compact JSON with sorted keys."""
    return hashlib.sha256(orjson.dumps(params, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Where in which file the recorded result of a question stands."""

    places: dict[str, tuple[Path, int]] = field(default_factory=dict)
    """Digest of the params to file and byte offset of its line; the last one wins."""

    def find(self, digest: str) -> dict[str, Any] | None:
        """Return the recorded ``result`` of a question, or ``None``."""
        place = self.places.get(digest)
        if place is None:
            return None
        path, offset = place
        with path.open("rb") as file:
            file.seek(offset)
            result: dict[str, Any] = orjson.loads(file.readline())["result"]
        return result


def load_recordings(paths: tuple[Path, ...]) -> Recording | None:
    """Return the recording made of all files, or ``None`` when there are none.

    Raises:
        RecordingError: when a line is not a recorded result.
    """
    if not paths:
        return None
    places: dict[str, tuple[Path, int]] = {}
    for path in paths:
        offset = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                places[_digest_of(line, path, number)] = (path, offset)
                offset += len(line)
    return Recording(places=places)


def _digest_of(line: bytes, path: Path, number: int) -> str:
    try:
        entry = orjson.loads(line)
        kind = entry["result"]["type"]
        digest = params_digest(entry["params"]) if "params" in entry else entry["params_sha256"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise _malformed(path, number) from error
    if not isinstance(kind, str) or not isinstance(digest, str):
        raise _malformed(path, number)
    return digest


def _malformed(path: Path, number: int) -> RecordingError:
    return RecordingError(
        f"{path.name}, line {number}: expected 'result' with 'params' or 'params_sha256'."
    )
