"""The manual page is shipped in the wheel, and `man` shows it."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/batchspec.1"


def test_the_manual_is_in_the_wheel() -> None:
    """`man batchspec` finds it where the wheel is installed."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shared = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert shared == {"docs/batchspec.1": "share/man/man1/batchspec.1"}


def test_man_shows_the_manual() -> None:
    """`man` has no complaint about it."""
    program = shutil.which("man")
    if program is None:
        pytest.skip("needs man")
    ended = subprocess.run(
        [program, "--warnings", "-l", str(PAGE)],
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "MANWIDTH": "100", "MANROFFSEQ": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "batchspec plan" in ended.stdout
