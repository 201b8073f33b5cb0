"""The pytest plugin, used as another project would use it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CONFTEST = 'pytest_plugins = ["batchspec.emulator.pytest_plugin"]\n'
TESTS = """
import os
import pytest

REQUEST = {"custom_id": "a", "params": {
    "model": "claude-haiku-4-5", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}}

def test_default(batchspec_emulator):
    assert os.environ["ANTHROPIC_BASE_URL"] == batchspec_emulator.base_url
    assert os.environ["ANTHROPIC_API_KEY"]
    probe = batchspec_emulator.probe
    assert probe.batch(probe.create([REQUEST]))["processing_status"] == "ended"
    assert [paid.custom_id for paid in probe.paid()] == ["a"]

@pytest.mark.batchspec_emulator(stepped=True, delay_seconds=60)
def test_marked(batchspec_emulator):
    probe = batchspec_emulator.probe
    assert probe.paid() == []
    assert probe.batch(probe.create([REQUEST]))["processing_status"] == "in_progress"
"""


def test_another_project_uses_the_fixture(tmp_path: Path) -> None:
    """A fresh emulator per test, settings by marker, environment set, no warnings."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    options = ["-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider", "--rootdir"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path), str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "2 passed" in ended.stdout, ended.stdout + ended.stderr
