"""The changes of a plan: a tuple of a few, a file of many, so that a plan's memory stays flat."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, overload

import orjson

from batchspec.durable import disk_errors, write_all
from batchspec.plan.model import Action, Change, Outcome, Reason

ChangeRow = tuple[str, str, str | None, str, int | None]
"""A change as plain values: key, action, reason, hash in hex, outcome."""

_BLOCK = 5_000
"""Changes written to and read from the file at once."""
HELD = 2 * _BLOCK
"""A spec with more changes keeps them in a file."""


def keep_changes(rows: Iterable[ChangeRow], folder: Path | None = None) -> Sequence[Change]:
    """Return changes in the order of their rows, which are read once.

    Args:
        rows: The changes.
        folder: Where a file stands, without a name; None: where temporary files go.

    Raises:
        DiskFailure: The file cannot be written.
    """
    keeper = ChangeKeeper(folder)
    for row in rows:
        keeper.add(row)
    return keeper.kept()


class ChangeKeeper:
    """Takes the changes of one spec, a row at a time. Raises as `keep_changes` does."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._rows: list[ChangeRow] = []
        self._stored: StoredChanges | None = None
        self._most = HELD

    def add(self, row: ChangeRow) -> None:
        """Take one more."""
        if len(self._rows) == self._most:
            self._store()
        self._rows.append(row)

    def kept(self) -> Sequence[Change]:
        """Return what was added, in that order; nothing can be added afterwards."""
        if self._stored is None:
            return tuple(map(_change, self._rows))
        self._store()
        return self._stored

    def _store(self) -> None:
        if self._stored is None:
            self._stored, self._most = StoredChanges(self._folder), _BLOCK
        for start in range(0, len(self._rows), _BLOCK):
            self._stored.append(self._rows[start : start + _BLOCK])
        self._rows.clear()


def change_row(change: Change) -> ChangeRow:
    """Return a change as plain values."""
    reason, outcome = change.reason, change.outcome
    return (
        change.key,
        change.action.value,
        None if reason is None else reason.value,
        change.request_hash,
        None if outcome is None else int(outcome),
    )


class StoredChanges(Sequence[Change]):
    """Changes in a file that has no name and is gone with this object.

    Raises:
        DiskFailure: The file cannot be written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._blocks: list[tuple[int, int]] = []
        """Where each block begins, and its bytes."""
        self._count = self._size = 0
        with disk_errors("keep the changes of a plan"):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - read as long as this lives
        weakref.finalize(self, file.close)
        self.descriptor = file.fileno()

    def append(self, rows: Sequence[ChangeRow]) -> None:
        """Add a block: `_BLOCK` rows, or fewer when it is the last."""
        data = orjson.dumps(rows)
        with disk_errors("keep the changes of a plan"):
            write_all(self.descriptor, data)
        self._blocks.append((self._size, len(data)))
        self._size += len(data)
        self._count += len(rows)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Change]:
        for number in range(len(self._blocks)):
            yield from map(_change, self._rows(number))

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Change, ...]: ...
    def __getitem__(self, index: int | slice) -> Change | tuple[Change, ...]:
        if isinstance(index, int):
            place = range(self._count)[index]
            return _change(self._rows(place // _BLOCK)[place % _BLOCK])
        wanted = range(self._count)[index]
        if wanted.step != 1:
            return tuple(self)[index]
        first = wanted.start // _BLOCK
        rows = chain.from_iterable(map(self._rows, range(first, len(self._blocks))))
        begin = wanted.start - first * _BLOCK
        return tuple(map(_change, islice(rows, begin, begin + len(wanted))))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StoredChanges | tuple):
            return NotImplemented
        return len(self) == len(other) and all(map(Change.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a plan's other collections

    def _rows(self, number: int) -> list[Any]:
        offset, size = self._blocks[number]
        with disk_errors("read the changes of a plan"):
            data = os.pread(self.descriptor, size, offset)
        rows: list[Any] = orjson.loads(data)
        return rows


def _change(row: ChangeRow) -> Change:
    key, action, reason, digest, outcome = row
    return Change(
        key=key,
        action=Action(action),
        reason=None if reason is None else Reason(reason),
        request_hash=digest,
        outcome=None if outcome is None else Outcome(outcome),
    )
