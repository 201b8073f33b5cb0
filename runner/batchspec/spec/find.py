"""Find spec files by the project's globs, and choose among them by path or name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from batchspec.problems import Place, Problem, Severity
from batchspec.spec.document import Document, shown
from batchspec.spec.draft import Draft
from batchspec.spec.paths import complaint, is_reserved
from batchspec.spec.words import listing

_ENDINGS = (".yaml", ".yml")


def find_specs(
    root: Path, patterns: Sequence[str], document: Document | None, *, others: Sequence[str]
) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """Return the spec files that the project's globs find, sorted, relative to ``root``.

    Args:
        root: The project's root.
        patterns: The globs.
        document: The project file.
        others: Files that a glob may meet and that are no specs: the project file, the policy.
    """
    found: set[str] = set()
    problems: list[Problem] = []
    for number, pattern in enumerate(patterns):
        wrong = complaint(pattern, root)
        if wrong is not None:
            where = None if document is None else document.place(("specs", number))
            problems.append(_outside(pattern, wrong, where))
            continue
        meant = set(_matching(root, pattern)).difference(others)
        if not meant and document is not None and document.get("specs") is not None:
            problems.append(_nothing(pattern, document.place(("specs", number))))
        found |= meant
    for name in sorted(found):
        wrong = complaint(name, root)
        if wrong is not None:
            found.discard(name)
            problems.append(_outside(name, wrong, Place(file=name)))
    return tuple(sorted(found)), tuple(problems)


def _matching(root: Path, pattern: str) -> Iterator[str]:
    for path in root.glob(pattern):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not is_reserved(name):
            yield name


def _nothing(pattern: str, where: Place) -> Problem:
    return Problem(
        code="specs-match-nothing",
        summary=f"{shown(pattern)} matches no file",
        detail="The project has fewer specs than its file says, and what is not found is not run."
        " Correct the pattern, or remove it.",
        severity=Severity.WARNING,
        where=where,
    )


def _outside(name: str, wrong: str, where: Place | None) -> Problem:
    return Problem(
        code="path-outside-project",
        summary=f"{shown(name)} {wrong}",
        detail="Specs are files of the project, so that a review sees all of them. Move the file"
        " below the project's folder.",
        where=where,
    )


def choose(
    selectors: Sequence[str], found: Sequence[str], root: Path, read: Callable[[str], Draft]
) -> tuple[tuple[Draft, ...], tuple[Draft, ...], tuple[Problem, ...]]:
    """Read the specs that selectors name.

    Files that no selector can mean are not read, unless a name must be looked up or a chosen spec
    needs others.

    Returns:
        Every draft that was read, the chosen ones among them, and a problem for each selector that
        names nothing.
    """
    paths = {selector: _as_path(selector, root) for selector in selectors}
    wanted = [path for path in paths.values() if path is not None]
    drafts = {path: read(path) for path in dict.fromkeys(wanted)}
    if len(wanted) < len(paths) or not selectors or any(d.needs for d in drafts.values()):
        drafts.update({path: read(path) for path in found if path not in drafts})
    chosen = set(wanted) if selectors else set(found)
    problems: list[Problem] = []
    for selector in (s for s, path in paths.items() if path is None):
        named = {path for path, draft in drafts.items() if draft.name == selector}
        chosen |= named
        if not named:
            problems.append(_unknown(selector, tuple(drafts.values())))
    ordered = [drafts[path] for path in sorted(drafts)]
    return tuple(ordered), tuple(d for d in ordered if d.path in chosen), tuple(problems)


def _as_path(selector: str, root: Path) -> str | None:
    """Return the file below ``root`` that a selector names as a path, if it does."""
    for base in (Path.cwd(), root):
        path = base / selector
        path = path.parent.resolve() / path.name
        if path.suffix not in _ENDINGS or not path.is_file() or not path.is_relative_to(root):
            continue
        name = path.relative_to(root).as_posix()
        if complaint(name, root) is None:
            return name
    return None


def _unknown(selector: str, drafts: Sequence[Draft]) -> Problem:
    names = [draft.name for draft in drafts]
    near = difflib.get_close_matches(selector, names, n=3, cutoff=0.5)
    what = "no spec has this path or name"
    if selector.endswith(_ENDINGS):
        what = "there is no such file in the project"
    known = f"Did you mean {listing(near, 'or')}?" if near else f"The specs are {_few(names)}."
    return Problem(
        code="unknown-spec",
        summary=f"{shown(selector)} names no spec",
        detail=f"For {shown(selector)}, {what}. {known if names else 'The project has no specs.'}",
    )


def _few(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) if more else listing(names, "and")
