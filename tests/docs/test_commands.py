"""Every command that a page shows is run, in order, and its output is what the page shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from reader import Shell, play

if TYPE_CHECKING:
    from tests.docs.conftest import Page

SLOW_SECONDS = 2.0


@pytest.mark.slow
def test_commands_do_what_the_page_shows(
    page_with_commands: Page,
    tmp_path: Path,
    environ: dict[str, str],
    api: Callable[[float], dict[str, str]],
) -> None:
    """A reader who types what the page shows sees what it shows."""
    for remark, delay in (("api: emulator", 0.0), ("api: slow emulator", SLOW_SECONDS)):
        if page_with_commands.says(remark):
            environ |= api(delay)
    folder = tmp_path / "reader"
    folder.mkdir()
    shell = Shell(folder=folder, environ=environ)
    if page_with_commands.says("project: starter"):
        shell.run("batchspec init support-desk")
        shell.run("cd support-desk")
    assert play(page_with_commands.name, page_with_commands.blocks(), shell) > 0
