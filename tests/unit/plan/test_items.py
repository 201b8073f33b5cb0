# ruff: noqa: S608 - every name in this SQL is the tests' own.

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchspec.plan.diff import DiffOptions, diff_items
from batchspec.plan.hashing import merkle_root, request_hash
from batchspec.plan.model import Counts, Outcome
from batchspec.plan.questions import Spool
from batchspec.plan.sizes import Weights

if TYPE_CHECKING:
    from tests.unit.plan.conftest import World


def test_questions_are_read_from_the_spool(
    world: World, tmp_path: Path, rows: dict[object, str]
) -> None:
    """Everything to submit stands in the spool, retried items too, and is what was hashed."""
    world.applied(rows)
    world.outcomes[world.hash("two")] = (Outcome.EXPIRED, 1)
    with Spool(tmp_path / "spool") as spool:
        items, problems = world.plan({**rows, "d": "four"}, spool=spool)
        assert problems == ()
        assert items is not None
        found = [spool.read(ask.offset) for ask in items.asks()]
        digests = [request_hash(params, world.renderer.identity) for params in found]
        assert digests == [ask.digest for ask in items.asks()]
        assert [key for *_, key in items.entries()] == ['"b"', '"d"']
        assert [world.hash("two"), world.hash("four")] == digests
    assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize(("count", "applied"), [(0, 0), (1, 0), (1500, 750), (1500, 1500)])
def test_the_inputs_digest_is_the_merkle_root(world: World, count: int, applied: int) -> None:
    """DuckDB and Python agree on the root over all items, changed or not."""
    rows: dict[object, str] = {f"k{n:05}": f"text {n}" for n in range(count)}
    world.applied(dict(list(rows.items())[:applied]))
    items = world.good(rows)
    assert (items.same is not None) == (applied == count)
    expected = merkle_root(
        (json.dumps(key), world.hash(text)) for key, text in sorted(rows.items(), key=str)
    )
    assert items.inputs_digest == expected


def test_a_baseline_of_the_same_items_is_left_as_it_is(
    world: World, rows: dict[object, str]
) -> None:
    """Writing it again would take time and change nothing; a row less, and it is written."""
    world.applied(rows)
    before = [path.stat().st_ino for path in world.paths.files()]
    world.good(rows).write_baseline(world.paths)
    assert [path.stat().st_ino for path in world.paths.files()] == before
    fewer = dict(list(rows.items())[:-1])
    world.good(fewer).write_baseline(world.paths)
    assert [path.stat().st_ino for path in world.paths.files()] != before
    assert world.good(fewer).same is not None


def test_the_relation_holds_every_item(world: World, rows: dict[object, str]) -> None:
    """Outputs read one row per item with its hash, wherever the item was found."""
    world.applied(rows)
    items = world.good({"a": "one", "b": "other", "d": "four"})
    found = list(world.engine.rows(f"SELECT key_json, k0, hash FROM {items.relation} ORDER BY k0"))
    assert found == [
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
    sizes = world.good({"a": "x" * 500, "b": "y"}).sizes(Weights(step_chars=100))
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
    assert told == [*range(1024, 9000, 1024), 9000]
