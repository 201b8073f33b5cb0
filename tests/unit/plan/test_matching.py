from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchspec.plan.baseline import read_baseline
from batchspec.plan.matching import FEW, Matched, match_rows

if TYPE_CHECKING:
    from tests.unit.plan.conftest import World


@pytest.mark.parametrize("few", [0, FEW])
def test_rows_are_told_apart_by_their_digests(
    world: World, rows: dict[object, str], few: int
) -> None:
    """Fresh and gone rows are the same ones, however many gone ones are kept in memory."""
    world.applied(rows)
    base = read_baseline(world.paths)
    assert base is not None
    table = world.table({"a": "one", "b": "other", "d": "four"})
    assert match_rows(world.engine, table, base, "try", few=few) == Matched(held=1, gone=2)
    fresh = world.engine.rows("SELECT key_json, k0 FROM try_fresh ORDER BY k0")
    assert list(fresh) == [('"b"', "b"), ('"d"', "d")]
    gone = world.engine.rows("SELECT key_json, k0, hash FROM try_gone ORDER BY k0")
    assert list(gone) == [
        ('"b"', "b", world.hash("two")),
        ('"c"', "c", world.hash("three")),
    ]


def test_matching_again_takes_the_place_of_the_former_one(
    world: World, rows: dict[object, str]
) -> None:
    """One engine may plan a spec twice, with few rows gone and with many."""
    world.applied(rows)
    base = read_baseline(world.paths)
    assert base is not None
    for few in (0, FEW, 0):
        table = world.table({"a": "one"})
        assert match_rows(world.engine, table, base, "try", few=few) == Matched(held=1, gone=2)
    assert match_rows(world.engine, world.table(rows), base, "try") == Matched(held=3, gone=0)
    assert list(world.engine.rows("FROM try_gone")) == []
    assert list(world.engine.rows("FROM try_fresh")) == []
