# ruff: noqa: S608 - every name in this SQL is the tests' own.

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchspec.inputs.tables import InputTable
from batchspec.plan.diff import DiffOptions
from batchspec.plan.items import ItemTable
from batchspec.plan.model import Counts, Reason
from batchspec.plan.sizes import Weights

if TYPE_CHECKING:
    from tests.unit.plan.conftest import World


def named(items: ItemTable) -> list[tuple[str, str, str | None]]:
    """Return the changes as key, action and reason."""
    return [
        (change.key, change.action.value, None if change.reason is None else change.reason.value)
        for change in items.changes()
    ]


def test_a_first_plan_asks_everything(world: World, rows: dict[object, str]) -> None:
    """Without a past, every item is new and named in key order."""
    items = world.good(rows)
    assert items.counts == Counts(submit=3)
    assert items.reasons == {Reason.NEW: 3}
    assert named(items) == [(f'"{key}"', "submit", "new") for key in "abc"]
    assert next(items.asks()) == (world.hash("one"), 1, -1)
    assert next(items.entries()) == (len(world.renderer.render({"text": "one"})), 1, '"a"')


def test_a_second_plan_asks_and_renders_nothing(world: World, rows: dict[object, str]) -> None:
    """Answered items are recognised by their rows alone."""
    world.applied(rows)
    items = world.good(dict(reversed(rows.items())))
    assert items.counts == Counts(unchanged=3)
    assert world.renderer.rendered == 0
    assert list(items.changes()) == []
    assert list(items.asks()) == []


def test_without_a_baseline_answers_are_found_by_rendering(
    world: World, rows: dict[object, str]
) -> None:
    """A lost cache costs time and no request."""
    world.applied(rows)
    for path in world.paths.files():
        path.unlink()
    items = world.good(rows)
    assert items.counts == Counts(unchanged=3)
    assert world.renderer.rendered == 3


def test_without_state_everything_is_new_again(world: World, rows: dict[object, str]) -> None:
    """A baseline is no proof of an answer."""
    world.applied(rows)
    world.outcomes.clear()
    items = world.good(rows)
    assert items.reasons == {Reason.NEW: 3}
    assert world.renderer.rendered == 0


def test_changed_new_and_removed_rows_are_told_apart(world: World, rows: dict[object, str]) -> None:
    """Each item has its own reason; removed ones come last."""
    world.applied(rows)
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


@pytest.mark.parametrize("part", ["prompt", "files", "model", "params", "schema", "vars", "cache"])
def test_a_changed_part_is_the_reason(world: World, part: str, rows: dict[object, str]) -> None:
    """What changed in the spec is named for every item that it changes."""
    world.applied(rows)
    world.renderer.parts[part] = "2"
    assert world.good(rows).reasons == {Reason(part): 3}


def test_the_first_differing_part_wins_over_later_ones(
    world: World, rows: dict[object, str]
) -> None:
    """An item has one reason: an input comes before the model, the model before the prompt."""
    world.applied(rows)
    world.renderer.parts |= {"prompt": "2", "model": "2"}
    items = world.good({**rows, "a": "changed"})
    assert items.reasons == {Reason.INPUT: 1, Reason.MODEL: 2}


def test_changed_files_are_named_when_they_are_the_reason(
    world: World, rows: dict[object, str]
) -> None:
    """Edited, new and gone files; none when something else is the reason."""
    world.renderer.files = {"a.md": "1", "b.md": "1", "c.md": "1"}
    world.applied(rows)
    world.renderer.files = {"a.md": "1", "b.md": "2", "d.md": "1"}
    world.renderer.parts["files"] = "2"
    assert world.good(rows).changed_files == ("b.md", "c.md", "d.md")
    world.renderer.parts["prompt"] = "2"
    assert world.good(rows).changed_files == ()


def test_examples_are_what_was_asked_before_and_is_asked_anew(
    world: World, rows: dict[object, str]
) -> None:
    """Two of changed rows and two of the changed spec, with the hash they had; no new items."""
    world.applied(rows)
    before = {key: world.hash(text) for key, text in rows.items()}
    options = DiffOptions(examples=True)
    assert world.good(rows, options).examples == ()
    world.renderer.parts["prompt"] = "2"
    found = world.good({**rows, "b": "changed", "aa": "new"}, options).examples
    assert [(e.key_json, e.reason, e.former) for e in found] == [
        ('"a"', "prompt", before["a"]),
        ('"b"', "input", before["b"]),
        ('"c"', "prompt", before["c"]),
    ]
    assert found[0].request == world.renderer.render({"text": "one"})
    assert world.good({**rows, "b": "changed"}).examples == ()


def test_a_new_render_version_that_makes_the_same_requests_asks_nothing(
    world: World, rows: dict[object, str]
) -> None:
    """Level two finds the answers by hash when level one cannot."""
    world.applied(rows)
    world.renderer.version = "2"
    assert world.good(rows).counts == Counts(unchanged=3)
    assert world.renderer.rendered == 3


def test_an_edit_taken_back_asks_nothing(world: World, rows: dict[object, str]) -> None:
    """Answers are found in the whole past, not in the last plan only."""
    world.applied(rows)
    world.renderer.parts["prompt"] = "2"
    world.applied(rows)
    world.renderer.parts["prompt"] = "1"
    assert world.good(rows).counts == Counts(unchanged=3)


def test_items_alike_share_a_question(world: World) -> None:
    """One request answers all items that ask the same."""
    items = world.good({"z": "same", "y": "same", "x": "same", "w": "other"})
    assert items.counts == Counts(submit=4, duplicate=2)
    assert items.requests == 2
    assert [key for *_, key in items.entries()] == ['"w"', '"x"']
    assert items.sizes(Weights()).requests == 2


def test_keys_are_ordered_by_their_type(world: World) -> None:
    """Numbers come in numeric order and keep their type."""
    world.key_type = "BIGINT"
    items = world.good({10: "a", 9: "b", -1: "c"})
    assert [change.key for change in items.changes()] == ["-1", "9", "10"]


def test_another_key_column_makes_other_items(world: World, rows: dict[object, str]) -> None:
    """The same rows under another key are new items, and the old keys are removed ones."""
    world.applied(rows)
    table = world.table(rows)
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
