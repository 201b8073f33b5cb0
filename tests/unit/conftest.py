"""What several unit tests stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchspec.clock import SystemClock
from batchspec.spec.project import load_project
from batchspec.workflow.context import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Return a session over an empty project."""
    (tmp_path / "batchspec.yaml").write_text("version: 1\nname: empty\n")
    project, problems = load_project(tmp_path, {})
    assert project is not None, problems
    return Session(project=project, emulated=False, clock=SystemClock(), environ={})
