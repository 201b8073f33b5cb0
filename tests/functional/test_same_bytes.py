"""Equal work gives equal bytes, whatever the machine: outputs, manifests and quarantine."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from typing import Any

Folder = Any
HOSTILE = [
    "=cmd|' /C calc'!A0",
    'quotes " and \\"',
    "two\nlines\r\nand a tab\t.",
    "\u202eright to left \u2028 \u0000 😀",
    "99999999999999999999999999999999999999.5",
    "../../etc/passwd",
    "NaN",
    "",
]
SPEC = """\
version: 1
name: hostile
inputs: {table: data/rows.jsonl, key: id}
model: claude-haiku-4-5
max_tokens: 64
prompt: {user: "{{ id }}: {{ text }}"}
outputs:
  - {path: out/a.jsonl}
  - {path: out/b.json, select: "SELECT key, text, 1 / 3 AS third FROM results"}
  - {path: out/c.csv, select: "SELECT key, text, 1e300 AS huge, now AS now FROM results"}
  - {path: out/d.parquet, select: "SELECT key, text, TIMESTAMP '2026-11-23' AS at FROM results"}
  - {path: "out/items/{{ number }}.md"}
checks:
  - {matches: {column: key, regex: "^[a-z]+$"}, severity: warn}
  - {drift: {column: result, max: 1}}
"""
ENVIRONMENTS = (
    {"PYTHONHASHSEED": "1", "TZ": "UTC", "LANG": "C.UTF-8"},
    {"PYTHONHASHSEED": "2", "TZ": "Pacific/Kiritimati", "LANG": "C", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "3", "TZ": "America/St_Johns", "LANG": "tr_TR.UTF-8", "COLUMNS": "40"},
)


def lines_of(texts: Sequence[str]) -> list[str]:
    """Return rows with these texts as lines of JSON."""
    return [
        json.dumps({"id": text or "empty", "text": text, "number": number, "now": f"n{number}"})
        + "\n"
        for number, text in enumerate(texts)
        if "\0" not in text
    ]


def written(folder: Folder) -> dict[str, bytes]:
    """Return outputs, manifests and quarantine with their bytes."""
    return {name: data for name, data in folder.tree().items() if name.startswith("out/")}


def test_the_environment_does_not_change_a_byte(project: Any) -> None:
    """Seeds, time zones and locales leave outputs, manifests and quarantine as they are."""
    rows = lines_of(HOSTILE)
    made = []
    for number, environment in enumerate(ENVIRONMENTS):
        lines = rows if number % 2 else rows[::-1]
        folder = project({"data/rows.jsonl": "".join(lines), "specs/hostile.yaml": SPEC})
        folder.environ.update(environment)
        done = folder.batchspec("run", "--emulate")
        assert done.code == 0, done.err
        made.append(written(folder))
    assert made[0] == made[1] == made[2]
    kept = {name.rpartition(".")[2] for name in made[0]}
    assert kept == {"jsonl", "json", "csv", "parquet", "md"}
    assert any(name.endswith(".quarantine.jsonl") for name in made[0])
    assert len([name for name in made[0] if name.startswith("out/items/")]) == len(rows) + 1


def test_a_run_killed_between_its_outputs_is_made_whole(project: Any) -> None:
    """Whatever stood there and wherever it stopped, the next run gives the bytes of a whole one."""
    first, second = lines_of(HOSTILE), lines_of([*HOSTILE[:4], "another"])
    texts = {"specs/hostile.yaml": SPEC}
    other = project({"data/rows.jsonl": "".join(first), **texts})
    folder = project({"data/rows.jsonl": "".join(second), **texts})
    assert [one.batchspec("run", "--emulate").code for one in (other, folder)] == [0, 0]
    wanted = [written(other), written(folder)]
    for rows, whole, at in (
        (first, wanted[0], "output:published:2"),
        (second, wanted[1], "output:manifest:5"),
    ):
        folder.write("data/rows.jsonl", "".join(rows))
        killed = folder.batchspec("run", "--emulate", env={"BATCHSPEC_CRASH_AT": at})
        assert killed.code == -signal.SIGKILL, killed.err
        assert written(folder) != whole
        assert folder.batchspec("run", "--emulate").code == 0
        assert written(folder) == whole
