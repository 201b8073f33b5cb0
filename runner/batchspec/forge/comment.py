"""One comment per pull request: written once, found again by a hidden mark, and changed."""

from __future__ import annotations

import re

from batchspec.forge.port import Forge

_UNSAFE = re.compile(r"[^A-Za-z0-9._/-]")


def mark(name: str) -> str:
    """Return the first line of our comment; Markdown does not show it."""
    return f"<!-- batchspec plan: {_UNSAFE.sub('-', name)} -->"


def place_comment(forge: Forge, name: str, text: str, whole: str) -> bool:
    """Write the comment, or change the one that was written before.

    A comment of somebody else that begins with our mark is left alone: its author could change
    the plan that reviewers read.

    Args:
        forge: The code host.
        name: Tells apart the comments of several projects in one repository.
        text: Markdown.
        whole: What stands below a text that was cut: where the whole one is.

    Returns:
        Whether one was changed.
    """
    first, login = mark(name), forge.me()
    body = f"{first}\n{_fitted(text, forge.longest - len(first) - 1, whole)}"
    for comment in forge.comments():
        if comment.author == login and comment.body.startswith(first):
            if comment.body.rstrip() != body.rstrip():
                forge.change(comment, body)
            return True
    forge.post(body)
    return False


def _fitted(text: str, longest: int, whole: str) -> str:
    """Return a text, or its first paragraph and where the whole is when it is too long.

    A plan's Markdown is shorter than any host allows; this is for other texts.
    """
    if len(text) <= longest:
        return text
    first = text.strip().partition("\n\n")[0]
    return f"{first[: longest - len(whole) - 2]}\n\n{whole}"
