"""Two versions of an output, matched by key and compared value by value."""

# ruff: noqa: S608 - the names in this SQL are the tests' own.

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchspec.inputs.engine import Engine
from batchspec.outputs.compare import Comparison, FieldChange, NoKeyError, RowChange, compare
from batchspec.outputs.versions import UnreadableVersionError, Version

Row = dict[str, Any]
HOSTILE = ['a"b', "c\nd", "e'f", "$.g", "/h~i", "=1+1", "", "\u2028😀", "x" * 5000, "null"]


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows in the format of a path's ending."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".csv":
        names = list(rows[0])
        cells = [names, *([row[name] for name in names] for row in rows)]
        quoted = (
            ",".join("" if c is None else '"' + str(c).replace('"', '""') + '"' for c in line)
            for line in cells
        )
        path.write_text("\n".join(quoted) + "\n", encoding="utf-8", newline="")
    else:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        text = "[\n" + ",\n".join(lines) + "\n]\n"
        text = text if path.suffix == ".json" else "\n".join(lines) + "\n"
        path.write_text(text, encoding="utf-8", newline="")
    return path


class Pair:
    """A folder in which two versions are compared."""

    def __init__(self, root: Path, engine: Engine) -> None:
        self.root = root
        self.engine = engine

    def __call__(
        self, before: Sequence[Row], after: Sequence[Row], ending: str = ".jsonl", **options: Any
    ) -> Comparison:
        """Write and compare two versions."""
        versions = tuple(
            Version(label=label, ending=ending, file=write(self.root / f"{label}{ending}", rows))
            for label, rows in (("before", before), ("after", after))
        )
        given: dict[str, Any] = {"key": ("id",), "partial": False, "limit": None} | options
        first, second = versions
        return compare(self.engine, (first, second), path="out/a", **given)


@pytest.fixture
def pair(tmp_path: Path) -> Any:
    """Yield a way to compare two versions."""
    with Engine.open(root=tmp_path, temp=tmp_path / "tmp") as engine:
        yield Pair(tmp_path, engine)


def row(key: Any, result: Any, status: str = "succeeded", digest: str = "0") -> Row:
    """Return a default row."""
    return {"key": key, "result": result, "status": status, "request_hash": digest}


def figures(found: Comparison) -> tuple[int, int, int, int]:
    """Return same, changed, new and gone."""
    return found.same, found.changed, found.new, found.gone


def test_rows_are_matched_by_key(pair: Pair) -> None:
    """Order and request hashes do not matter; each difference is named."""
    before = [row(1, {"label": "a", "why": "x"}), row(2, {"label": "b"}), row(3, "gone")]
    after = [row(4, "new"), row(2, {"label": "b"}, digest="1"), row(1, {"label": "c", "why": "x"})]
    found = pair(before, after)
    assert figures(found) == (1, 1, 1, 1)
    assert found.fields == (("result.label", 1),)
    assert found.changes == (
        RowChange(
            key="1",
            change="changed",
            fields=(FieldChange(field="result.label", before='"a"', after='"c"'),),
        ),
        RowChange(key="3", change="gone"),
        RowChange(key="4", change="new"),
    )


def test_json_is_compared_and_not_its_text(pair: Pair) -> None:
    """Order of keys and 1.0 for 1 are the same; a missing value and null are not."""
    before = [row("a", {"x": 1, "y": [1, 2]}), row("b", {"x": 1.0}), row("c", {"x": None})]
    after = [row("a", {"y": [1, 2], "x": 1}), row("b", {"x": 1}), row("c", {})]
    found = pair(before, after)
    assert figures(found) == (2, 1, 0, 0)
    assert found.changes[0].fields == (FieldChange(field="result.x", before="null", after=None),)


def test_statuses_count_as_answers(pair: Pair) -> None:
    """An answer that became a refusal differs in its result and in its status."""
    found = pair([row(1, "x")], [row(1, None, "refused")])
    assert [change.field for change in found.changes[0].fields] == ["result", "status"]


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".parquet"])
def test_every_format_is_read(pair: Pair, ending: str) -> None:
    """Hostile text in keys and values is data in each of them."""
    before = [{"id": key, "label": key, "note": "same"} for key in HOSTILE]
    after = [{"id": key, "label": key[::-1] + "!", "note": "same"} for key in reversed(HOSTILE)]
    found = pair(before, after, ending)
    assert figures(found) == (0, len(HOSTILE), 0, 0)
    assert {json.loads(change.key) for change in found.changes} == set(HOSTILE)
    for change in found.changes:
        (field,) = change.fields
        assert field.field == "label"
        assert json.loads(field.before or "") == json.loads(change.key)
        assert json.loads(field.after or "") == json.loads(change.key)[::-1] + "!"
    assert figures(pair(before, before[::-1], ending)) == (len(HOSTILE), 0, 0, 0)


def test_composite_keys_and_repeated_keys(pair: Pair) -> None:
    """All key columns together are the key; rows that share one are matched in text order."""
    before = [{"a": 1, "b": "x", "v": 1}, {"a": 1, "b": "y", "v": 2}, {"a": 1, "b": "y", "v": 3}]
    after = [{"a": 1, "b": "y", "v": 3}, {"a": 1, "b": "y", "v": 2}, {"a": 1, "b": "x", "v": 9}]
    found = pair(before, after, key=("a", "b"))
    assert figures(found) == (2, 1, 0, 0)
    assert found.changes[0].key == '[1,"x"]'


def test_a_sample_loses_nothing(pair: Pair) -> None:
    """Rows that a sample lacks are not gone."""
    found = pair([row(n, "x") for n in range(9)], [row(3, "y"), row(99, "z")], partial=True)
    assert figures(found) == (0, 1, 1, 0)
    assert [change.change for change in found.changes] == ["changed", "new"]


def test_changes_are_limited_and_counted(pair: Pair) -> None:
    """The first ones by key are named; figures are of all."""
    found = pair([row(n, "x") for n in range(50)], [row(n, "y") for n in range(50)], limit=3)
    assert figures(found) == (0, 50, 0, 0)
    assert len(found.changes) == 3


def test_figures_are_those_of_sql_by_hand(pair: Pair) -> None:
    """Thousands of rows compared in one go, and by a plain full join."""
    before = [row(n, {"label": "ab"[n % 2], "n": n}) for n in range(3000)]
    after = [row(n, {"label": "ab"[n % 3 % 2], "n": n}) for n in range(500, 3500)]
    found = pair(before, after, limit=0)
    sides = [
        f"(SELECT key, result->>'label' AS label FROM read_ndjson('{pair.root}/{name}.jsonl',"
        " columns = {'key': 'INTEGER', 'result': 'JSON'}))"
        for name in ("before", "after")
    ]
    by_hand = pair.engine.one(
        "SELECT count(*) FILTER (b.label = a.label), count(*) FILTER (b.label <> a.label),"
        " count(*) FILTER (b.key IS NULL), count(*) FILTER (a.key IS NULL)"
        f" FROM {sides[0]} b FULL JOIN {sides[1]} a USING (key)"
    )
    assert figures(found) == by_hand
    assert found.fields == (("result.label", found.changed),)


def test_rows_without_a_key_cannot_be_compared(pair: Pair) -> None:
    """It is said, not guessed."""
    with pytest.raises(NoKeyError):
        pair([{"label": 1}], [{"label": 1}])
    with pytest.raises(NoKeyError):
        pair([{"label": 1}], [{"label": 1}], key=())


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".parquet"])
def test_what_is_not_the_format_is_refused(pair: Pair, ending: str) -> None:
    """A file that is something else gives an error of its own."""
    path = pair.root / f"x{ending}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    version = Version(label="x", ending=ending, file=path)
    with pytest.raises(UnreadableVersionError):
        compare(pair.engine, (version, version), path="x", key=("id",), partial=False, limit=0)


@pytest.mark.parametrize("ending", [".md", ".json"])
def test_one_file_per_item_is_matched_by_path(pair: Pair, ending: str) -> None:
    """Its path is the key and its content the answer, JSON where it is JSON."""
    versions = []
    for label, texts in (("before", ['{"a":1}', "x", "y"]), ("after", ['{ "a": 1 }', "x", "z"])):
        items = []
        for number, text in enumerate(texts):
            path = pair.root / f"{label}-{number}"
            path.write_text(text)
            items.append((f"out/{number}{ending}", path))
        versions.append(Version(label=label, ending=ending, file=None, items=tuple(items)))
    first, second = versions
    found = compare(pair.engine, (first, second), path="out", key=(), partial=False, limit=None)
    changed = ["2"] if ending == ".json" else ["0", "2"]
    assert [change.key for change in found.changes] == [f'"out/{n}{ending}"' for n in changed]
