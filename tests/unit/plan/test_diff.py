# ruff: noqa: S608 - every name in this SQL is the tests' own.

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchspec.errors import StateFailure
from batchspec.inputs.engine import Column, Engine
from batchspec.inputs.tables import InputTable
from batchspec.plan.baseline import BaselinePaths
from batchspec.plan.diff import DiffOptions, diff_items
from batchspec.plan.hashing import merkle_root, request_hash
from batchspec.plan.items import ItemTable
from batchspec.plan.model import Action, Counts, Outcome, Reason
from batchspec.plan.questions import Spool
from batchspec.problems import Problem
from batchspec.prompt.request import ItemError
from batchspec.spec.model import Inputs, Output, Prompt, Response, Retry, Spec

IDENTITY = b"{}"
PARTS = ("prompt", "model", "params", "schema", "vars", "cache")


@dataclass
class Asks:
    """A renderer that asks for the text of a row, and counts how often it is called."""

    version: str = "1"
    parts: dict[str, str] = field(default_factory=lambda: dict.fromkeys(PARTS, "1"))
    identity: bytes = IDENTITY
    rendered: int = 0

    @property
    def render_digest(self) -> str:
        """Stand for everything that rendering reads."""
        return self.version + json.dumps(self.parts)

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


ROWS: dict[object, str] = {"b": "two", "a": "one", "c": "three"}


def named(items: ItemTable) -> list[tuple[str, str, str | None]]:
    """Return the changes as key, action and reason."""
    return [
        (change.key, change.action.value, None if change.reason is None else change.reason.value)
        for change in items.changes()
    ]


def test_a_first_plan_asks_everything(world: World) -> None:
    """Without a past, every item is new and named in key order."""
    items = world.good(ROWS)
    assert items.counts == Counts(submit=3)
    assert items.reasons == {Reason.NEW: 3}
    assert named(items) == [(f'"{key}"', "submit", "new") for key in "abc"]
    first = next(iter(items.questions()))
    assert first.digest == world.hash("one")
    assert (first.attempt, first.offset, first.key_json) == (1, -1, '"a"')
    assert first.digest16 == first.digest[:16]
    assert first.length == len(world.renderer.render({"text": "one"}))


def test_a_second_plan_asks_and_renders_nothing(world: World) -> None:
    """Answered items are recognised by their rows alone."""
    world.applied(ROWS)
    items = world.good(dict(reversed(ROWS.items())))
    assert items.counts == Counts(unchanged=3)
    assert world.renderer.rendered == 0
    assert list(items.changes()) == []
    assert list(items.questions()) == []


def test_without_a_baseline_answers_are_found_by_rendering(world: World) -> None:
    """A lost cache costs time and no request."""
    world.applied(ROWS)
    for path in world.paths.files():
        path.unlink()
    items = world.good(ROWS)
    assert items.counts == Counts(unchanged=3)
    assert world.renderer.rendered == 3


def test_without_state_everything_is_new_again(world: World) -> None:
    """A baseline is no proof of an answer."""
    world.applied(ROWS)
    world.outcomes.clear()
    items = world.good(ROWS)
    assert items.reasons == {Reason.NEW: 3}
    assert world.renderer.rendered == 0


def test_changed_new_and_removed_rows_are_told_apart(world: World) -> None:
    """Each item has its own reason; removed ones come last."""
    world.applied(ROWS)
    items = world.good({"a": "one", "b": "other", "d": "four"})
    assert items.counts == Counts(submit=2, unchanged=1, removed=1)
    assert named(items) == [
        ('"b"', "submit", "input"),
        ('"d"', "submit", "new"),
        ('"c"', "removed", None),
    ]
    assert world.renderer.rendered == 2
    removed = list(items.changes())[-1]
    assert removed.request_hash == world.hash("three").hex()


@pytest.mark.parametrize("part", PARTS)
def test_a_changed_part_is_the_reason(world: World, part: str) -> None:
    """What changed in the spec is named for every item that it changes."""
    world.applied(ROWS)
    world.renderer.parts[part] = "2"
    assert world.good(ROWS).reasons == {Reason(part): 3}


def test_the_first_differing_part_wins_over_later_ones(world: World) -> None:
    """An item has one reason: an input comes before the model, the model before the prompt."""
    world.applied(ROWS)
    world.renderer.parts |= {"prompt": "2", "model": "2"}
    items = world.good({**ROWS, "a": "changed"})
    assert items.reasons == {Reason.INPUT: 1, Reason.MODEL: 2}


def test_a_new_render_version_that_makes_the_same_requests_asks_nothing(world: World) -> None:
    """Level two finds the answers by hash when level one cannot."""
    world.applied(ROWS)
    world.renderer.version = "2"
    assert world.good(ROWS).counts == Counts(unchanged=3)
    assert world.renderer.rendered == 3


def test_an_edit_taken_back_asks_nothing(world: World) -> None:
    """Answers are found in the whole past, not in the last plan only."""
    world.applied(ROWS)
    world.renderer.parts["prompt"] = "2"
    world.applied(ROWS)
    world.renderer.parts["prompt"] = "1"
    assert world.good(ROWS).counts == Counts(unchanged=3)


def test_items_alike_share_a_question(world: World) -> None:
    """One request answers all items that ask the same."""
    items = world.good({"z": "same", "y": "same", "x": "same", "w": "other"})
    assert items.counts == Counts(submit=4, duplicate=2)
    assert items.requests == 2
    assert [question.key_json for question in items.questions()] == ['"w"', '"x"']
    assert items.sizes().requests == 2


KEEP, FAIL = Response(on_invalid="keep"), Response(on_invalid="fail")
THRICE = Response(on_invalid="retry", attempts=3)
RULES: Sequence[tuple[Outcome, int, dict[str, Any], DiffOptions, Action]] = [
    (Outcome.IN_FLIGHT, 1, {}, DiffOptions(), Action.IN_FLIGHT),
    (Outcome.IN_FLIGHT, 1, {}, DiffOptions(retry_failed=True), Action.IN_FLIGHT),
    (Outcome.SUCCEEDED, 1, {}, DiffOptions(retry_failed=True), Action.UNCHANGED),
    (Outcome.UNCHECKED, 1, {}, DiffOptions(), Action.UNCHANGED),
    (Outcome.INVALID, 1, {"response": KEEP}, DiffOptions(), Action.UNCHANGED),
    (Outcome.INVALID, 1, {"response": FAIL}, DiffOptions(), Action.FAILED),
    (Outcome.INVALID, 1, {"response": FAIL}, DiffOptions(retry_failed=True), Action.SUBMIT),
    (Outcome.INVALID, 2, {"response": THRICE}, DiffOptions(), Action.SUBMIT),
    (Outcome.INVALID, 3, {"response": THRICE}, DiffOptions(), Action.FAILED),
    (Outcome.INVALID, 3, {"response": THRICE}, DiffOptions(retry_failed=True), Action.SUBMIT),
    (Outcome.REFUSED, 1, {}, DiffOptions(), Action.FAILED),
    (Outcome.TRUNCATED, 1, {}, DiffOptions(), Action.FAILED),
    (Outcome.BAD_REQUEST, 1, {}, DiffOptions(), Action.FAILED),
    (Outcome.LOST, 1, {}, DiffOptions(), Action.FAILED),
    (Outcome.LOST, 1, {}, DiffOptions(retry_failed=True), Action.SUBMIT),
    (Outcome.ERRORED, 3, {}, DiffOptions(), Action.SUBMIT),
    (Outcome.ERRORED, 4, {}, DiffOptions(), Action.FAILED),
    (Outcome.ERRORED, 1, {"retry": Retry(errored=0)}, DiffOptions(), Action.FAILED),
    (Outcome.MISSING, 3, {}, DiffOptions(), Action.SUBMIT),
    (Outcome.MISSING, 4, {}, DiffOptions(), Action.FAILED),
    (Outcome.EXPIRED, 2, {"retry": Retry(expired=2)}, DiffOptions(), Action.SUBMIT),
    (Outcome.EXPIRED, 3, {"retry": Retry(expired=2)}, DiffOptions(), Action.FAILED),
    (Outcome.CANCELED, 9, {}, DiffOptions(), Action.SUBMIT),
    (Outcome.CANCELED, 1, {}, DiffOptions(hold_canceled=True), Action.FAILED),
]


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize(("outcome", "attempt", "changes", "options", "action"), RULES)
def test_outcomes_decide(
    world: World,
    outcome: Outcome,
    attempt: int,
    changes: dict[str, Any],
    options: DiffOptions,
    action: Action,
    *,
    remembered: bool,
) -> None:
    """Each outcome leads to its action, whether the item was found by row or by rendering."""
    world.spec = world.spec.model_copy(update=changes)
    if remembered:
        world.applied(ROWS)
    world.answer(ROWS)
    world.outcomes[world.hash("two")] = (outcome, attempt)
    items = world.good(ROWS, options)
    other = 0 if action is Action.UNCHANGED else 1
    assert items.counts == Counts(unchanged=3 - other, **({action.value: 1} if other else {}))
    if action is Action.SUBMIT:
        assert items.reasons == {Reason.RETRY: 1}
        assert [q.attempt for q in items.questions()] == [attempt + 1]
    if action is Action.FAILED:
        (change,) = items.changes()
        assert (change.key, change.reason, change.outcome) == ('"b"', None, outcome)


def test_keys_are_ordered_by_their_type(world: World) -> None:
    """Numbers come in numeric order and keep their type."""
    world.key_type = "BIGINT"
    items = world.good({10: "a", 9: "b", -1: "c"})
    assert [change.key for change in items.changes()] == ["-1", "9", "10"]


def test_rendering_failures_name_items(world: World) -> None:
    """Every failing item is a problem, at most twenty by name."""
    rows: dict[object, str] = {"ok": "fine", **{f"k{n:03}": "bad" for n in range(25)}}
    items, problems = world.plan(rows)
    assert items is None
    assert len(problems) == 21
    assert {problem.code for problem in problems} == {"render-failed"}
    assert "Look at it." in problems[0].detail
    assert "5 more items" in problems[-1].detail


@pytest.mark.parametrize(
    "select",
    [
        "SELECT id, text || random() AS text FROM source",
        "SELECT id || random() AS id, text FROM source",
        "SELECT id, text FROM source WHERE random() < 0.5 OR random() < 0.5",
    ],
)
def test_unstable_inputs_are_refused(world: World, select: str) -> None:
    """Rows that differ between two readings would be paid for again and again."""
    world.table({n: f"text {n}" for n in range(200)})
    (count,) = world.engine.one("SELECT count(*) FROM source")
    table = world.opened(select, count)
    _, problems = world.plan(table)
    assert [problem.code for problem in problems] == ["unstable-inputs"]


def test_questions_are_read_from_the_spool(world: World, tmp_path: Path) -> None:
    """Everything to submit stands in the spool, retried items too, and is what was hashed."""
    world.applied(ROWS)
    world.outcomes[world.hash("two")] = (Outcome.EXPIRED, 1)
    with Spool(tmp_path / "spool") as spool:
        items, problems = world.plan({**ROWS, "d": "four"}, spool=spool)
        assert problems == ()
        assert items is not None
        found = {
            question.key_json: spool.read(question.offset, question.length)
            for question in items.questions()
        }
        assert all(request_hash(found[q.key_json], IDENTITY) == q.digest for q in items.questions())
    assert sorted(found) == ['"b"', '"d"']
    assert not (tmp_path / "spool").exists()


def test_a_baseline_that_rendering_contradicts_is_not_believed(
    world: World, tmp_path: Path
) -> None:
    """A wrong hash in the cache can cost no request and hide none."""
    world.applied(ROWS)
    rightly = world.hash("two")
    world.renderer.parts["prompt"] = "other"
    world.applied(ROWS)
    sidecar = json.loads(world.paths.sidecar.read_text())
    world.renderer.parts["prompt"] = "1"
    sidecar["render_digest"] = world.renderer.render_digest
    world.paths.sidecar.write_text(json.dumps(sidecar))
    world.outcomes = {rightly: (Outcome.SUCCEEDED, 1)}
    with Spool(tmp_path / "spool") as spool:
        items, _ = world.plan(ROWS, spool=spool)
        assert items is not None
        assert items.counts == Counts(submit=2, unchanged=1)
        assert items.reasons == {Reason.NEW: 2}


@pytest.mark.parametrize(
    "damage",
    [
        lambda items, _: items.write_bytes(items.read_bytes()[:-10]),
        lambda items, _: items.write_bytes(
            items.read_bytes().replace(items.read_bytes()[20:22], b"zz", 1)
        ),
        lambda items, _: items.unlink(),
        lambda _, sidecar: sidecar.write_text("{"),
        lambda _, sidecar: sidecar.write_text("[]"),
        lambda _, sidecar: sidecar.unlink(),
        lambda _, sidecar: sidecar.write_text(
            sidecar.read_text().replace('"format_version": 1', '"format_version": 2')
        ),
    ],
)
def test_a_damaged_or_newer_baseline_is_absent(world: World, damage: Any) -> None:
    """Whatever happens to the cache costs time only."""
    world.applied(ROWS)
    damage(*world.paths.files())
    assert world.good(ROWS).counts == Counts(unchanged=3)
    assert world.renderer.rendered == 3


def test_a_known_file_that_cannot_be_read_stops_the_plan(world: World) -> None:
    """Going on without it would pay for everything again."""
    table = world.table(ROWS)
    wrong = world.root / "known.parquet"
    wrong.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(StateFailure, match="cannot be read"):
        diff_items(
            world.engine,
            table,
            world.renderer,
            spec=world.spec,
            baseline=world.paths,
            known=wrong,
            spool=None,
            options=DiffOptions(),
        )


def test_another_key_column_makes_other_items(world: World) -> None:
    """The same rows under another key are new items, and the old keys are removed ones."""
    world.applied(ROWS)
    table = world.table(ROWS)
    world.outcomes.clear()
    world.engine.execute(
        "CREATE OR REPLACE TABLE index_job AS SELECT '\"' || text || '\"' AS key_json,"
        f" {table.digest_expression} AS row_digest, text AS k0 FROM inputs_job"
    )
    moved = InputTable(
        relation=table.relation,
        index=table.index,
        columns=table.columns,
        key=("text",),
        count=3,
        sources=(),
        certain=True,
    )
    items = world.good(moved)
    assert items.counts == Counts(submit=3, removed=3)
    assert items.reasons == {Reason.NEW: 3}


@pytest.mark.parametrize("count", [0, 1, 1500])
def test_the_inputs_digest_is_the_merkle_root(world: World, count: int) -> None:
    """DuckDB and Python agree on the root over all items, changed or not."""
    rows: dict[object, str] = {f"k{n:05}": f"text {n}" for n in range(count)}
    world.applied(dict(list(rows.items())[: count // 2]))
    items = world.good(rows)
    expected = merkle_root(
        (json.dumps(key), world.hash(text)) for key, text in sorted(rows.items(), key=str)
    )
    assert items.inputs_digest() == expected


def test_the_relation_holds_every_item(world: World) -> None:
    """Outputs read one row per item with its hash, wherever the item was found."""
    world.applied(ROWS)
    items = world.good({"a": "one", "b": "other", "d": "four"})
    rows = list(world.engine.rows(f"SELECT key_json, k0, hash FROM {items.relation} ORDER BY k0"))
    assert rows == [
        ('"a"', "a", world.hash("one")),
        ('"b"', "b", world.hash("other")),
        ('"d"', "d", world.hash("four")),
    ]
    items.write_baseline(world.paths)
    world.answer({"b": "other", "d": "four"})
    assert world.good({"a": "one", "b": "other", "d": "four"}).counts == Counts(unchanged=3)
    assert world.renderer.rendered == 0


def test_sizes_tell_requests_over_the_step(world: World) -> None:
    """Long requests are counted apart for their price."""
    sizes = world.good({"a": "x" * 500, "b": "y"}).sizes(step_chars=100)
    assert (sizes.requests, sizes.over_requests) == (2, 1)
    assert sizes.over_chars > 400
    assert sizes.chars == sizes.over_chars + 1


def test_progress_is_told(world: World) -> None:
    """A long rendering says how far it is."""
    told: list[int] = []
    table = world.table({n: str(n) for n in range(9000)})
    diff_items(
        world.engine,
        table,
        world.renderer,
        spec=world.spec,
        baseline=world.paths,
        known=None,
        spool=None,
        options=DiffOptions(),
        on_progress=told.append,
    )
    assert told == [8192, 9000]
