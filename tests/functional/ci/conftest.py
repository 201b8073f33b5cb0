"""A scratch repository with a project, its host, and a runner for its workflows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_forge import FakeForge, Served
from scratch_repository import FILES, KEY, Scratch
from workflow_runner import GitHubRunner, git

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functional.conftest import MakeEmulator, MakeProject


@pytest.fixture
def forge() -> Iterator[FakeForge]:
    """Start a code host."""
    with Served() as served:
        yield served


@pytest.fixture
def scratch(
    tmp_path: Path, project: MakeProject, emulator: MakeEmulator, request: pytest.FixtureRequest
) -> Scratch:
    """Make a repository with a project and the files that `init --ci` writes, pushed to main."""
    system = getattr(request, "param", "github")
    origin = tmp_path / "origin.git"
    origin.mkdir()
    git(origin, "init", "--quiet", "--bare", "--initial-branch=main")
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    folder = project(FILES)
    assert folder.batchspec("init", "--ci", system).code == 0
    git(folder.root, "init", "--quiet", "--initial-branch=main")
    git(folder.root, "remote", "add", "origin", str(origin))
    api = emulator()
    made = Scratch(origin=origin, folder=folder, api=api)
    made.commit({}, branch="main")
    return made


@pytest.fixture
def runner(
    scratch: Scratch, forge: FakeForge, environ: dict[str, str], tmp_path: Path
) -> GitHubRunner:
    """Return a runner of GitHub's workflows, whose steps find the program and the API."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    shared = environ | {"PATH": path, "ANTHROPIC_BASE_URL": scratch.api.base_url}
    return GitHubRunner(
        origin=scratch.origin,
        forge=forge,
        environ=shared,
        temp=tmp_path / "runner",
        secrets={"ANTHROPIC_API_KEY": KEY},
    )
