from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchspec.inputs.columns import Column
from batchspec.inputs.tables import InputTable
from batchspec.plan.model import Action, Change, Counts, Estimate, Outcome, SpecPlan
from batchspec.plan.unchanged import Circumstances, recall, remember
from batchspec.spec.model import (
    Check,
    FileRef,
    Inputs,
    Output,
    Prompt,
    Relationships,
    Spec,
)

COLUMNS = (Column(name="id", type="BIGINT"), Column(name="text", type="VARCHAR"))
PLAN = SpecPlan(
    name="job",
    model="m",
    items=2,
    counts=Counts(unchanged=1, failed=1),
    reasons={},
    requests=0,
    batches=0,
    bytes=0,
    estimate=Estimate(),
    changes=(
        Change(
            key="1",
            action=Action.FAILED,
            reason=None,
            request_hash="a" * 64,
            outcome=Outcome.REFUSED,
        ),
    ),
    digests={"spec": "5" * 64, "inputs": "6" * 64},
)


class Kept:
    """A project whose last plan was kept."""

    def __init__(self, root: Path, inputs: Inputs) -> None:
        self.root = root
        self.path = root / "state" / "job.unchanged.json"
        self.spec = Spec(
            version=1,
            name="job",
            inputs=inputs,
            model="m",
            max_tokens=5,
            prompt=Prompt(user="x"),
            outputs=(Output(path="o.jsonl"),),
        )
        self.state: dict[str, Any] = {"lineage": "l", "serial": 3}
        self.options: dict[str, Any] = {"retry_failed": False}
        self.digest = "d"
        self.sources: tuple[str, ...] = ("data/a.csv",)
        (root / "data").mkdir()
        (root / "data" / "a.csv").write_text("id,text\n1,x\n")

    @property
    def circumstances(self) -> Circumstances:
        """What the plan depends on, as it is now."""
        return Circumstances(root=self.root, spec=self.spec, state=self.state, options=self.options)

    def remember(self, plan: SpecPlan = PLAN, *, certain: bool = True) -> bool:
        """Keep a plan."""
        table = InputTable(
            relation="r",
            index="i",
            columns=COLUMNS,
            key=("id",),
            count=2,
            sources=self.sources,
            certain=certain,
        )
        return remember(self.path, plan, table, render_digest="d", circumstances=self.circumstances)

    def recall(self) -> SpecPlan | None:
        """Ask for the kept plan."""

        def compiled(columns: tuple[Column, ...]) -> str:
            assert columns == COLUMNS
            return self.digest

        return recall(self.path, self.circumstances, compiled)


TABLE = Inputs(table="data/*.csv", key=("id",))
SQL = Inputs(sql="SELECT * FROM 'data/a.csv' WHERE id > 0", key=("id",))


@pytest.mark.parametrize(
    "inputs", [TABLE, SQL, Inputs(files=("data/*.csv",)), Inputs(table="data/a.csv", key=("id",))]
)
def test_an_unchanged_project_has_the_same_plan(tmp_path: Path, inputs: Inputs) -> None:
    """Equal bytes give the equal plan, even when a file was touched or copied."""
    kept = Kept(tmp_path, inputs)
    assert kept.remember()
    (tmp_path / "data" / "a.csv").write_text("id,text\n1,x\n")
    found = kept.recall()
    assert found is not None
    assert replace(found, estimate=PLAN.estimate, reasons={}) == PLAN


def edited(kept: Kept) -> None:
    """Change a value without changing the file's size."""
    (kept.root / "data" / "a.csv").write_text("id,text\n2,x\n")


MOVES: dict[str, Callable[[Kept], object]] = {
    "edited input": edited,
    "removed input": lambda kept: (kept.root / "data" / "a.csv").unlink(),
    "another file": lambda kept: (kept.root / "data" / "b.csv").write_text("id,text\n"),
    "state": lambda kept: kept.state.update(serial=4),
    "option": lambda kept: kept.options.update(retry_failed=True),
    "prompt": lambda kept: setattr(kept, "digest", "e"),
    "spec": lambda kept: setattr(kept, "spec", kept.spec.model_copy(update={"max_tokens": 6})),
    "no file": lambda kept: kept.path.unlink(),
    "damaged": lambda kept: kept.path.write_text(kept.path.read_text()[:-20]),
    "foreign": lambda kept: kept.path.write_text("[1]"),
    "newer": lambda kept: kept.path.write_text(
        json.dumps(json.loads(kept.path.read_text()) | {"format_version": 99})
    ),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=list(MOVES))
def test_whatever_moved_is_planned_again(tmp_path: Path, move: Callable[[Kept], object]) -> None:
    """One difference is enough."""
    kept = Kept(tmp_path, TABLE)
    assert kept.remember()
    move(kept)
    assert kept.recall() is None


@pytest.mark.parametrize(
    "plan",
    [
        replace(PLAN, requests=1, counts=Counts(submit=1, unchanged=1)),
        replace(PLAN, counts=Counts(submit=1, unchanged=1, duplicate=1)),  # another spec submits
        replace(PLAN, counts=Counts(unchanged=2, removed=1)),
        replace(PLAN, changes=tuple(PLAN.changes) * 1001),
        replace(PLAN, items=0),
    ],
)
def test_only_plans_without_work_are_kept(tmp_path: Path, plan: SpecPlan) -> None:
    """A plan that submits, or that a run would settle, is made anew; a former one is dropped."""
    kept = Kept(tmp_path, TABLE)
    assert kept.remember()
    assert not kept.remember(plan)
    assert kept.recall() is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM 'data/*.csv'",
        'SELECT * FROM "data/a?.csv"',
        "SELECT * FROM read_csv('data/[ab].csv')",
        "SELECT * FROM glob('data/{a,b}.csv')",
    ],
)
def test_patterns_in_sql_are_not_trusted(tmp_path: Path, sql: str) -> None:
    """A new file could match, and only DuckDB would know."""
    kept = Kept(tmp_path, Inputs(sql=sql, key=("id",)))
    assert not kept.remember()


def test_sql_in_a_file_counts_with_its_content(tmp_path: Path) -> None:
    """The query's file is watched like the data."""
    kept = Kept(tmp_path, Inputs(sql=FileRef(file="q.sql"), key=("id",)))
    (tmp_path / "q.sql").write_text("SELECT * FROM 'data/a.csv'")
    assert kept.remember()
    assert kept.recall() is not None
    (tmp_path / "q.sql").write_text("SELECT 1 * id FROM 'data/a.csv'")
    assert kept.recall() is None


def test_uncertain_inputs_are_not_kept(tmp_path: Path) -> None:
    """Inputs that files alone do not decide have to be read."""
    assert not Kept(tmp_path, SQL).remember(certain=False)


def with_outputs(kept: Kept) -> None:
    """Let outputs and checks read files, by reference, by SQL and by name."""
    (kept.root / "sql").mkdir()
    (kept.root / "sql" / "select.sql").write_text("SELECT key FROM results JOIN 'data/b.csv'")
    (kept.root / "data" / "b.csv").write_text("id\n1\n")
    (kept.root / "data" / "labels.csv").write_text("id,label\n1,x\n")
    kept.spec = kept.spec.model_copy(
        update={
            "outputs": (Output(path="o.jsonl", select=FileRef(file="sql/select.sql")),),
            "checks": (
                Check(sql="SELECT key FROM output WHERE key NOT LIKE '%*'"),
                Check(relationships=Relationships(column="a", to="data/labels.csv", field="id")),
            ),
        }
    )


@pytest.mark.parametrize("name", ["sql/select.sql", "data/b.csv", "data/labels.csv"])
def test_an_edit_of_what_outputs_and_checks_read_is_planned_again(
    tmp_path: Path, name: str
) -> None:
    """The kept plan said that they fit together; an edited file may not."""
    kept = Kept(tmp_path, Inputs(table="data/a.csv"))
    with_outputs(kept)
    assert kept.remember()
    assert kept.recall() is not None
    (tmp_path / name).write_text("SELECT nothing")
    assert kept.recall() is None


def test_a_file_that_outputs_mention_may_appear_later(tmp_path: Path) -> None:
    """What it would change is not known, so the plan is made again."""
    kept = Kept(tmp_path, Inputs(table="data/a.csv"))
    with_outputs(kept)
    (tmp_path / "data" / "b.csv").unlink()
    assert kept.remember()
    (tmp_path / "data" / "b.csv").write_text("id\n")
    assert kept.recall() is None


@pytest.mark.parametrize("sql", ["SELECT 1 FROM 'data/*.csv'", "FROM read_json('a/*')"])
def test_patterns_in_checks_are_not_certain(tmp_path: Path, sql: str) -> None:
    """Which files a pattern means is known to DuckDB alone."""
    kept = Kept(tmp_path, Inputs(table="data/a.csv"))
    kept.spec = kept.spec.model_copy(update={"checks": (Check(sql=sql),)})
    assert not kept.remember()
