"""Rendered rows come back from their file as they were, whatever a key holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchspec.errors import DiskFailure
from batchspec.inputs.engine import Engine
from batchspec.plan.render import Rendered
from batchspec.plan.rendered import COLUMNS, drop_rendered, keep_rendered, no_rendered

HOSTILE = [
    "plain",
    "",
    "a\tb",
    "a\nb\r\nc",
    "'quoted' \"twice\" \\ back",
    "\u0000\u0001\u007f\u0085\u2028\u2029",
    "é 漢 🦆",
    ",;|",
    "NULL",
    "x" * 3_000_000,
]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Return an engine with an empty project."""
    root = tmp_path / "project"
    root.mkdir()
    with Engine.open(root=root, temp=tmp_path / "tmp", memory_mb=256) as opened:
        yield opened


def row(key: str, number: int = 0) -> Rendered:
    """Return a rendered row whose every value is another."""
    digest = bytes([number]) * 16
    prefix = b"" if number % 2 else bytes([255, number]) * 16
    big = (1 << 32) - 1 - number
    return (key, digest, digest * 2, big, number, 1 << 40, prefix, big, number, number)


def kept(engine: Engine, rows: list[list[Rendered]]) -> list[tuple[object, ...]]:
    """Return what stands in the view of some rows."""
    keep_rendered(engine, "seen", rows)
    found = sorted(engine.rows("SELECT * FROM seen"))
    drop_rendered(engine, "seen")
    assert not list(engine.scratch.iterdir())
    return found


def test_every_value_comes_back(engine: Engine) -> None:
    """Keys are JSON text: what would end a value or a line is escaped in it."""
    rows = [row(json.dumps(key, ensure_ascii=False), n) for n, key in enumerate(HOSTILE)]
    wanted = [(*one[:6], one[6] or None, *one[7:]) for one in rows]
    assert kept(engine, [rows[:3], rows[3:]]) == sorted(wanted)


def test_many_rows(engine: Engine) -> None:
    """More than one buffer of DuckDB's, read by several threads."""
    rows = [row(json.dumps(f"{n:x}" * 40), n % 256) for n in range(40_000)]
    wanted = sorted((*one[:6], one[6] or None, *one[7:]) for one in rows)
    assert kept(engine, [rows[:30_000], rows[30_000:]]) == wanted


@pytest.mark.parametrize("chunks", [[], [[]]])
def test_no_rows(engine: Engine, chunks: list[list[Rendered]]) -> None:
    """A plan in which no row can be rendered, or has to be, has the columns all the same."""
    keep_rendered(engine, "seen", chunks)
    assert list(engine.rows("SELECT * FROM seen")) == []
    assert [column.name for column in engine.names("FROM seen")] == list(COLUMNS)
    no_rendered(engine, "none")
    assert engine.names("FROM none") == engine.names("FROM seen")


def test_the_types_are_those_of_an_empty_one(engine: Engine) -> None:
    """Whether rows were rendered makes no difference to what is joined with them."""
    keep_rendered(engine, "seen", [[row('"a"')]])
    no_rendered(engine, "none")
    assert engine.names("FROM none") == engine.names("FROM seen")


def test_a_disk_that_refuses_is_told(engine: Engine) -> None:
    """The failure says what was being kept."""
    (engine.scratch / "seen.tsv").mkdir()
    (engine.scratch / "full.tsv").symlink_to("/dev/full")
    for name in ("seen", "full"):
        with pytest.raises(DiskFailure, match="keep rendered items"):
            keep_rendered(engine, name, [[row('"a"')]])
