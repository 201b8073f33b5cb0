"""The decided items of one plan, inside the engine that decided them; made by `plan.diff`."""

# ruff: noqa: S608 - the names in this SQL are ours, and literals are quoted.

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import starmap
from pathlib import Path
from typing import Any

from batchspec.inputs.engine import Engine
from batchspec.plan.baseline import Baseline, BaselinePaths, write_baseline
from batchspec.plan.changes import ChangeRow, keep_changes
from batchspec.plan.examples import Example
from batchspec.plan.hashing import merkle_top
from batchspec.plan.model import Action, Change, Counts, Reason
from batchspec.plan.pack import Entry
from batchspec.plan.questions import Ask, Question
from batchspec.plan.sizes import Sizes, Weights

_SIZES = (
    "requests",
    "chars",
    "over_requests",
    "over_chars",
    "groups",
    "marked_chars",
    "file_chars",
    "over_file_chars",
    "unsized",
    "images",
    "documents",
)
_LEAF = "sha256('L' || lower(hex(hash)) || key_json)"
"""The SQL of `hashing.merkle_leaf`."""


@dataclass(frozen=True, kw_only=True)  # no slots: the counts are cached properties
class ItemTable:
    """What is done with every item. Valid while its engine and its baseline's file are."""

    engine: Engine
    prefix: str
    """Begins the name of every table of this plan."""
    keys: str
    """The typed key columns, ``k0, k1``: what items are ordered by."""
    implied: int
    """Unchanged items that stand in the baseline's file only."""
    removed: int
    """Keys of the baseline that the inputs no longer have."""
    removed_keys: str
    """The typed key columns of those; they are the baseline's."""
    meta: Mapping[str, Any]
    """What the next baseline is stamped with."""
    same: Baseline | None = None
    """The baseline that has just these items, their rows and their hashes; None: there is none."""
    changed_files: tuple[str, ...] = ()
    """Files of the prompt whose content is not what it was."""
    elsewhere: str | None = None
    """Relation of questions (``hash``) that other specs of the plan submit; None: no such ones."""
    former: str | None = None
    """Reads the baseline: key_json, hash…; None: there is none that matters."""
    examples: tuple[Example, ...] = ()
    """A few of the items whose question changed, in key order."""

    @property
    def relation(self) -> str:
        """A view with one row per item: key_json, k0…, row_digest, hash, bytes, chars, action."""
        return f"{self.prefix}_items"

    @cached_property
    def counts(self) -> Counts:
        """Items by action."""
        found = self._by("action")
        submit = found.get(Action.SUBMIT, 0)
        return Counts(
            submit=submit,
            unchanged=found.get(Action.UNCHANGED, 0) + self.implied,
            in_flight=found.get(Action.IN_FLIGHT, 0),
            failed=found.get(Action.FAILED, 0),
            removed=self.removed,
            duplicate=submit - self.requests,
        )

    @cached_property
    def reasons(self) -> dict[Reason, int]:
        """Items to submit by reason, in the order of `Reason`; zeros are left out."""
        found = self._by("reason")
        return {reason: found[reason] for reason in Reason if reason in found}

    @cached_property
    def requests(self) -> int:
        """Distinct questions to submit."""
        return int(self.engine.one(f"SELECT count(DISTINCT hash) FROM ({self._submit})")[0])

    @property
    def items(self) -> int:
        """Rows of the inputs."""
        counts = self.counts
        return counts.submit + counts.unchanged + counts.in_flight + counts.failed

    def asks(self) -> Iterator[Ask]:
        """Yield the distinct questions to submit, in the key order of the first item of each."""
        rows = self.engine.rows(
            f"SELECT hash, coalesce(attempt, 0) + 1, spot FROM {self.asked} ORDER BY {self.order}"
        )
        return starmap(Ask, rows)

    def sampled_questions(self, count: int) -> Iterator[Question]:
        """Yield the ``count`` questions with the smallest hashes, a lasting random sample."""
        rows = self.engine.rows(
            "SELECT hash, coalesce(attempt, 0) + 1, spot, bytes, chars, key_json,"
            " coalesce(images, 0), coalesce(documents, 0)"
            f" FROM {self.asked} ORDER BY hash LIMIT {int(count)}"
        )
        return starmap(Question, rows)

    @property
    def order(self) -> str:
        """In what order questions are sent: those with one prefix together, else by key."""
        return f"prefix NULLS FIRST, {self.keys}"

    def entries(self) -> Iterator[Entry]:
        """Yield what packing reads of each question, in the order of `asks`."""
        yield from self.engine.rows(
            "SELECT bytes, coalesce(attempt, 0) + 1, key_json"
            f" FROM {self.asked} ORDER BY {self.order}"
        )

    def changes(self, folder: Path | None = None) -> Sequence[Change]:
        """Return every submitted and failed item in key order, then every removed one.

        Args:
            folder: Where many of them are kept; see `keep_changes`.

        Raises:
            DiskFailure: They cannot be kept.
        """
        return keep_changes(self._changes(), folder)

    def _changes(self) -> Iterator[ChangeRow]:
        yield from self.engine.rows(
            f"SELECT key_json, action, reason, lower(hex(hash)), outcome FROM {self.prefix}_work"
            f" WHERE action IN ('{Action.SUBMIT}', '{Action.FAILED}') ORDER BY {self.keys}"
        )
        if self.removed:
            yield from self.engine.rows(
                f"SELECT key_json, '{Action.REMOVED}', NULL, lower(hex(hash)), NULL"
                f" FROM {self.prefix}_removed ORDER BY {self.removed_keys}"
            )

    def sizes(self, weights: Weights) -> Sizes:
        """Return how large the questions to submit are."""
        files = f"images::BIGINT * {weights.image} + documents::BIGINT * {weights.document}"
        if weights.window is not None:
            files = f"least({files}, greatest({weights.window} - chars::BIGINT, 0))"
        step = weights.step_chars
        over = "false" if step is None else f"chars + coalesce(files, 0) > {step}"
        row = self.engine.one(
            f"SELECT count(*), sum(chars), count(*) FILTER ({over}), sum(chars) FILTER ({over}),"
            " count(DISTINCT prefix), sum(marked), sum(files), sum(files) FILTER"
            f" ({over}), count(*) FILTER (images + documents > 0), sum(images), sum(documents)"
            f" FROM (SELECT *, {files} AS files FROM {self.asked})"
        )
        found = zip(_SIZES, (int(value or 0) for value in row), strict=True)
        return Sizes(**dict(found))

    @cached_property
    def inputs_digest(self) -> str:
        """The hex Merkle root over key and request hash of every item, in key order.

        It is `hashing.merkle_root`; DuckDB hashes the items and puts them in order.
        """
        if self.same is not None:
            return self.same.inputs
        blocks = self.engine.blocks(
            f"SELECT d FROM (SELECT {self.keys}, unhex({_LEAF}) AS d FROM {self.relation})"
            f" ORDER BY {self.keys}"
        )
        return merkle_top(b"".join([leaf for (leaf,) in block]) for block in blocks)

    def write_baseline(self, paths: BaselinePaths) -> None:
        """Keep the items as what the next plan is compared with.

        Raises:
            DiskFailure: The files cannot be written; the former ones stand or count as absent.
        """
        # One that is the same was made under the same render digest and key: its stamp holds, too.
        if self.same is not None and self.same.items == paths.items:
            return
        meta = {**self.meta, "rows": self.items, "inputs": self.inputs_digest}
        columns = f"key_json, {self.keys}, row_digest, hash, bytes, chars"
        write_baseline(self.engine, f"SELECT {columns} FROM {self.relation}", paths, meta)

    @property
    def asked(self) -> str:
        """The SQL of the distinct questions: of several items alike, the first by key."""
        submit = self._submit
        if self.counts.duplicate:
            submit += f" QUALIFY row_number() OVER (PARTITION BY hash ORDER BY {self.keys}) = 1"
        return f"({submit})"

    @property
    def _submit(self) -> str:
        others = f"ANTI JOIN {self.elsewhere} USING (hash)" if self.elsewhere else ""
        return f"FROM {self.prefix}_work {others} WHERE action = '{Action.SUBMIT}'"

    def _by(self, column: str) -> dict[str, int]:
        rows = self.engine.rows(
            f"SELECT {column}, count(*) FROM {self.prefix}_work WHERE {column} IS NOT NULL"
            f" GROUP BY {column}"
        )
        return {str(value): int(count) for value, count in rows}
