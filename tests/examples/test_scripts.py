"""The plain SDK scripts run against the emulator, and answer what the specs beside them answer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchspec.emulator.server import EmulatorSettings, RunningEmulator, start_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"
SAID = """\
created msgbatch_…
4 requests are being processed
lock: refused
3 answers in out/answers.jsonl
1 batches in this workspace
second batch: canceling
"""


def copied(name: str, target: Path) -> Path:
    """Return a copy of an example without what its spec is expected to write."""
    ignored = shutil.ignore_patterns("expected", "out", ".batchspec")
    return Path(shutil.copytree(EXAMPLES / name, target / name, ignore=ignored))


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[RunningEmulator]:
    """Start an emulator whose batches take a second."""
    settings = EmulatorSettings(
        data_dir=tmp_path / "emulator",
        answers=EXAMPLES / "sdk-python/answers.yaml",
        delay_seconds=1,
        cancel_seconds=60,
    )
    with start_emulator(settings) as running:
        yield running


def played(command: list[str], folder: Path, emulator: RunningEmulator) -> str:
    """Run a script; return what it printed, with repetitions and ids taken out."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ANTHROPIC_BASE_URL": emulator.base_url,
        "ANTHROPIC_API_KEY": "canary-of-an-example",
        "POLL_SECONDS": "0.4",
    }
    ended = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    said = re.sub(r"msgbatch_\w+", "msgbatch_…", ended.stdout)
    return re.sub(r"(4 requests are being processed\n)+", r"\1", said)


def answers(path: Path) -> list[object]:
    """Return the rows of an output."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_python_script(emulator: RunningEmulator, tmp_path: Path) -> None:
    """It creates, polls, reads results, lists and cancels."""
    folder = copied("sdk-python", tmp_path)
    assert played([sys.executable, "batch.py"], folder, emulator) == SAID
    made = answers(folder / "out/answers.jsonl")
    assert made == answers(EXAMPLES / "sdk-python/expected/answers.jsonl")


@pytest.mark.node
def test_the_node_script(emulator: RunningEmulator, tmp_path: Path) -> None:
    """The same, with the package that npm installs."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs Node.js and npm")
    folder = copied("sdk-node", tmp_path)
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    ended = subprocess.run(
        install, cwd=folder, capture_output=True, text=True, check=False, timeout=240
    )
    if ended.returncode != 0:
        pytest.skip(f"npm could not install the SDK: {ended.stderr.strip()[-200:]}")
    assert played(["node", "batch.mjs"], folder, emulator) == SAID
    made = answers(folder / "out/answers.jsonl")
    assert made == answers(EXAMPLES / "sdk-node/expected/answers.jsonl")
