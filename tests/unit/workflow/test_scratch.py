"""Temporary files last as long as their command, or until the next one after a crash."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from batchspec.errors import EnvironmentFailure
from batchspec.workflow.scratch import scratch_below

if TYPE_CHECKING:
    from pathlib import Path

KILLED = """\
import os, pathlib, signal, sys
from batchspec.workflow.scratch import scratch_below
with scratch_below(pathlib.Path(sys.argv[1])) as folder:
    (folder / "large").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folder_is_gone_at_the_end(tmp_path: Path) -> None:
    """With all that is in it; two at a time do not know of each other."""
    parent = tmp_path / "new" / "tmp"
    with scratch_below(parent) as first:
        (first / "file").write_text("x")
        with scratch_below(parent) as second:
            (second / "sub").mkdir()
            assert first != second
        assert (first / "file").read_text() == "x"
    assert list(parent.iterdir()) == []


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    """The next command removes it, and leaves alone what a living one still uses."""
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.rglob("large"))) == 1
    with scratch_below(tmp_path) as mine:
        assert not list(tmp_path.rglob("large"))
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [mine]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_failure_of_the_environment(tmp_path: Path) -> None:
    """Its message names the folder."""
    (tmp_path / "tmp").write_text("a file")
    with pytest.raises(
        EnvironmentFailure, match=r"temporary files, .*/tmp, cannot be used"
    ) as found:
        scratch_below(tmp_path / "tmp").__enter__()
    assert found.value.hint
