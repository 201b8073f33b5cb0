"""The README's quickstart is what the program prints, byte for byte."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.docs.conftest import Page

ROOT = Path(__file__).parents[2]
SPEC = "specs/classify-packages.yaml"
OUT = "out/classify-packages.jsonl"
COMMANDS = {
    "plan": f"batchspec plan --emulate {SPEC}",
    "run": f"batchspec run --emulate {SPEC}",
    "head": f"head -n 3 {OUT}",
    "again": f"batchspec plan --emulate {SPEC}",
}
MEANT = {"run": 3}
"""The demo shows failed items, so its run ends with exit code 3."""


def generated(text: str, name: str, block: str) -> str:
    """Return a page's text with the block below the comment ``generated: NAME`` replaced."""
    pattern = rf"(<!-- generated: {name} -->\n```\w+\n).*?(^```$)"
    made, count = re.subn(
        pattern, lambda m: f"{m[1]}{block}{m[2]}", text, flags=re.DOTALL | re.MULTILINE
    )
    assert count == 1, name
    return made


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_quickstart_is_what_the_program_prints(
    readme: Page, tmp_path: Path, environ: dict[str, str], fresh: Callable[[Path, str], None]
) -> None:
    """The spec, the plan, the run and the output on the README are the real ones."""
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    shutil.copy(ROOT / "batchspec.yaml", tmp_path)
    environ["BATCHSPEC_EMULATOR_ANSWERS"] = "specs/answers.yaml"
    text = generated(readme.text, "spec", (ROOT / SPEC).read_text(encoding="utf-8"))
    for name, command in COMMANDS.items():
        done = subprocess.run(
            command.split(),
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == MEANT.get(name, os.EX_OK), done.stderr
        text = generated(text, name, f"$ {command}\n{done.stdout}")
    fresh(readme.path, text)


@pytest.mark.slow
def test_a_csv_of_ones_own_takes_a_spec_and_two_commands(
    readme: Page, tmp_path: Path, environ: dict[str, str]
) -> None:
    """The short spec on the README does what is said beside it, without a project file."""
    (block,) = (block for block in readme.blocks() if block.file == "labels.spec.yaml")
    (tmp_path / "labels.spec.yaml").write_text(block.text, encoding="utf-8")
    (tmp_path / "feedback.csv").write_text("id,message\n1,It crashes\n2,Love it\n")
    for command, said in (
        (["plan"], "labels (claude-haiku-4-5), 2 items\n  + 2 new: 1, 2\n"),
        (["run", "--emulate"], "  output labels.csv (2 rows, emulated)\n"),
    ):
        done = subprocess.run(
            ["batchspec", *command],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert (done.returncode, said in done.stdout) == (os.EX_OK, True), done.stderr
