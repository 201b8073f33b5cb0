"""Commands that need neither a project nor the API: init, schema, emulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from batchspec.cli.commands import init, schema
from batchspec.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchspec.cli.terminal import Terminal

    Said = Callable[[Terminal], tuple[str, str]]


def tree(folder: Path) -> set[str]:
    """Return the files below a folder."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_init_writes_the_starter(tmp_path: Path, terminal: Terminal, said: Said) -> None:
    """`init DIR` writes all its files and says what to do next."""
    folder = tmp_path / "new" / "demo"
    assert main(["init", str(folder)], terminal) == 0
    assert tree(folder) == set(init.STARTER)
    ignored = (folder / ".gitignore").read_text().splitlines()
    assert {".batchspec/", "*.receipt.json"} <= set(ignored)
    out, err = said(terminal)
    assert f"  cd {folder}\n  batchspec plan --emulate" in out
    assert err == ""


def test_init_refuses_to_overwrite(tmp_path: Path, terminal: Terminal, said: Said) -> None:
    """One file in the way keeps all the others from being written."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "triage.md").write_text("mine")
    assert main(["init", str(tmp_path)], terminal) == 2
    assert tree(tmp_path) == {"prompts/triage.md"}
    assert "already has prompts/triage.md; nothing was written" in said(terminal)[1]


def test_init_into_a_file(tmp_path: Path, terminal: Terminal) -> None:
    """A file is no folder to write a project into."""
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file")], terminal) == 2


def test_init_from_a_template(tmp_path: Path, terminal: Terminal, said: Said) -> None:
    """`--template` copies an example without what its test expects, and ignores its state."""
    assert main(["init", "--list"], terminal) == 0
    listed = [line.split(maxsplit=1) for line in said(terminal)[0].splitlines()]
    assert all(len(words) == 2 for words in listed), "each template says what it shows"
    names = [name for name, _ in listed]
    assert ["summaries", "a glob of files, one output file per item"] in listed
    for name in names:
        assert main(["init", "--template", name, str(tmp_path / name)], terminal) == 0
        found = tree(tmp_path / name)
        assert {"batchspec.yaml", "README.md", ".gitignore"} <= found
        assert not [path for path in found if path.startswith("expected/")]


def test_init_from_an_unknown_template(tmp_path: Path, terminal: Terminal, said: Said) -> None:
    """The message names what there is, and nothing is written."""
    assert main(["init", "--template", "nothing", str(tmp_path / "new")], terminal) == 2
    assert "There is no template 'nothing'; there are " in said(terminal)[1]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", schema.NAMES)
def test_schema_prints_the_published_text(name: str, terminal: Terminal, said: Said) -> None:
    """Every published schema is printed as JSON Schema 2020-12."""
    assert main(["schema", name], terminal) == 0
    document = json.loads(said(terminal)[0])
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
