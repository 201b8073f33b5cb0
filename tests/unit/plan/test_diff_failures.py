from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchspec.errors import StateFailure
from batchspec.plan.baseline import seal
from batchspec.plan.diff import DiffOptions, diff_items
from batchspec.plan.model import Counts, Outcome, Reason
from batchspec.plan.questions import Spool

if TYPE_CHECKING:
    from tests.unit.plan.conftest import World


def test_rendering_failures_name_items(world: World) -> None:
    """Items that fail for one cause are one problem, the first three by name."""
    rows: dict[object, str] = {"ok": "fine", **{f"k{n:03}": "bad" for n in range(25)}}
    items, problems = world.plan(rows)
    assert items is None
    (problem,) = problems
    assert (problem.code, problem.summary) == ("render-failed", "the template failed")
    assert problem.detail == (
        'This happened for 25 items, for example "k000", "k001", "k002". Look at it.'
    )


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


def test_a_baseline_that_rendering_contradicts_is_not_believed(
    world: World, tmp_path: Path, rows: dict[object, str]
) -> None:
    """A wrong hash in the cache can cost no request and hide none."""
    world.applied(rows)
    rightly = world.hash("two")
    world.renderer.parts["prompt"] = "other"
    world.applied(rows)
    sidecar = json.loads(world.paths.sidecar.read_text())
    world.renderer.parts["prompt"] = "1"
    sidecar["render_digest"] = world.renderer.render_digest
    del sidecar["seal"]
    world.paths.sidecar.write_text(json.dumps({**sidecar, "seal": seal(sidecar)}))
    world.outcomes = {rightly: (Outcome.SUCCEEDED, 1)}
    with Spool(tmp_path / "spool") as spool:
        items, _ = world.plan(rows, spool=spool)
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
            sidecar.read_text().replace('"format_version": 3', '"format_version": 4')
        ),
        lambda _, sidecar: sidecar.write_text(
            sidecar.read_text().replace('"format_version": 3', '"format_version": 2')
        ),
        lambda _, sidecar: sidecar.write_text(
            re.sub(r'("inputs": ".)(.)', r"\g<1>x", sidecar.read_text())
        ),
    ],
)
def test_a_damaged_newer_or_older_baseline_is_absent(
    world: World, damage: Any, rows: dict[object, str]
) -> None:
    """Whatever happens to the cache costs time only."""
    world.applied(rows)
    damage(*world.paths.files())
    assert world.good(rows).counts == Counts(unchanged=3)
    assert world.renderer.rendered == 3


def test_a_known_file_that_cannot_be_read_stops_the_plan(
    world: World, rows: dict[object, str]
) -> None:
    """Going on without it would pay for everything again."""
    table = world.table(rows)
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
