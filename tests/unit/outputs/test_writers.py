"""Outputs on disk: what a row says, and that nothing is ever half written or wrongly replaced."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from batchspec.errors import DiskFailure, Refused, StateFailure
from batchspec.outputs.failures import new_verdicts
from batchspec.outputs.manifest import read_manifest
from batchspec.outputs.results import ResultSources, open_results
from batchspec.outputs.writers import write_output
from batchspec.plan.model import Outcome
from batchspec.spec.schema import published_validator

World = Any
"""The folder's conftest has it; test folders are no packages to import it from."""
LABEL: dict[str, Any] = {
    "type": "object",
    "properties": {"label": {"enum": ["high", "low"]}},
    "required": ["label"],
    "additionalProperties": False,
}
EVERY_OUTCOME = Path(__file__).with_name("every_outcome.jsonl")
JSONL = "outputs: {path: out/a.jsonl}\n"


def rows(data: bytes) -> list[dict[str, Any]]:
    """Read JSON lines, each valid by the published schema."""
    found = [json.loads(line) for line in data.splitlines()]
    for row in found:
        published_validator("output-row").validate(row)
    return found


def test_default_rows_byte_by_byte(answered: World) -> None:
    """The first lines of an output are exactly those of the contract, sorted by key."""
    assert answered.output("out/a.jsonl") == (
        b'{"key":"T-1","result":"answer 1","status":"succeeded","stop_reason":"end_turn",'
        b'"request_hash":"2bfa760bd9e4309000e8ea189a3063b0b57ce50c0cf0ec3bb2bac3faad123a30"}\n'
        b'{"key":"T-10","result":"answer 10","status":"succeeded","stop_reason":"end_turn",'
        b'"request_hash":"57811ccbcbc4a8c0eeb1197aea2a91202f7c6a0524ca991c7f88435fb4de300f"}\n'
        b'{"key":"T-2","result":"answer 2","status":"succeeded","stop_reason":"end_turn",'
        b'"request_hash":"3010b2022ef71b9b7a29bfb5e1fa90a001cd441d2dacb3059311d32ec2cd5590"}\n'
    )


def test_a_row_for_every_outcome(world: World) -> None:
    """Each outcome has its status, its result, and its stop reason or its error."""
    world.schema = LABEL
    names = "abcdefghijkl"
    world.write("data/in.csv", "id,body\n" + "".join(f"{name},x\n" for name in names))
    world.say('"a"', ' {"label": "high"} ')
    world.say('"b"', '{"label":"urgent"}')
    world.say('"c"', "high")
    world.say('"d"', "", "refusal")
    world.say('"e"', "I would rather not", "refusal")
    world.say('"f"', '{"label":"hi', "max_tokens")
    world.fail('"g"', "overloaded_error", "busy")
    world.fail('"h"', "invalid_request_error", 'no "such" model')
    world.end('"i"', Outcome.EXPIRED)
    world.end('"j"', Outcome.CANCELED)
    world.end('"k"', Outcome.MISSING)
    world.end('"l"', Outcome.LOST)
    data = world.output("out/a.jsonl")
    assert len(rows(data)) == len(names)
    assert data == EVERY_OUTCOME.read_bytes()
    manifest = read_manifest(world.root / "out/a.jsonl.manifest.json")
    assert manifest is not None
    assert manifest.statuses == (
        ("succeeded", 1),
        ("invalid", 2),
        ("refused", 2),
        ("truncated", 1),
        ("errored", 4),
        ("expired", 1),
        ("canceled", 1),
    )


def test_adopted_answers_are_judged_when_they_are_written(answered: World) -> None:
    """An answer that `recover` took in unchecked has the status its spec gives it."""
    answered.schema = LABEL
    answered.say('"T-1"', '{"label": "low"}')
    for key in ('"T-1"', '"T-2"'):
        answered.end(key, Outcome.UNCHECKED)
    found = rows(answered.output("out/a.jsonl"))
    assert [(row["key"], row["status"]) for row in found] == [
        ("T-1", "succeeded"),
        ("T-10", "invalid"),
        ("T-2", "invalid"),
    ]
    assert found[0]["result"] == {"label": "low"}
    assert "not JSON" in found[2]["error"]["message"]


def test_answers_derived_again_are_judged_again(answered: World) -> None:
    """A file made anew from its segment lacks the parsed JSON; the output does not."""
    answered.schema = LABEL
    answered.say('"T-1"', '{"label": "low"}')
    answered.end('"T-1"', Outcome.SUCCEEDED)
    answered.end('"T-2"', Outcome.INVALID)
    loaded = answered.load(JSONL)
    with answered.results(loaded) as opened:
        assert list(new_verdicts(answered.engine, opened)) == []
        write_output(answered.engine, opened, answered.job(loaded))
    found = rows(answered.files()["a.jsonl"])
    assert found[0]["result"] == {"label": "low"}
    assert "not JSON" in found[2]["error"]["message"]


def test_adopted_answers_without_a_schema_have_succeeded(answered: World) -> None:
    """Without a schema any text will do, whoever asked for it."""
    answered.end('"T-1"', Outcome.UNCHECKED)
    assert {row["status"] for row in rows(answered.output("out/a.jsonl"))} == {"succeeded"}


@pytest.mark.parametrize(
    ("data", "key", "expected"),
    [
        ("id\n10\n9\n-1\n", "id", [-1, 9, 10]),
        ("id\nb\nB\nä\na\n", "id", ["B", "a", "b", "ä"]),
        ("id\ntrue\nfalse\n", "id", [False, True]),
        ("id\n2024-02-29\n2023-12-31\n", "id", ["2023-12-31", "2024-02-29"]),
        ("g,n\nb,1\na,10\na,9\n", "[g, n]", [["a", 9], ["a", 10], ["b", 1]]),
    ],
)
def test_rows_are_sorted_by_the_key_itself(
    world: World, data: str, key: str, expected: list[object]
) -> None:
    """Numbers sort as numbers, text by code points, composite keys column by column."""
    world.write("data/in.csv", data)
    for name in expected:
        world.say(json.dumps(name, ensure_ascii=False, separators=(",", ":")), "x")
    head = f"""\
version: 1
name: demo
inputs: {{table: data/in.csv, key: {key}}}
model: claude-haiku-4-5
max_tokens: 16
prompt: {{user: hello}}
"""
    written, _ = world.write_first(world.load(JSONL, head))
    assert [row["key"] for row in rows((world.root / written.path).read_bytes())] == expected


def test_items_that_share_a_question_share_the_answer(answered: World) -> None:
    """Both items have the answer; it was paid for once."""
    del answered.answers['"T-2"']
    answered.shared['"T-2"'] = '"T-1"'
    found = rows(answered.output("out/a.jsonl"))
    assert [row["result"] for row in found] == ["answer 1", "answer 10", "answer 1"]
    assert found[0]["request_hash"] == found[2]["request_hash"]
    manifest = read_manifest(answered.root / "out/a.jsonl.manifest.json")
    assert manifest is not None
    assert dict(manifest.usage)["output_tokens"] == 20
    assert str(manifest.usd) == "0.00025"


def test_no_items_is_an_empty_output(world: World) -> None:
    """A spec without items writes an empty file with a manifest."""
    world.write("data/in.csv", "id,body\n")
    assert world.output("out/a.jsonl") == b""
    assert world.output("out/a.json") == b"[]\n"
    manifest = read_manifest(world.root / "out/a.jsonl.manifest.json")
    assert manifest is not None
    assert (manifest.items, manifest.output.rows, manifest.statuses) == (0, 0, ())


def stamp(path: Path) -> tuple[int, int]:
    """Return what changes when a file is replaced or written."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def test_equal_bytes_leave_the_file_alone(answered: World) -> None:
    """A second run touches neither the output nor the manifest."""
    first, _ = answered.run(JSONL)
    before = {path: stamp(path) for path in (answered.root / "out").iterdir()}
    second, _ = answered.run(JSONL)
    assert (first.changed, second.changed) == (True, False)
    assert {path: stamp(path) for path in (answered.root / "out").iterdir()} == before


@pytest.mark.parametrize("path", ["out/a.csv", "out/a.json", "out/a.parquet"])
def test_a_deleted_output_comes_back_byte_for_byte(answered: World, path: str) -> None:
    """Outputs are a function of items and answers."""
    first = answered.output(path)
    for file in (answered.root / "out").iterdir():
        file.unlink()
    assert answered.output(path) == first


def test_a_foreign_file_is_not_overwritten(answered: World) -> None:
    """A file without a manifest of ours stays, and nothing is left beside it."""
    answered.write("out/a.jsonl", "precious\n")
    with pytest.raises(Refused, match=r"out/a\.jsonl exists and was not written by batchspec"):
        answered.run(JSONL)
    assert answered.files() == {"a.jsonl": b"precious\n"}


def test_equal_bytes_without_a_manifest_are_taken_for_ours(answered: World) -> None:
    """A lost manifest is written again when the output is what it should be anyway."""
    answered.run(JSONL)
    manifest = answered.root / "out/a.jsonl.manifest.json"
    first = manifest.read_bytes()
    manifest.unlink()
    written, _ = answered.run(JSONL)
    assert not written.changed
    assert manifest.read_bytes() == first


def test_a_foreign_file_in_the_manifests_place_stays(answered: World) -> None:
    """What is called like a manifest but is none is foreign too."""
    answered.write("out/a.jsonl.manifest.json", '{"mine": true}')
    with pytest.raises(Refused, match=r"manifest\.json exists and was not written"):
        answered.run(JSONL)
    assert answered.files() == {"a.jsonl.manifest.json": b'{"mine": true}'}


@pytest.mark.parametrize("path", ["out/a.jsonl", "out/a.jsonl.manifest.json"])
def test_links_and_folders_are_not_replaced(answered: World, path: str) -> None:
    """A link or a folder in the way is refused, whatever it holds."""
    answered.run(JSONL)
    target = answered.root / path
    other = answered.write("elsewhere", "x")
    target.unlink()
    target.symlink_to(other)
    answered.say('"T-1"', "changed")
    with pytest.raises(Refused, match=r"symbolic link|was not written by batchspec"):
        answered.run(JSONL)
    target.unlink()
    target.mkdir()
    with pytest.raises(Refused, match=r"is a folder|was not written by batchspec"):
        answered.run(JSONL)
    assert other.read_text() == "x"


def test_a_folder_that_leads_out_of_the_project_is_refused(answered: World, tmp_path: Path) -> None:
    """A symlink made after the spec was checked does not carry the output away."""
    loaded = answered.load(JSONL)
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (answered.root / "out").symlink_to(outside)
    with pytest.raises(Refused, match="leads out of the project"):
        answered.write_first(loaded)
    assert list(outside.iterdir()) == []


def test_a_file_in_the_folders_way_is_refused(answered: World) -> None:
    """A file where the output's folder should be is told, not deleted."""
    answered.write("out", "x")
    with pytest.raises(Refused, match="a file stands in its way"):
        answered.run(JSONL)


def test_a_crash_after_the_manifest_is_mended_by_the_next_run(answered: World) -> None:
    """With the new manifest beside the old output the next run still knows the file is ours."""
    answered.run(JSONL)
    answered.say('"T-1"', "changed")
    old = (answered.root / "out/a.jsonl").read_bytes()
    answered.run(JSONL)
    new = answered.files()
    (answered.root / "out/a.jsonl").write_bytes(old)
    (answered.root / "out/.a.jsonl.part").write_bytes(b"half a")
    written, _ = answered.run(JSONL)
    assert written.changed
    assert answered.files() == new


def test_an_emulated_run_writes_in_the_outputs_own_place(answered: World) -> None:
    """Where nothing real stands it is the spec's path; a real run then takes the place over."""
    emulated, _ = answered.run(JSONL, emulated=True)
    assert emulated.path == "out/a.jsonl"
    manifest = read_manifest(answered.root / "out/a.jsonl.manifest.json")
    assert manifest is not None
    assert manifest.emulated
    answered.say('"T-1"', "real")
    real, _ = answered.run(JSONL)
    assert real.path == "out/a.jsonl"
    manifest = read_manifest(answered.root / "out/a.jsonl.manifest.json")
    assert manifest is not None
    assert not manifest.emulated


def test_an_emulated_run_stands_aside_for_a_real_output(answered: World) -> None:
    """Emulated answers never replace real ones, and say what they are."""
    answered.run(JSONL)
    real = answered.files()
    answered.say('"T-1"', "emulated")
    written, _ = answered.run(JSONL, emulated=True)
    assert written.path == ".batchspec/emulated/outputs/out/a.jsonl"
    assert answered.files() == real
    manifest = read_manifest(answered.root / f"{written.path}.manifest.json")
    assert manifest is not None
    assert manifest.emulated
    assert manifest.output.path == written.path


def test_removed_items_disappear(answered: World) -> None:
    """The output has the items of now, not those that once were."""
    answered.output("out/a.jsonl")
    answered.write("data/in.csv", "id,body\nT-2,two\n")
    assert [row["key"] for row in rows(answered.output("out/a.jsonl"))] == ["T-2"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_a_disk_failure(answered: World) -> None:
    """A folder without permission is told as a failure of the disk."""
    folder = answered.root / "out"
    folder.mkdir(mode=0o500)
    with pytest.raises(DiskFailure):
        answered.run(JSONL)


def test_a_missing_answer_file_is_told(answered: World) -> None:
    """Without the file of a submission's answers nothing is written over the old output."""
    loaded = answered.load(JSONL)
    with answered.results(loaded) as opened:
        path = opened.sources.answers[0]
    path.unlink()
    answered.answers.clear()
    with pytest.raises(StateFailure, match="answers of submission abcdefgh are not at"):
        open_again(answered, opened.sources)


def test_an_answer_that_the_state_promises_must_be_there(answered: World) -> None:
    """An answer that the ledger knows and no file has is an error, never an empty result."""
    answered.answers.pop('"T-2"')
    answered.end('"T-2"', Outcome.SUCCEEDED)
    with pytest.raises(StateFailure, match="1 answers are missing"):
        answered.run(JSONL)
    assert not (answered.root / "out").exists()


def test_two_answers_to_one_question_are_an_error(answered: World) -> None:
    """A question that the files answer twice must not become two rows."""
    loaded = answered.load(JSONL)
    with answered.results(loaded) as opened:
        sources = opened.sources
    doubled = dataclasses.replace(sources, answers=sources.answers * 2)
    with pytest.raises(StateFailure, match="3 questions have more than one answer"):
        open_again(answered, doubled)


def test_an_item_without_an_answer_is_a_bug_of_the_caller(answered: World) -> None:
    """Outputs are written when every item is answered, not before."""
    del answered.answers['"T-2"']
    with pytest.raises(ValueError, match="1 items have no answer yet"):
        answered.run(JSONL)
    answered.end('"T-2"', Outcome.IN_FLIGHT)
    with pytest.raises(ValueError, match="1 items have no answer yet"):
        answered.run(JSONL)


def open_again(world: World, sources: ResultSources) -> None:
    """Open results over given sources."""
    with open_results(world.engine, sources):
        pass
