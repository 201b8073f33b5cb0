# ruff: noqa: S608 - every name in this SQL is the tests' own.

"""Plans as values, and a world of rows, renderings and outcomes to plan against."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchspec.inputs.engine import Column, Engine
from batchspec.inputs.tables import InputTable
from batchspec.plan.baseline import BaselinePaths
from batchspec.plan.diff import DiffOptions, diff_items
from batchspec.plan.hashing import request_hash
from batchspec.plan.items import ItemTable
from batchspec.plan.model import (
    Action,
    Change,
    Counts,
    Estimate,
    Outcome,
    Plan,
    Reason,
    SpecPlan,
)
from batchspec.plan.questions import Spool
from batchspec.problems import Problem
from batchspec.prompt.request import Group, ItemError
from batchspec.spec.model import Inputs, Output, Prompt, Spec

IDENTITY = b"{}"
PARTS = ("prompt", "files", "model", "params", "schema", "vars", "cache")


@dataclass
class Asks:
    """A renderer that asks for the text of a row, and counts how often it is called."""

    version: str = "1"
    parts: dict[str, str] = field(default_factory=lambda: dict.fromkeys(PARTS, "1"))
    files: dict[str, str] = field(default_factory=dict)
    identity: bytes = IDENTITY
    rendered: int = 0
    reads_files: bool = False
    chars_per_token: Decimal = Decimal("2.5")
    page_tokens: int = 3000
    shows_files: bool = False

    @property
    def render_digest(self) -> str:
        """Stand for everything that rendering reads."""
        return self.version + json.dumps(self.parts)

    def group(self, row: Mapping[str, Any]) -> Group | None:
        """Return what some rows share."""
        prefix = row.get("prefix")
        return None if prefix is None else Group(digest=prefix, chars=len(prefix))

    def render(self, row: Mapping[str, Any]) -> bytes:
        """Return a request of the row's text."""
        self.rendered += 1
        if row["text"] == "bad":
            raise ItemError("the template failed", "Look at it.")
        wording = "|".join(self.parts[name] for name in sorted(self.parts))
        return f'{{"ask":"{wording} {row["text"]}"}}'.encode()


@dataclass
class World:
    """An engine with rows in it, and what is remembered from one plan to the next."""

    root: Path
    engine: Engine
    renderer: Asks = field(default_factory=Asks)
    spec: Spec = field(
        default_factory=lambda: Spec(
            version=1,
            name="job-one",
            inputs=Inputs(rows=({},)),
            model="m",
            max_tokens=5,
            prompt=Prompt(user="x"),
            outputs=(Output(path="o.jsonl"),),
        )
    )
    outcomes: dict[bytes, tuple[Outcome, int]] = field(default_factory=dict)
    key_type: str = "VARCHAR"

    @property
    def paths(self) -> BaselinePaths:
        """Where the last plan's items are kept."""
        return BaselinePaths.under(self.root / "items", "job-one")

    def table(self, rows: Mapping[object, str]) -> InputTable:
        """Return rows of (id, text) as opened inputs."""
        data = [(str(key), text) for key, text in rows.items()]
        self.engine.register(
            "arrived",
            pa.table({"id": [key for key, _ in data], "text": [text for _, text in data]}),
        )
        self.engine.execute(
            f"CREATE OR REPLACE TABLE source AS SELECT id::{self.key_type} AS id, text FROM arrived"
        )
        return self.opened("FROM source", len(data))

    def opened(self, select: str, count: int) -> InputTable:
        """Open a query as inputs, with its index made by a first scan."""
        self.engine.execute(f"CREATE OR REPLACE VIEW inputs_job AS {select}")
        table = InputTable(
            relation="inputs_job",
            index="index_job",
            columns=(
                Column(name="id", type=self.key_type),
                Column(name="text", type="VARCHAR"),
            ),
            key=("id",),
            count=count,
            sources=(),
            certain=True,
        )
        self.engine.execute(
            f"CREATE OR REPLACE TABLE index_job AS SELECT {table.key_expression} AS key_json,"
            f" {table.digest_expression} AS row_digest, id AS k0 FROM inputs_job"
        )
        return table

    def known(self) -> Path:
        """Write what is known of questions."""
        path = self.root / "known.parquet"
        columns = {
            "hash": pa.array([digest[:16] for digest in self.outcomes], pa.binary()),
            "outcome": pa.array([int(o) for o, _ in self.outcomes.values()], pa.uint8()),
            "attempt": pa.array([attempt for _, attempt in self.outcomes.values()], pa.uint16()),
            "submission": pa.array(["abcdefgh"] * len(self.outcomes), pa.string()),
        }
        pq.write_table(pa.table(columns), path)
        return path

    def plan(
        self,
        rows: Mapping[object, str] | InputTable,
        options: DiffOptions | None = None,
        spool: Spool | None = None,
    ) -> tuple[ItemTable | None, tuple[Problem, ...]]:
        """Plan rows against what is remembered."""
        table = rows if isinstance(rows, InputTable) else self.table(rows)
        self.renderer.rendered = 0
        return diff_items(
            self.engine,
            table,
            self.renderer,
            spec=self.spec,
            baseline=self.paths,
            known=self.known(),
            spool=spool,
            options=options or DiffOptions(),
        )

    def good(
        self, rows: Mapping[object, str] | InputTable, options: DiffOptions | None = None
    ) -> ItemTable:
        """Plan without problems."""
        items, problems = self.plan(rows, options)
        assert problems == ()
        assert items is not None
        return items

    def answer(self, rows: Mapping[object, str], outcome: Outcome = Outcome.SUCCEEDED) -> None:
        """Give an outcome to the questions of rows."""
        for text in rows.values():
            self.outcomes[self.hash(text)] = (outcome, 1)

    def hash(self, text: str) -> bytes:
        """Return the hash of the question about a text."""
        return request_hash(self.renderer.render({"text": text}), IDENTITY)

    def applied(self, rows: Mapping[object, str]) -> None:
        """Plan rows, and have everything answered."""
        self.good(rows).write_baseline(self.paths)
        self.answer(rows)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A project folder with an engine."""
    with Engine.open(root=tmp_path, temp=tmp_path / "tmp") as engine:
        yield World(root=tmp_path, engine=engine)


@pytest.fixture
def rows() -> dict[object, str]:
    """Three rows, not in the order of their keys."""
    return {"b": "two", "a": "one", "c": "three"}


@pytest.fixture
def plan() -> Plan:
    """A plan with every kind of change."""
    changes = (
        Change(key='"T-17"', action=Action.SUBMIT, reason=Reason.NEW, request_hash="a" * 64),
        Change(
            key='["ü",18]',
            action=Action.SUBMIT,
            reason=Reason.RETRY,
            request_hash="b" * 64,
            outcome=Outcome.EXPIRED,
        ),
        Change(
            key="19",
            action=Action.FAILED,
            reason=None,
            request_hash="c" * 64,
            outcome=Outcome.BAD_REQUEST,
        ),
        Change(key='"T-20"', action=Action.REMOVED, reason=None, request_hash="d" * 64),
    )
    spec = SpecPlan(
        name="ticket-triage",
        model="claude-haiku-4-5",
        items=1000,
        counts=Counts(submit=2, unchanged=997, failed=1, removed=1),
        reasons={Reason.NEW: 1, Reason.RETRY: 1},
        requests=2,
        batches=1,
        bytes=23_811,
        estimate=Estimate(
            input_tokens=4120,
            output_tokens=320,
            usd=Decimal("0.00286"),
            usd_min=Decimal("0.00171"),
            usd_max=Decimal("0.00401"),
            usd_without_batch=Decimal("0.00572"),
            notes=("No breakpoint: the prefix is too short.",),
        ),
        changes=changes,
        digests={"spec": "5" * 64, "inputs": "6" * 64},
    )
    return Plan(specs=(spec,), state={"lineage": "abc", "serial": 7})
