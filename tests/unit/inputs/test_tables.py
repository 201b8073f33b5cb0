from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import drop_index, open_inputs, row_select

if TYPE_CHECKING:
    from tests.unit.inputs.conftest import Load, Open, RowsOf, Values, Write


def test_the_index_names_every_item_once(
    write: Write, engine: Engine, open_text: Open, rows_of: RowsOf
) -> None:
    """The index holds key, digest and native key columns, equal to what rows carry later."""
    write({"a.csv": "id,lang,x\n2,en,a\n10,de,b\n"})
    opened = open_text("inputs: {table: a.csv, key: [lang, id]}")
    rows = rows_of(engine, opened)
    table = opened[0]
    assert table is not None
    assert (table.count, table.key, table.sources, table.certain) == (
        2,
        ("lang", "id"),
        ("a.csv",),
        True,
    )
    index = list(engine.rows(f"FROM {table.index} ORDER BY k0, k1"))
    assert index == [(row.key_json, row.digest, *json.loads(row.key_json)) for row in rows]
    assert [row.key_json for row in rows] == ['["de",10]', '["en",2]']


def test_texts_that_look_like_rows(root: Path, engine: Engine, open_text: Open) -> None:
    """A file of many megabytes whose texts hold lines like its own is read as it is written."""
    texts = ["\n".join(f"{n},line {n}" for n in range(size * 3000)) for size in range(7)] * 14
    with (root / "a.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "text"])
        writer.writerows(enumerate(texts))
    table, problems = open_text("inputs: {table: a.csv, key: id}")
    assert table is not None, problems
    assert table.count == len(texts)
    read = {row.values["id"]: row.values["text"] or "" for row in row_select(engine, table, None)}
    assert [read[number] for number in range(len(texts))] == texts


def test_only_wanted_rows_are_selected(write: Write, engine: Engine, open_text: Open) -> None:
    """`row_select` gives the rows whose keys a relation names."""
    write({"a.csv": "id,x\n1,a\n2,b\n3,c\n"})
    table, _ = open_text("inputs: {table: a.csv, key: id}")
    assert table is not None
    engine.register("wanted", pa.table({"key_json": ["2", "9"]}))
    assert [row.values for row in row_select(engine, table, "wanted")] == [{"id": 2, "x": "b"}]


def test_typed_keys_find_the_same_rows(write: Write, engine: Engine, open_text: Open) -> None:
    """Keys of several columns select exactly their rows, whatever else is equal in one column."""
    write({"a.csv": "id,lang\n1,en\n1,de\n2,en\n"})
    table, _ = open_text("inputs: {table: a.csv, key: [lang, id]}")
    assert table is not None
    wanted = f"(FROM {table.index} WHERE key_json IN ('[\"de\",1]', '[\"en\",2]'))"
    rows = row_select(engine, table, wanted, typed=True)
    assert sorted(row.key_json for row in rows) == ['["de",1]', '["en",2]']


def test_an_index_that_is_dropped_leaves_its_rows(
    write: Write, engine: Engine, open_text: Open
) -> None:
    """Its memory is wanted back before the last reading of the rows."""
    write({"a.csv": "id\n1\n2\n3\n"})
    table, _ = open_text("inputs: {table: a.csv, key: id, sample: {rows: 2, seed: 1}}")
    assert table is not None
    before = sorted(row.key_json for row in row_select(engine, table, None))
    drop_index(engine, table)
    assert len(before) == 2
    assert sorted(row.key_json for row in row_select(engine, table, None)) == before


def test_a_spec_reads_the_output_of_another(
    root: Path, engine: Engine, write: Write, load: Load, rows_of: RowsOf
) -> None:
    """An upstream spec is a table under its own name, from a file or from a relation."""
    write({"out/first.jsonl": '{"key": "a", "result": "x"}\n'})
    engine.execute("CREATE TABLE made AS SELECT 'a' AS key, 7 AS n")
    loaded = load(
        "inputs:\n  key: k\n  sql: SELECT f.key AS k, result, n FROM first-spec f JOIN second USING"
        " (key)\n".replace("first-spec", '"first-spec"')
    )
    upstream: dict[str, Path | str] = {"first-spec": Path("out/first.jsonl"), "second": "made"}
    opened = open_inputs(engine, root, loaded, upstream)
    assert [row.values for row in rows_of(engine, opened)] == [{"k": "a", "result": "x", "n": 7}]
    assert opened[0] is not None
    assert not opened[0].certain


SAMPLE = "inputs: {{table: {file}, key: id, sample: {{rows: 5, seed: {seed}}}}}"


def test_a_sample_depends_on_keys_and_seed_alone(write: Write, values: Values) -> None:
    """Reordered rows give the same sample, another seed another one."""
    lines = [f"{number},x{number}\n" for number in range(100)]
    write({"a.csv": "id,x\n" + "".join(lines), "b.csv": "id,x\n" + "".join(reversed(lines))})
    first = values(SAMPLE.format(file="a.csv", seed=1))
    assert len(first) == 5
    assert values(SAMPLE.format(file="b.csv", seed=1)) == first
    assert values(SAMPLE.format(file="a.csv", seed=2)) != first


def test_a_sample_larger_than_the_inputs_is_all_of_them(write: Write, open_text: Open) -> None:
    """Asking for more rows than there are gives the rows there are."""
    write({"a.csv": "id\n1\n2\n"})
    table, problems = open_text(SAMPLE.format(file="a.csv", seed=1))
    assert table is not None
    assert (table.count, problems) == (2, ())


def test_the_folder_of_the_project_leaves_no_trace(
    tmp_path: Path, write: Write, engine: Engine, open_text: Open, load: Load, rows_of: RowsOf
) -> None:
    """The same data in two places have the same keys and digests."""
    files = {"d/a.csv": "id,x\n1,a\n"}
    write(files)
    text = "inputs: {sql: \"FROM read_csv('d/a.csv', filename = true)\", key: [id, filename]}"
    here = rows_of(engine, open_text(text))
    other = tmp_path / "other"
    (other / "d").mkdir(parents=True)
    (other / "d" / "a.csv").write_text(files["d/a.csv"])
    with Engine.open(root=other, temp=tmp_path / "tmp2") as second:
        assert rows_of(second, open_inputs(second, other, load(text), {})) == here
