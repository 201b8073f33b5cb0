"""Rows that fail a check are kept beside the output, until they no longer fail."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchspec.errors import Refused
from batchspec.outputs.checks import run_checks
from batchspec.outputs.writers import write_output

World = Any
"""The folder's conftest has it; test folders are no packages to import it from."""
FILE = "out/a.jsonl.quarantine.jsonl"


def run(world: World, *checks: str, outputs: str = "{path: out/a.jsonl}") -> None:
    """Write the output and run the checks."""
    listed = "".join(f"  - {check}\n" for check in checks)
    loaded = world.load(f"outputs: {outputs}\nchecks:\n{listed}")
    with world.results(loaded) as opened:
        job = world.job(loaded)
        written, problems = write_output(world.engine, opened, job)
        assert written is not None, problems
        table = opened.sources.table
        _, problems = run_checks(world.engine, loaded, [written], table, job.target)
    assert problems == ()


def test_every_failing_row_is_kept_sorted_by_check_and_row(answered: World) -> None:
    """One JSON object per row, with the check and its verdict; checks that pass keep nothing."""
    run(
        answered,
        '{name: "b \\"quoted\\"", sql: SELECT key FROM output}',
        "{not_null: key}",
        "{unique: status, severity: warn, where: key < 'T-2'}",
        "{max_failed: 0}",
        '{name: few, sql: SELECT key FROM output, error_if: "> 5", warn_if: "> 5"}',
    )
    lines = answered.files()["a.jsonl.quarantine.jsonl"].decode().splitlines()
    assert lines[:3] == [
        f'{{"check":"b \\"quoted\\"","verdict":"error","row":{{"key":"{key}"}}}}'
        for key in ("T-1", "T-10", "T-2")
    ]
    rest = [json.loads(line) for line in lines[3:]]
    assert [(row["check"], row["verdict"], row["row"]["key"]) for row in rest] == [
        ("unique status", "warn", "T-1"),
        ("unique status", "warn", "T-10"),
    ]


def test_the_file_goes_when_nothing_fails(answered: World) -> None:
    """What was mended is no longer in quarantine."""
    run(answered, "{name: all, sql: SELECT key FROM output}")
    assert (answered.root / FILE).is_file()
    run(answered, "{name: all, sql: SELECT key FROM output WHERE false}")
    assert not (answered.root / FILE).exists()


def test_equal_failures_leave_the_file_untouched(answered: World) -> None:
    """A run that finds the same does not write."""
    run(answered, "{name: all, sql: SELECT key FROM output}")
    before = (answered.root / FILE).stat().st_mtime_ns
    run(answered, "{name: all, sql: SELECT key FROM output ORDER BY key DESC}")
    assert (answered.root / FILE).stat().st_mtime_ns == before


def test_a_foreign_file_is_neither_replaced_nor_removed(answered: World) -> None:
    """Only what begins like a quarantine is one."""
    answered.write(FILE, '{"mine":1}\n')
    with pytest.raises(Refused, match=r"quarantine\.jsonl exists and was not written"):
        run(answered, "{name: all, sql: SELECT key FROM output}")
    run(answered, "{name: none, sql: SELECT key FROM output WHERE false}")
    assert (answered.root / FILE).read_text() == '{"mine":1}\n'


def test_one_file_per_item_has_one_quarantine(answered: World) -> None:
    """It stands in the template's fixed folder, where no item's file can be."""
    run(
        answered,
        "{not_null: content, where: 'false'}",
        "{unique: content}",
        outputs='{path: "out/{{ key }}.md"}',
    )
    run(answered, "{name: all, sql: SELECT path FROM output}", outputs='{path: "out/{{ key }}.md"}')
    assert len(answered.files()["_key_.md.quarantine.jsonl"].splitlines()) == 3
