"""A shared state as one thing: its ledger, its segments, and the notes on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from batchspec.clock import Clock
from batchspec.spec.model import State
from batchspec.spec.shared_state import identity, shown_address
from batchspec.state.mirror import Mirror, shared_note_path
from batchspec.state.objects import Objects, open_objects
from batchspec.state.segments import FolderSegments
from batchspec.state.shared_ledger import Address, SharedLedger, SharedReader
from batchspec.state.shared_segments import SharedSegments

MEGABYTE = 1 << 20


@dataclass(slots=True)
class Team:
    """The shared state of one project.

    Attributes:
        settings: The project's settings; ledger and segments are given.
        namespace: The project's part of the database and of the bucket.
        environ: The environment, which holds the credentials.
    """

    settings: State
    namespace: str
    environ: Mapping[str, str]
    _objects: Objects | None = field(default=None, init=False)
    _segments: dict[Path, SharedSegments] = field(default_factory=dict, init=False)

    @property
    def address(self) -> Address:
        """Where the ledger is."""
        url, schema = self.settings.ledger or "", f"batchspec_{self.namespace}"
        return Address(url=url, shown=f"{shown_address(url)} (schema {schema})", schema=schema)

    @property
    def shown(self) -> str:
        """Ledger and segments, without secrets."""
        return f"{self.address.shown} and {shown_address(self._place())}"

    def _place(self) -> str:
        parts = urlsplit(self.settings.segments or "")
        path = f"{parts.path.rstrip('/')}/{self.namespace}"
        return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))

    def objects(self) -> Objects:
        """Return the store, opened on first use."""
        if self._objects is None:
            self._objects = open_objects(self._place(), shown_address(self._place()), self.environ)
        return self._objects

    def segments(self, cache: Path) -> SharedSegments:
        """Return the segments, with copies in a local folder; the same for all threads."""
        if cache not in self._segments:
            limit = self.settings.cache_mb * MEGABYTE
            self._segments[cache] = SharedSegments(FolderSegments(cache), self.objects(), limit)
        return self._segments[cache]

    def reader(self, clock: Clock, randomness: Callable[[int], bytes]) -> SharedReader | None:
        """Open the ledger for reading; None when nobody has made it yet."""
        return SharedReader.open(self.address, clock, randomness)

    def ledger(self, clock: Clock, randomness: Callable[[int], bytes]) -> SharedLedger:
        """Open the ledger for writing; it is made when it is not there."""
        return SharedLedger(self.address, clock, randomness, self.settings.lease_seconds)

    def mirror(self) -> Mirror:
        """Return where the notes on the ledger are kept."""
        name = f"{identity(self.settings.ledger or '')} {self.address.schema}"
        return Mirror(path=shared_note_path(name, self.environ), objects=self.objects())
