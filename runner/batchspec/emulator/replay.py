"""Recorded results to answer from.

A recording is a JSON Lines file; each line is
``{"params_sha256": "…", "result": {…}}`` or ``{"params": {…}, "result": {…}}``, where ``result``
is the ``result`` of a results line of the real API, and the digest is that of the params as
compact JSON with sorted keys. When a line has both, the digest counts: its params may be redacted.

``custom_id_part`` says that the line answers requests whose ``custom_id`` has this part between
dashes, whatever their params are: ids of uploaded files differ from one server to the next. Such a
line needs no params, and comes before those that fit by their params.

A question with several lines was asked several times: its first asking gets the first, and so on;
the last one stands for all that follow.
"""

from __future__ import annotations

import hashlib
import itertools
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


def params_digest(params: Any) -> str:
    """Return the hex SHA-256 of params as compact JSON with sorted keys."""
    return hashlib.sha256(orjson.dumps(params, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Where in which file the recorded results of a question stand."""

    places: dict[str, list[Place]] = field(default_factory=dict)
    """Digest of the params to its lines, in order."""
    parts: dict[str, list[Place]] = field(default_factory=dict)
    """Part of a ``custom_id`` to its lines, in order."""

    @property
    def has_sequels(self) -> bool:
        """Whether a question has several results, so that answers depend on the asking."""
        found = itertools.chain(self.places.values(), self.parts.values())
        return any(len(places) > 1 for places in found)

    def find(self, digest: str, custom_id: str, asked_before: int) -> dict[str, Any] | None:
        """Return the recorded ``result`` of a question's asking, or ``None``.

        Args:
            digest: Hex digest of the params.
            custom_id: Of the request.
            asked_before: How often the question was asked before.
        """
        named = (self.parts.get(part) for part in custom_id.split("-"))
        places = next((found for found in named if found), None) or self.places.get(digest)
        if places is None:
            return None
        path, offset = places[min(asked_before, len(places) - 1)]
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
    recording = Recording()
    for path in paths:
        offset = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                digest, part = _question_of(line, path, number)
                place = Place(path, offset)
                if digest is not None:
                    recording.places.setdefault(digest, []).append(place)
                if part is not None:
                    recording.parts.setdefault(part, []).append(place)
                offset += len(line)
    return recording


def _question_of(line: bytes, path: Path, number: int) -> tuple[str | None, str | None]:
    try:
        entry = orjson.loads(line)
        kind = entry["result"]["type"]
        digest, part = entry.get("params_sha256"), entry.get("custom_id_part")
        if digest is None and (part is None or "params" in entry):
            digest = params_digest(entry["params"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise _malformed(path, number) from error
    known = isinstance(digest, str | None) and isinstance(part, str | None)
    if not (isinstance(kind, str) and known):
        raise _malformed(path, number)
    return digest, part


def _malformed(path: Path, number: int) -> RecordingError:
    return RecordingError(
        f"{path.name}, line {number}: expected 'result' with 'params', 'params_sha256' or"
        " 'custom_id_part'."
    )
