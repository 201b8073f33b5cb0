"""One file per item."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import pytest

from batchspec.errors import Refused
from batchspec.outputs.manifest import read_manifest
from batchspec.outputs.pathmap import path_complaint

World = Any
"""The folder's conftest has it; test folders are no packages to import it from."""
MANIFEST = "_key_.md.manifest.json"


def output(path: str, select: str | None = None) -> str:
    """Return the end of a spec with a path template."""
    tail = f"outputs:\n  path: {json.dumps(path)}\n"
    return tail if select is None else f"{tail}  select: {json.dumps(select)}\n"


MD = output("out/{{ key }}.md")


def items(world: World) -> dict[str, bytes]:
    """Return the files of the output folder without the manifest."""
    return {name: data for name, data in world.files().items() if ".manifest." not in name}


def test_each_succeeded_item_has_its_file(answered: World) -> None:
    """The answer is the file's text, ended by one line end; failed items have no file."""
    answered.say('"T-2"', "ends already\n")
    answered.say('"T-10"', "cut", "max_tokens")
    written, problems = answered.run(MD)
    assert problems == ()
    assert items(answered) == {"T-1.md": b"answer 1\n", "T-2.md": b"ends already\n"}
    assert (written.rows, written.bytes, written.changed) == (2, 22, True)
    manifest = read_manifest(answered.root / "out" / MANIFEST)
    assert manifest is not None
    assert sorted(manifest.output.files or {}) == ["out/T-1.md", "out/T-2.md"]
    assert manifest.statuses == (("succeeded", 2), ("truncated", 1))


def test_a_second_run_touches_nothing(answered: World) -> None:
    """Equal files stay, to the inode."""
    answered.run(MD)
    before = {path: path.stat().st_mtime_ns for path in (answered.root / "out").iterdir()}
    written, _ = answered.run(MD)
    assert not written.changed
    assert {p: p.stat().st_mtime_ns for p in (answered.root / "out").iterdir()} == before


def test_results_as_json(world: World) -> None:
    """A path that ends in .json has the result as JSON, with or without a schema."""
    world.write("data/in.csv", "id,body\na,x\n")
    world.say('"a"', "plain")
    world.run(output("out/{{ key }}.json"))
    assert items(world) == {"a.json": b'"plain"\n'}
    world.schema = {"type": "object"}
    world.say('"a"', '{"n": 1}')
    world.run(output("out/{{ key }}.json"))
    assert items(world) == {"a.json": b'{"n":1}\n'}


def test_paths_from_columns_and_folders(answered: World) -> None:
    """Any column may stand in a path, folders included; the manifest is in the fixed folder."""
    answered.run(output("out/{{body}}/{{ key }}-{{ status }}.txt"))
    assert sorted(answered.files()) == [
        "_body_._key_-_status_.txt.manifest.json",
        "one/T-1-succeeded.txt",
        "ten/T-10-succeeded.txt",
        "two/T-2-succeeded.txt",
    ]


def test_a_projection_decides_the_content(answered: World) -> None:
    """The column ``content`` is the text; for .json the row is, where there is no such column."""
    select = "SELECT id, '# ' || id AS content FROM results WHERE id <> 'T-10'"
    answered.run(output("out/{{ id }}.md", select))
    assert items(answered) == {"T-1.md": b"# T-1\n", "T-2.md": b"# T-2\n"}
    answered.run(output("rows/{{ id }}.json", "SELECT id, body FROM results WHERE id = 'T-1'"))
    assert answered.files("rows")["T-1.json"] == b'{"id":"T-1","body":"one"}\n'


def test_files_of_removed_items_disappear(answered: World) -> None:
    """Files whose items are gone go, with the folders they leave empty; others stay."""
    tail = output("out/{{ body }}/{{ key }}.md")
    answered.run(tail)
    answered.write("out/notes.md", "mine")
    answered.write("data/in.csv", "id,body\nT-2,two\n")
    written, problems = answered.run(tail)
    assert (written.changed, problems) == (True, ())
    assert items(answered) == {"notes.md": b"mine", "two/T-2.md": b"answer 2\n"}
    assert not (answered.root / "out/one").exists()


def test_files_changed_by_hand_are_not_deleted(answered: World) -> None:
    """What a person wrote into a file whose item is gone is left, and told."""
    answered.run(MD)
    answered.write("out/T-1.md", "my own words")
    answered.write("data/in.csv", "id,body\nT-2,two\n")
    _, (warning,) = answered.run(MD)
    assert warning.code == "output-edited"
    assert "out/T-1.md" in warning.summary
    assert sorted(items(answered)) == ["T-1.md", "T-2.md"]


def test_a_manifest_cannot_make_us_delete_elsewhere(answered: World) -> None:
    """A manifest that somebody forged names a file outside; it stays."""
    answered.run(MD)
    outside = answered.root.parent / f"{answered.root.name}-precious"
    outside.write_bytes(b"answer 1\n")
    path = answered.root / "out" / MANIFEST
    forged = json.loads(path.read_bytes())
    digest = forged["output"]["files"].pop("out/T-1.md")
    forged["output"]["files"][f"../{outside.name}"] = digest
    path.write_text(json.dumps(forged))
    answered.run(MD)
    assert outside.exists()


def test_foreign_files_are_not_overwritten(answered: World) -> None:
    """One foreign file stops all of them."""
    answered.write("out/T-10.md", "precious")
    with pytest.raises(Refused, match=r"out/T-10\.md exists and was not written by batchspec"):
        answered.run(MD)
    assert answered.files() == {"T-10.md": b"precious"}


def test_a_changed_answer_replaces_its_file_only(answered: World) -> None:
    """Files of unchanged answers are not written again."""
    answered.run(MD)
    before = (answered.root / "out/T-2.md").stat().st_ino
    answered.say('"T-1"', "new")
    written, _ = answered.run(MD)
    assert written.changed
    assert items(answered)["T-1.md"] == b"new\n"
    assert (answered.root / "out/T-2.md").stat().st_ino == before


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        (["../up", "b"], "output-path-unsafe"),
        (["/etc/passwd"], "output-path-unsafe"),
        (["a/../../b"], "output-path-unsafe"),
        ([".git/config", ".env"], "output-path-unsafe"),
        (["a//b"], "output-path-unsafe"),
        (["a\\b"], "output-path-unsafe"),
        (["x\x1b[31m"], "output-path-unsafe"),
        (["x" * 300], "output-path-unsafe"),
        (["é" * 127], "output-path-unsafe"),
        (["readme", "README"], "output-path-collision"),
        (["e\u0301", "é"], "output-path-collision"),
        (["ß", "ss"], "output-path-collision"),
        (["a.md/b", "a"], "output-path-collision"),
        (["_key_.md.manifest.json/x"], "output-path-collision"),
        (["_key_.md.receipt.json/x"], "output-path-collision"),
        (["_key_.md.quarantine.jsonl/x"], "output-path-collision"),
    ],
)
def test_paths_that_cannot_be_written(world: World, keys: list[str], code: str) -> None:
    """Hostile and clashing keys are problems; nothing is written, not even the good ones."""
    quoted = "".join('"' + key.replace('"', '""') + '",x\n' for key in keys)
    world.write("data/in.csv", "id,body\n" + quoted)
    for key in keys:
        world.say(json.dumps(key, ensure_ascii=False), "x")
    written, problems = world.run(MD)
    assert written is None
    assert [problem.code for problem in problems] == [code]
    assert problems[0].where.line == 10
    assert world.files() == {}


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (
            output("out/{{ subject }}.md"),
            "specs/demo.yaml:10:9 output-path-field: outputs.path uses {{ subject }}",
        ),
        (output("out/{{ key | upper }}.md"), "uses {{ key | upper }}, which is no column"),
        (output("out/{{ bdy }}.md"), "Did you mean {{ body }}?"),
        (output("out/{{ id }}.md", "SELECT id FROM results"), "output-content: the select"),
        (output("out/{{ id }}.md", "SELECT nope FROM results"), "bad-sql"),
        (
            output("out/{{ id }}.md", "SELECT id, text::INT AS content FROM results"),
            "bad-sql: the SQL of outputs.select is refused. Could not convert string",
        ),
    ],
)
def test_mistakes_in_templates_are_problems(answered: World, tail: str, message: str) -> None:
    """Each is told at its place, and nothing is written."""
    written, problems = answered.run(tail)
    assert written is None
    assert any(message in problem.message() for problem in problems), problems
    assert answered.files() == {}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("out/a.md", None),
        ("out/a b/ü:?*.md", None),
        ("out/", "has an empty part"),
        ("out/a/./b", "has a part that begins with a dot"),
        ("out/" + "x" * 255, None),
        ("out/" + "x" * 256, "has a part longer than 255 bytes"),
        ("out/\u0085", "holds a control character"),
    ],
)
def test_path_rules(path: str, expected: str | None) -> None:
    """What may be a path is decided part by part."""
    assert path_complaint(path, PurePosixPath("out")) == expected
