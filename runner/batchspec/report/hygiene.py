"""Text of users and models, made harmless for a terminal.

Keys, error messages and answers are hostile text: they may carry escape sequences,
other control characters, or direction marks that make a line read differently from what it says.
"""

from __future__ import annotations

_KEPT = {"\n", "\t"}
_CONTROLS = [
    *(chr(code) for code in range(0x20)),
    *(chr(code) for code in range(0x7F, 0xA0)),
    "\u061c",
    "\u200e",
    "\u200f",
    "\u2028",
    "\u2029",
    *(chr(code) for code in range(0x202A, 0x202F)),
    *(chr(code) for code in range(0x2066, 0x206A)),
    "\ufeff",
]
_BLOCK_TABLE = {ord(mark): None for mark in _CONTROLS if mark not in _KEPT} | dict.fromkeys(
    range(0xD800, 0xE000), "\ufffd"
)
_LINE_TABLE = _BLOCK_TABLE | {ord("\n"): " ", ord("\t"): " ", ord("\r"): " "}
_JSON_TABLE = {
    ord(mark): f"\\u{ord(mark):04x}"
    for mark in _CONTROLS
    if ord(mark) >= 0x7F  # noqa: PLR2004
} | {code: f"\\u{code:04x}" for code in range(0xD800, 0xE000)}

QUOTE = "  | "
"""Stands before every line of foreign text, so that no such line begins with what a CI system or a
shell would take for a command (``::error::``)."""


def clean_block(text: str) -> str:
    """Return ``text`` without control and direction characters; line breaks and tabs stay."""
    return _without_commands(text.translate(_BLOCK_TABLE))


def clean_line(text: str, limit: int | None = None) -> str:
    """Return ``text`` as one harmless line, cut to ``limit`` characters with an ellipsis."""
    line = _without_commands(text.translate(_LINE_TABLE)).strip()
    if limit is not None and len(line) > limit:
        return line[: limit - 3].rstrip() + "..."
    return line


def _without_commands(text: str) -> str:
    """Break the CI commands that are found anywhere in a line, not only at its start."""
    return text.replace("##[", "## [").replace("##vso[", "## vso[")


def starts_safely(line: str) -> str:
    """Return a line of progress, quoted if its start could be taken for a CI command."""
    return f"{QUOTE}{line}" if line.lstrip().startswith("::") else line


def quoted(text: str, indent: str = "") -> str:
    """Return foreign text with ``  | `` before each of its lines."""
    lines = clean_block(text).split("\n")
    return "\n".join(f"{indent}{QUOTE}{line}".rstrip() for line in lines)


def harmless_json(text: str) -> str:
    r"""Return JSON text with C1 controls, direction marks and lone surrogates as ``\uXXXX``.

    The value stays the same: such characters can only stand inside JSON strings.
    """
    return text.translate(_JSON_TABLE)
