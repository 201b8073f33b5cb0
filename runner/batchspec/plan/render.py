"""The Python part of a plan: rendering the rows that no fingerprint answers for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from batchspec.inputs.tables import Row
from batchspec.plan.estimate import estimate_chars
from batchspec.plan.hashing import RequestHasher
from batchspec.plan.model import JsonKey
from batchspec.plan.questions import Spool
from batchspec.problems import Problem
from batchspec.prompt.request import ItemError

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 8192
"""Rendered rows held in memory at a time."""
MAX_NAMED = 20
"""So many items that cannot be rendered are named; the rest are counted."""
COLUMNS = {
    "key_json": "VARCHAR",
    "row_digest": "BLOB",
    "hash": "BLOB",
    "bytes": "UINTEGER",
    "chars": "UINTEGER",
    "spot": "BIGINT",
}
"""What is kept of a rendered row, with DuckDB's types; ``spot`` is its offset in the spool."""


class Renders(Protocol):
    """What a plan needs of `prompt.request.Renderer`."""

    @property
    def identity(self) -> bytes:
        """Canonical JSON of what changes an answer besides the params."""
        ...

    @property
    def render_digest(self) -> str:
        """Digest of all that rendering reads but for the rows."""
        ...

    @property
    def parts(self) -> Mapping[str, str]:
        """Digest per named part of the request."""
        ...

    def render(self, row: Mapping[str, Any]) -> bytes:
        """Return canonical params, the bytes that are sent; raise ItemError."""
        ...


@dataclass(slots=True, kw_only=True)
class RenderJob:
    """What rendering needs, and what went wrong on the way."""

    renderer: Renders
    spool: Spool | None
    on_progress: Callable[[int], None]
    """Told after every `CHUNK` rows how many are done."""
    done: int = 0
    failures: list[tuple[JsonKey, ItemError]] = field(default_factory=list)
    failed: int = 0

    def chunks(self, rows: Iterable[Row]) -> Iterator[pa.RecordBatch]:
        """Yield record batches of `COLUMNS` for the rows that can be rendered."""
        hasher = RequestHasher(self.renderer.identity)
        columns: tuple[list[object], ...] = tuple([] for _ in COLUMNS)
        keys, digests, hashes, lengths, chars, spots = columns
        for row in rows:
            params = self._params(row)
            if params is None:
                continue
            keys.append(row.key_json)
            digests.append(row.digest)
            hashes.append(hasher.digest(params))
            lengths.append(len(params))
            chars.append(estimate_chars(params))
            spots.append(-1 if self.spool is None else self.spool.append(params))
            if len(keys) == CHUNK:
                yield self._chunk(columns)
        if keys:
            yield self._chunk(columns)

    def problems(self) -> tuple[Problem, ...]:
        """Return what went wrong, at most `MAX_NAMED` items by name."""
        found = [
            Problem(
                code="render-failed",
                summary=error.summary,
                detail=f"This happened for item {key}. {error.detail}".strip(),
            )
            for key, error in self.failures
        ]
        if self.failed > len(self.failures):
            more = self.failed - len(self.failures)
            found.append(
                Problem(
                    code="render-failed",
                    summary="more items cannot be rendered",
                    detail=f"{more:,} more items fail as well; the first ones are named above.",
                )
            )
        return tuple(found)

    def _params(self, row: Row) -> bytes | None:
        try:
            return self.renderer.render(row.values)
        except ItemError as error:
            self.failed += 1
            if len(self.failures) < MAX_NAMED:
                self.failures.append((row.key_json, error))
            return None

    def _chunk(self, columns: tuple[list[object], ...]) -> pa.RecordBatch:
        # A plan without changes never comes here, and so does not pay for the import.
        import pyarrow as pa  # noqa: PLC0415

        types = {
            "VARCHAR": pa.string(),
            "BLOB": pa.binary(),
            "UINTEGER": pa.uint32(),
            "BIGINT": pa.int64(),
        }
        arrays = [
            pa.array(values, types[kind])
            for values, kind in zip(columns, COLUMNS.values(), strict=True)
        ]
        batch = pa.RecordBatch.from_arrays(arrays, names=list(COLUMNS))
        self.done += len(columns[0])
        self.on_progress(self.done)
        for values in columns:
            values.clear()
        return batch
