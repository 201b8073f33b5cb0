"""Completion scripts are what each shell takes, and bash completes with them."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from batchspec.cli.commands import completion
from batchspec.cli.main import main
from batchspec.cli.parser import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchspec.cli.terminal import Terminal

    Said = Callable[[Terminal], tuple[str, str]]


def script(shell: str, terminal: Terminal, said: Said) -> str:
    """Return what the command prints."""
    assert main(["completion", shell], terminal) == 0
    out, err = said(terminal)
    assert err == ""
    return out


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_script_is_valid_and_whole(
    shell: str, terminal: Terminal, said: Said, tmp_path: Path
) -> None:
    """The shell itself finds no mistake in it, and every command and option is there."""
    text = script(shell, terminal, said)
    for name in COMMANDS:
        assert name in text
        for option in completion.described(name).options:
            assert option.flags[-1].lstrip("-") in text
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs {shell}")
    file = tmp_path / "script"
    file.write_text(text, encoding="utf-8")
    ended = subprocess.run([program, "-n", str(file)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["batchspec", "val"], ["validate"]),
        (["batchspec", "--project", "x", "pl"], ["plan"]),
        (["batchspec", "plan", "--form"], ["--format"]),
        (["batchspec", "plan", "--format", "m"], ["markdown"]),
        (["batchspec", "schema", "out"], ["output-row"]),
        (["batchspec", "run", "tri"], ["triage"]),
        (["batchspec", "init", "--template", "extr"], ["extraction"]),
        (["batchspec", "run", "--max-usd", ""], []),
        (["batchspec", "state", "ex"], ["export"]),
        (["batchspec", "init", "--li"], ["--list"]),
    ],
)
def test_bash_completes(
    typed: list[str], expected: list[str], terminal: Terminal, said: Said, tmp_path: Path
) -> None:
    """Commands, options, their choices, and names of specs."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/triage.yaml").touch()
    words = " ".join(f"'{word}'" for word in typed)
    code = (
        f"{script('bash', terminal, said)}\nCOMP_WORDS=({words})\nCOMP_CWORD={len(typed) - 1}\n"
        '_batchspec\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    ended = subprocess.run(
        ["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""
    assert ended.stdout.split() == expected
