"""Recorded results to answer from.

A recording is a JSON Lines file; each line is
``{"params_sha256": "…", "result": {…}}`` or ``{"params": {…}, "result": {…}}``, where ``result``
is the ``result`` of a results line of the real API, and the digest is that of the params as
compact JSON with sorted keys. When a line has both, the digest counts: its params may be redacted.

A question with several lines was asked several times: its first asking gets the first, and so on;
the last one stands for all that follow. ``custom_id_has`` limits a line to requests whose
``custom_id`` contains that text, when the question has such a line: equal questions are then told
apart by it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from pathlib import Path


class RecordingError(ValueError):
    """A recording is not as it must be; the message names file and line."""


class Place(NamedTuple):
    """Where a recorded result stands."""

    path: Path
    offset: int
    """Byte at which its line begins."""
    custom_id_has: str | None
    """What the ``custom_id`` of its request contains; None: anything."""


def params_digest(params: Any) -> str:
    """Return the hex SHA-256 of params as compact JSON with sorted keys."""
    return hashlib.sha256(orjson.dumps(params, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Where in which file the recorded results of a question stand."""

    places: dict[str, list[Place]] = field(default_factory=dict)
    """Digest of the params to its lines, in order."""

    @property
    def has_sequels(self) -> bool:
        """Whether a question has several results, so that answers depend on the asking."""
        return any(len(places) > 1 for places in self.places.values())

    def find(self, digest: str, custom_id: str, asked_before: int) -> dict[str, Any] | None:
        """Return the recorded ``result`` of a question's asking, or ``None``.

        Args:
            digest: Hex digest of the params.
            custom_id: Of the request.
            asked_before: How often the question was asked before.
        """
        places = self.places.get(digest)
        if places is None:
            return None
        own = [
            place for place in places if place.custom_id_has and place.custom_id_has in custom_id
        ]
        chosen = own or places
        path, offset, _ = chosen[min(asked_before, len(chosen) - 1)]
        with path.open("rb") as file:
            file.seek(offset)
            result: dict[str, Any] = orjson.loads(file.readline())["result"]
        return result


def load_recordings(paths: tuple[Path, ...]) -> Recording | None:
    """Return the recording made of all files, or ``None`` when there are none.

    Raises:
        RecordingError: when a line is not a recorded result.
        OSError: when a file cannot be read.
    """
    if not paths:
        return None
    places: dict[str, list[Place]] = {}
    for path in paths:
        offset = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                digest, custom_id_has = _question_of(line, path, number)
                places.setdefault(digest, []).append(Place(path, offset, custom_id_has))
                offset += len(line)
    return Recording(places=places)


def _question_of(line: bytes, path: Path, number: int) -> tuple[str, str | None]:
    try:
        entry = orjson.loads(line)
        kind = entry["result"]["type"]
        known = entry.get("params_sha256")
        digest = params_digest(entry["params"]) if known is None else known
        part = entry.get("custom_id_has")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise _malformed(path, number) from error
    if not (isinstance(kind, str) and isinstance(digest, str) and isinstance(part, str | None)):
        raise _malformed(path, number)
    return digest, part


def _malformed(path: Path, number: int) -> RecordingError:
    return RecordingError(
        f"{path.name}, line {number}: expected 'result' with 'params' or 'params_sha256'."
    )
