"""What differs between two requests, in the marks of git's word diff: [-old-] and {+new+}."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from batchspec.report.figures import count, number
from batchspec.report.hygiene import QUOTE, clean_block, clean_line
from batchspec.report.style import PLAIN, Style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchspec.plan.wording import Piece, Rewording

_PATH_LIMIT = 120


def wording_lines(rewording: Rewording, style: Style = PLAIN, *, indent: str = "") -> Iterator[str]:
    """Yield harmless, quoted lines: each place with its text, then how many more there are."""
    for wording in rewording.wordings:
        text = "".join(_marked(piece, style) for piece in wording.pieces)
        for line in f"{clean_line(wording.path, _PATH_LIMIT)}: {text}".split("\n"):
            yield f"{indent}{QUOTE}{line}".rstrip()
    if rewording.more:
        yield f"{indent}{QUOTE}and {count(rewording.more, 'more place')}"


def _marked(piece: Piece, style: Style) -> str:
    text = clean_block(piece.text)
    match piece.op:
        case "same":
            return text
        case "removed":
            return style.bad(f"[-{text}-]")
        case "added":
            return style.good(f"{{+{text}+}}")
        case "skipped":
            return style.dim(f"…({number(piece.characters)} characters)…")
        case _:
            assert_never(piece.op)
