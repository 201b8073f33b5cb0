"""The site builds without a warning, and loads nothing from another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(
    r'<(?:script|img|iframe|source)[^>]*\ssrc="?(https?:[^">\s]+)'
    r'|<link[^>]*\srel="?(?:stylesheet|preconnect|icon)[^>]*href="?(https?:[^">\s]+)'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the built site; a dead link or anchor, or a page outside the navigation, fails."""
    target = tmp_path_factory.mktemp("site")
    ended = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", target],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return target


@pytest.mark.slow
def test_every_page_is_built(site: Path) -> None:
    """Each page of `docs/` and each example has its place, and the index is the front page."""
    made = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    pages = {
        path.relative_to(ROOT / "docs").with_suffix(".html")
        for path in (ROOT / "docs").rglob("*.md")
    }
    wanted = {path.as_posix().replace("README.html", "index.html") for path in pages}
    wanted |= {
        f"examples/{path.parent.name}.html" for path in (ROOT / "examples").glob("*/README.md")
    }
    assert made >= wanted | {"overview.html", "changelog.html", "examples/index.html"}


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """Who reads the documentation is nobody else's business, and it can be read offline."""
    for path in site.rglob("*.html"):
        assert not LOADED.findall(path.read_text(encoding="utf-8")), path.name
