"""Every example does what its README shows, and its outputs are the committed ones, byte for byte.

An example is a folder with a project: ``batchspec.yaml``, ``specs/``, ``data/``, a ``README.md``
whose console blocks are typed into a copy of it, and ``expected/``, which is what stands in
``out/`` then (manifests and receipts left out: they also have prices and times).
BATCHSPEC_UPDATE_EXAMPLES=1 writes ``expected/`` anew.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from reader import Shell, fenced, play

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/batchspec.yaml"))


def outputs(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, without manifests and receipts."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith((".manifest.json", ".receipt.json"))
    }


def renew(expected: Path, made: dict[str, bytes]) -> None:
    """Write the expected outputs anew."""
    shutil.rmtree(expected, ignore_errors=True)
    for name, data in made.items():
        target = expected / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a terminal without a key, in which the program is found."""
    home = tmp_path / "home"
    home.mkdir()
    environ = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "COLUMNS": "80",
        "BATCHSPEC_POLL_SECONDS": "0.05",
    }
    return Shell(folder=tmp_path, environ=environ)


@pytest.mark.parametrize("name", NAMES)
def test_example(name: str, shell: Shell) -> None:
    """What the README types runs as shown, and leaves the expected outputs."""
    source = EXAMPLES / name
    shell.folder /= name
    shutil.copytree(source, shell.folder, ignore=shutil.ignore_patterns("expected", ".batchspec"))
    readme = (source / "README.md").read_text(encoding="utf-8")
    assert play(f"examples/{name}/README.md", fenced(readme), shell) > 0
    made = outputs(shell.folder / "out")
    if os.environ.get("BATCHSPEC_UPDATE_EXAMPLES"):
        renew(source / "expected", made)
    assert made
    assert made == outputs(source / "expected")


def test_every_example_is_in_the_index() -> None:
    """examples/README.md has a row for each example, and only for those there are."""
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[([\w-]+)\]\(\1/\) \|", index, re.MULTILINE)
    assert sorted(listed) == NAMES
