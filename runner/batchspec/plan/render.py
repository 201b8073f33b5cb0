"""The Python part of a plan: rendering the rows that no fingerprint answers for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from batchspec.inputs.tables import SAMPLE, Row
from batchspec.plan.estimate import estimate_chars
from batchspec.plan.hashing import RequestHasher
from batchspec.plan.model import JsonKey
from batchspec.plan.questions import Spool
from batchspec.problems import Place, Problem
from batchspec.prompt.contents import measure
from batchspec.prompt.request import Group, ItemError
from batchspec.spec.model import Spec

CHUNK = 1024
"""Rendered rows held in memory at a time; more take more memory and no less time."""
MAX_CAUSES = 20
"""So many different failures of rendering are told; further ones are counted."""
SAMPLES = 3
"""So many items are named for each of them."""
Rendered = tuple[JsonKey, bytes, bytes, int, int, int, bytes, int, int, int]
"""A rendered row: key, row digest, request hash, bytes, characters, offset in the spool or -1,
digest of what it shares with others behind a cache breakpoint or nothing, the characters of that,
and its images and documents of unknown size."""


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

    def group(self, row: Mapping[str, Any]) -> Group | None:
        """Return what items have in common whose requests should travel together, or None."""
        ...

    @property
    def chars_per_token(self) -> Decimal:
        """Characters of text that cost a token of its model."""
        ...

    @property
    def page_tokens(self) -> int:
        """Tokens that a page of a PDF is taken for."""
        ...

    @property
    def shows_files(self) -> bool:
        """Whether requests may show files: of what size, only rendering tells."""
        ...

    @property
    def reads_files(self) -> bool:
        """Whether items name files whose content no column holds: a row says too little then."""
        ...

    @property
    def files(self) -> Mapping[str, str]:
        """Digest per file that the prompt reads."""
        ...

    def render(self, row: Mapping[str, Any]) -> bytes:
        """Return canonical params, files as references (`prompt.contents`); raise ItemError."""
        ...


@dataclass(slots=True, kw_only=True)
class _Cause:
    """Items that cannot be rendered, for one reason."""

    detail: str
    """Of the first of them; those of the others may differ in the data they quote."""
    items: int = 0
    samples: list[JsonKey] = field(default_factory=list)

    def add(self, key: JsonKey) -> None:
        """Count an item, and remember it when it is one of the first."""
        self.items += 1
        if len(self.samples) < SAMPLES:
            self.samples.append(key)

    def sentence(self) -> str:
        """Name the items: ``1,000 items fail so, for example 2, 4, 6. …``."""
        named = ", ".join(self.samples)
        if self.items == 1:
            who = f"This happened for item {named}."
        elif self.items == len(self.samples):
            who = f"This happened for {self.items} items: {named}."
        else:
            who = f"This happened for {self.items:,} items, for example {named}."
        return f"{who} {self.detail}".strip()


@dataclass(slots=True, kw_only=True)
class RenderJob:
    """What rendering needs, and what went wrong on the way."""

    renderer: Renders
    spool: Spool | None
    uploaded: bool
    """Files are sent as ids of uploaded files."""
    samples: int = 1
    """How often each item is asked; the rows know which asking they are."""
    on_progress: Callable[[int], None]
    """Told after every `CHUNK` rows how many are done."""
    keep: frozenset[JsonKey] = frozenset()
    """Items whose requests are kept as examples."""
    kept: dict[JsonKey, bytes] = field(default_factory=dict)
    done: int = 0
    causes: dict[tuple[str, str, Place | None], _Cause] = field(default_factory=dict)
    """By code, what went wrong and where the template stands in the spec."""
    uncounted: int = 0
    """Items that failed for causes beyond `MAX_CAUSES`."""

    def chunks(self, rows: Iterable[Row]) -> Iterator[list[Rendered]]:
        """Yield those rows that can be rendered, at most `CHUNK` at a time."""
        plain = RequestHasher(self.renderer.identity)
        copies = {n: RequestHasher(self.renderer.identity, n) for n in range(2, self.samples + 1)}
        chunk: list[Rendered] = []
        uploaded, per_token = self.uploaded, self.renderer.chars_per_token
        page_tokens = self.renderer.page_tokens
        for row in rows:
            request = self._request(row)
            if request is None:
                continue
            if row.key_json in self.keep:
                self.kept[row.key_json] = request
            measured = measure(
                request, uploaded=uploaded, per_token=per_token, page_tokens=page_tokens
            )
            hasher = copies.get(row.values[SAMPLE.name], plain) if copies else plain
            group = self.renderer.group(row.values)
            chunk.append(
                (
                    row.key_json,
                    row.digest,
                    hasher.digest(measured.identity),
                    measured.length,
                    estimate_chars(measured.text) + measured.chars,
                    -1 if self.spool is None else self.spool.append(request),
                    b"" if group is None else group.digest,
                    0 if group is None else group.chars,
                    measured.unsized.images,
                    measured.unsized.documents,
                )
            )
            if len(chunk) == CHUNK:
                yield self._counted(chunk)
                chunk = []
        if chunk:
            yield self._counted(chunk)

    def problems(self) -> tuple[Problem, ...]:
        """Return what went wrong: one problem for each cause, with its place in the spec."""
        found = [
            Problem(code=code, summary=summary, detail=cause.sentence(), where=where)
            for (code, summary, where), cause in self.causes.items()
        ]
        if self.uncounted:
            found.append(
                Problem(
                    code="render-failed",
                    summary="more items cannot be rendered",
                    detail=f"{self.uncounted:,} more items fail for other reasons.",
                )
            )
        return tuple(found)

    def _request(self, row: Row) -> bytes | None:
        try:
            return self.renderer.render(row.values)
        except ItemError as error:
            self._failed(row.key_json, error)
            return None

    def _failed(self, key: JsonKey, error: ItemError) -> None:
        group = (error.code, error.summary, error.where)
        if group not in self.causes and len(self.causes) == MAX_CAUSES:
            self.uncounted += 1
            return
        self.causes.setdefault(group, _Cause(detail=error.detail)).add(key)

    def _counted(self, chunk: list[Rendered]) -> list[Rendered]:
        self.done += len(chunk)
        self.on_progress(self.done)
        return chunk


def sample_of(row: Row, spec: Spec) -> int | None:
    """Return by which number a row's question differs from the plain one; None: by none."""
    number = row.values[SAMPLE.name] if spec.samples > 1 else 1
    return None if number == 1 else int(number)
