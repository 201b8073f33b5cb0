"""The official Node SDK's own calls, from the package that npm installs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchspec.emulator.settings import Unknowns

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchspec.emulator.server import RunningEmulator

    Start = Callable[..., RunningEmulator]

SCRIPT = Path(__file__).parent / "sdk_node.mjs"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the Node SDK is installed."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs Node.js and npm")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"name": "contract", "private": true}')
    command = [
        npm,
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "@anthropic-ai/sdk@^1",
    ]
    ended = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=240
    )
    if ended.returncode != 0:
        pytest.skip(f"npm could not install the SDK: {ended.stderr.strip()[-200:]}")
    shutil.copy(SCRIPT, folder)
    return folder


@pytest.mark.node
def test_node_sdk(start: Start, project: Path) -> None:
    """Create, list with auto-paging, retrieve, results, cancel, delete, counting, models, files."""
    emulator = start(unknowns=Unknowns(downloadable_uploads=True))
    ended = subprocess.run(
        ["node", SCRIPT.name, emulator.base_url],
        cwd=project, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    seen: dict[str, Any] = json.loads(ended.stdout)
    assert seen == {
        "created": "in_progress",
        "retrieved": ["ended", 3],
        "texts": {f"row-{n}": f"echo: text {n}" for n in range(3)},
        "listed": True,
        "newer": True,
        "cancelled": "ended",
        "deleted": "message_batch_deleted",
        "missing": [404, "not_found_error", True],
        "tokens": 10,
        "models": True,
        "model": "claude-haiku-4-5-20251001",
        "file": ["a.txt", 5, "text/plain"],
        "files": 1,
        "content": "hello",
        "file_deleted": "file_deleted",
    }
