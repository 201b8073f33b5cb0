"""Where in the author's files a mistake stands, for text kept inline or in a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchspec.problems import Place

if TYPE_CHECKING:
    from batchspec.spec.document import NodePath
    from batchspec.spec.project import LoadedSpec


def inside(
    loaded: LoadedSpec,
    path: NodePath,
    *,
    text: str,
    file: str | None = None,
    line: int | None = None,
    column: int | None = None,
) -> Place:
    """Return the place of a line and column of an author's text.

    Args:
        loaded: The spec.
        path: Where the text, or the reference to its file, stands in the spec.
        text: The text.
        file: The file it was read from, relative to the root; None when it stands in the spec.
        line: 1-based line of the text; None when it is not known.
        column: 1-based column in characters.
    """
    if file is not None:
        lines = text.split("\n")
        known = line is not None and 1 <= line <= len(lines)
        source = lines[line - 1].rstrip("\r") if line is not None and known else None
        return Place(file=file, line=line, column=column, source=source)
    if line is None:
        return loaded.document.place(path)
    return loaded.document.inside(path, line, column)


def one_line(text: str) -> str:
    """Return a message of DuckDB or Jinja2 on one line, with its sentence ended."""
    joined = " ".join(text.split())
    return joined if joined.endswith((".", "!", "?")) else f"{joined}."
