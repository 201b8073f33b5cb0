"""Where each request of a batch stands in its body: fixed-size records, read through a map."""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RECORD = struct.Struct("<QI32s64s")


class Row(NamedTuple):
    """One request of a batch."""

    offset: int
    """Where its element begins in the body."""
    length: int
    """Bytes of its element."""
    sha256: bytes
    """Digest of its params as compact JSON with sorted keys."""
    custom_id: str
    """Its custom_id."""


def write_row(file: BinaryIO, row: Row) -> None:
    """Append a record."""
    file.write(_RECORD.pack(row.offset, row.length, row.sha256, row.custom_id.encode()))


class RowIndex:
    """The records of one batch; a context manager.

    Args:
        path: the ``rows.bin`` of the batch.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._map) // _RECORD.size

    def __getitem__(self, number: int) -> Row:
        if not 0 <= number < len(self):
            raise IndexError(number)
        offset, length, sha256, custom_id = _RECORD.unpack_from(self._map, number * _RECORD.size)
        return Row(offset, length, sha256, custom_id.rstrip(b"\0").decode())

    def __iter__(self) -> Iterator[Row]:
        return (self[number] for number in range(len(self)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()
