"""The pytest plugin, used as another project would use it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/reference/emulator.md"
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


def test_the_plugin_costs_nothing_to_others() -> None:
    """Pytest loads it in every project, so it loads nothing of the server."""
    code = "import sys, batchspec.emulator.pytest_plugin\nprint(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in ended.stdout.split() if name.startswith("batchspec")}
    assert loaded == {"batchspec", "batchspec.emulator", "batchspec.emulator.pytest_plugin"}


def test_the_plugin_is_an_entry_point() -> None:
    """Pytest finds it under the name of its module, so that naming it again does no harm."""
    (point,) = entry_points(group="pytest11", name="batchspec.emulator.pytest_plugin")
    assert point.value == "batchspec.emulator.pytest_plugin"


def passed(folder: Path) -> str:
    """Run pytest in a folder as another project would, and return what it said."""
    options = ["-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider", "--rootdir"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder), str(folder)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return ended.stdout + ended.stderr


def test_another_project_uses_the_fixture(tmp_path: Path) -> None:
    """A fresh emulator per test, settings by marker, environment set, no warnings."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    said = passed(tmp_path)
    assert "2 passed" in said, said


def test_the_example_of_the_page(tmp_path: Path) -> None:
    """The test that the reference shows passes, with nothing beside it."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (example,) = (block for block in blocks if "def test_" in block)
    (tmp_path / "test_page.py").write_text(example)
    said = passed(tmp_path)
    assert "1 passed" in said, said
