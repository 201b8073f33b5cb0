"""What the site has beyond `docs/`: the README, the examples, the changelog and the schemas.

A hook of MkDocs. Pages link to each other the way they do in the repository; here such links are
turned to where the pages stand on the site. A link to a file that is no page becomes plain text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
_HEADING = re.compile(r"^## (?P<title>.+)$")
_ENTRY = re.compile(r"^(?:\*|\d+\.) \[(?P<title>[^\]]+)\]\((?P<path>[^)]+\.md)\)")


def _pages() -> dict[str, str]:
    """Return files of the repository outside `docs/`, and where they stand on the site."""
    pages = {
        "README.md": "overview.md",
        "CHANGELOG.md": "changelog.md",
        "examples/README.md": "examples/README.md",
    }
    for path in sorted((ROOT / "examples").glob("*/README.md")):
        pages[f"examples/{path.parent.name}/README.md"] = f"examples/{path.parent.name}.md"
    for path in sorted((ROOT / "schemas").glob("*.json")):
        pages[f"schemas/{path.name}"] = f"schemas/{path.name}"
    return pages


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the navigation from the index of the documentation, so that there is one list."""
    top: list[Any] = ["README.md", {"Overview": "overview.md"}]
    section = top
    for line in (ROOT / "docs/README.md").read_text(encoding="utf-8").splitlines():
        heading, entry = _HEADING.match(line), _ENTRY.match(line)
        if heading is not None:
            section = []
            top.append({heading["title"]: section})
        elif entry is not None and not entry["path"].startswith(".."):
            section.append({entry["title"]: entry["path"]})
    examples = [target for target in _pages().values() if target.startswith("examples/")]
    top += [{"Examples": examples}, {"Changes": "changelog.md"}]
    config.nav = top
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside `docs/`."""
    for source, target in _pages().items():
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - the hook's signature
    """Turn the links of a page to where their targets stand on the site."""
    here = page.file.src_uri
    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(lambda link: _turned(link, here), part) for part in parts[::2]]
    return "".join(parts)


def _turned(link: re.Match[str], here: str) -> str:
    pages = _pages()
    source = {target: path for path, target in pages.items()}.get(here, f"docs/{here}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link["path"]))
    if (ROOT / path / "README.md").is_file():
        path = f"{path}/README.md"
    target = path.removeprefix("docs/") if path.startswith("docs/") else pages.get(path)
    if target is None:
        return link["text"]
    turned = posixpath.relpath(target, posixpath.dirname(here) or ".")
    return f"[{link['text']}]({turned}{link['anchor'] or ''})"
