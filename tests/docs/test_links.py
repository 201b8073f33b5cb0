"""Links between pages lead somewhere, and so do the sections that the code cites."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.docs.conftest import Page

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
CITED = re.compile(r"(fact sheet|protocol) (§[\d.]+\d|§\d)((?:, §[\d.]*\d)*)", re.IGNORECASE)
PLACES = {
    "fact sheet": ROOT / "docs/reference/api-facts.md",
    "protocol": ROOT / "docs/explanation/pay-once.md",
}
CODE = ("runner", "tests", "benchmarks", "schemas")


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, made the way GitHub makes them."""
    seen: Counter[str] = Counter()
    found = set()
    for title in HEADING.findall(FENCED.sub("", path.read_text(encoding="utf-8"))):
        plain = re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).replace(" ", "-")
        found.add(f"{plain}-{seen[plain]}" if seen[plain] else plain)
        seen[plain] += 1
    return found


def dead_links(page: Path) -> list[str]:
    """Return the relative links that name no file of the repository, or no heading of it."""
    dead = []
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    return dead


def test_links_lead_somewhere(page: Page) -> None:
    """A relative link names a file of the repository, and a heading of it if it says so."""
    assert not dead_links(page.path)


def test_links_of_examples_lead_somewhere() -> None:
    """The same for the pages of the examples."""
    pages = sorted((ROOT / "examples").rglob("README.md"))
    assert len(pages) > 1
    assert not {path.parent.name: dead for path in pages if (dead := dead_links(path))}


def test_every_page_is_linked_from_the_index() -> None:
    """A page that nobody links to is not found."""
    index = ROOT / "docs/README.md"
    linked = {
        (index.parent / link.partition("#")[0]).resolve()
        for link in LINK.findall(index.read_text(encoding="utf-8"))
    }
    pages = {path.resolve() for path in (ROOT / "docs").rglob("*.md")} - {index.resolve()}
    assert not {path.name for path in pages - linked}


def numbers(path: Path) -> set[str]:
    """Return the section numbers of a page: ``3.4`` of the heading ``### 3.4 Idempotency``."""
    titles = HEADING.findall(path.read_text(encoding="utf-8"))
    return {match[0] for title in titles if (match := re.match(r"\d+(\.\d+)*", title))}


def test_cited_sections_exist() -> None:
    """A section of the API's facts or of the protocol that code cites is a heading of its page."""
    known = {name: numbers(path) for name, path in PLACES.items()}
    missing = set()
    for folder in CODE:
        for path in (ROOT / folder).rglob("*.*"):
            if path.suffix not in {".py", ".json", ".yaml"}:
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            for name, first, more in CITED.findall(text):
                cited = {part.strip(" §") for part in f"{first}{more}".split(",")}
                missing |= {(name.lower(), n) for n in cited - known[name.lower()]}
    assert not missing
