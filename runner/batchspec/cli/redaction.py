"""Keys are never shown: not in a bug report, and not in any line for the terminal."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # `typing` itself would be a tenth of the time that `--help` takes
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

REDACTED = "[redacted]"
_KEY_SHAPE = re.compile(r"sk-ant-[A-Za-z0-9_\-]+")
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 8
"""Shorter values are ordinary words, which a line would be unreadable without."""


def redact_line(text: str, environ: Mapping[str, str], names: Collection[str]) -> str:
    """Return text without keys and without the values of these environment variables."""
    values = {environ.get(name, "").strip() for name in names}
    return _without({value for value in values if len(value) >= _SHORTEST_SECRET}, text)


def redact_report(text: str, environ: Mapping[str, str], names: Collection[str]) -> str:
    """Return text without keys and without the values of variables that even sound secret.

    Of the variables in ``names``, the shortest value is taken out as well: a report goes to others.
    """
    secrets = {
        value
        for name, value in environ.items()
        if value
        and (name in names or (_SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET))
    }
    return _without(secrets, text)


def _without(values: Collection[str], text: str) -> str:
    # The longest first: a shorter one inside it would leave the rest of it standing.
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, REDACTED)
    return _KEY_SHAPE.sub(REDACTED, text)
