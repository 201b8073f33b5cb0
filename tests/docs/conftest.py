"""What the tests of the documentation share: its pages, their blocks, and projects to run them in.

A page is executed in one temporary project, in order. HTML comments in the page, which a reader
does not see, tell what a block is:

* ``<!-- file: specs/triage.yaml -->`` before a block: its text becomes that file of the project.
* ``<!-- project: starter -->``: the project begins with what `batchspec init` writes.
* ``<!-- api: emulator -->``: the commands talk to an emulator as if it were the API.

With BATCHSPEC_UPDATE_DOCS=1 in the environment, generated parts of pages are written anew.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from batchspec.emulator.server import EmulatorSettings, start_emulator

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(
    r"^(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
UPDATE = "BATCHSPEC_UPDATE_DOCS"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block."""

    kind: str
    """The word after the fence: yaml, console, …; may be empty."""
    text: str
    file: str | None
    """The project file that it shows."""
    line: int
    """Where it begins in its page."""


@dataclass(frozen=True)
class Page:
    """A page of the documentation."""

    path: Path

    @property
    def name(self) -> str:
        """Its path below the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        """Its Markdown."""
        return self.path.read_text(encoding="utf-8")

    def blocks(self) -> Iterator[Block]:
        """Yield its fenced blocks in order."""
        text = self.text
        for match in FENCE.finditer(text):
            yield Block(
                kind=match["kind"],
                text=match["text"],
                file=match["file"],
                line=text.count("\n", 0, match.start()) + 1,
            )

    def says(self, remark: str) -> bool:
        """Tell whether the page has an HTML comment with this text."""
        return f"<!-- {remark} -->" in self.text


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once per page, per page with commands, or per page with YAML blocks."""
    for name, chosen in CHOICES.items():
        if name in metafunc.fixturenames:
            pages = [page for page in map(Page, PAGES) if chosen(page)]
            metafunc.parametrize(name, pages, ids=[page.name for page in pages])


CHOICES: dict[str, Callable[[Page], bool]] = {
    "page": lambda _page: True,
    "page_with_commands": lambda page: any("$ batchspec" in block.text for block in page.blocks()),
    "page_with_yaml": lambda page: any(block.kind == "yaml" for block in page.blocks()),
}
"""Names of parameters, and the pages that each takes."""


@pytest.fixture
def readme() -> Page:
    """Return the README."""
    return Page(ROOT / "README.md")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Return the whole environment of the programs that pages start."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "COLUMNS": "80",
        "BATCHSPEC_POLL_SECONDS": "0.05",
        "BATCHSPEC_SETTLE_SECONDS": "0.2",
    }


@pytest.fixture
def api(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the environment that leads to an emulator as if it were the API."""
    with start_emulator(EmulatorSettings(data_dir=tmp_path / "api")) as server:
        yield {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": "canary-key-of-a-page"}


@pytest.fixture
def fresh() -> Callable[[Path, str], None]:
    """Return a check that a generated page is what its generator makes."""

    def check(path: Path, text: str) -> None:
        if os.environ.get(UPDATE):
            path.write_text(text, encoding="utf-8")
        found = path.read_text(encoding="utf-8") if path.exists() else ""
        where = path.relative_to(ROOT)
        assert found == text, (
            f"{where} is not fresh; write it anew with {UPDATE}=1 pytest tests/docs"
        )

    return check
