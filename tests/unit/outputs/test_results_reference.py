"""The reference lists the columns of the table `results` as SQL finds them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

World = Any
"""The folder's conftest has it; test folders are no packages to import it from."""
PAGE = Path(__file__).parents[3] / "docs/reference/state.md"
ROW = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", re.MULTILINE)
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}}


def test_every_column_stands_in_the_reference(world: World) -> None:
    """In the same order, with the type that DuckDB gives it."""
    _, _, table = PAGE.read_text(encoding="utf-8").partition("| column of `results` |")
    listed = [
        (name, kind)
        for names, kind in ROW.findall(table.partition("\n\n")[0])
        for name in re.findall(r"`(\w+)`", names)
    ]
    world.schema = SCHEMA
    world.write("data/in.csv", "id,body\nT-1,x\n")
    world.say('"T-1"', '{"label": "a"}')
    with world.results(world.load("outputs: {path: out/a.jsonl}\n")):
        found = {column.name: column.type for column in world.engine.names("FROM results")}
    assert [name for name, _ in listed] == [name for name in found if name not in {"id", "body"}]
    for name, kind in listed:
        if name not in {"key", "answer"}:
            assert found[name].replace('"', "").startswith(kind), name
