"""The kinds of checks, and the names of those whose author gave none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from batchspec.spec.model import Check

ROW_KINDS: Final = (
    "not_null",
    "unique",
    "accepted_values",
    "matches",
    "range",
    "relationships",
)
"""Built-in kinds that find rows which are wrong."""
RATE_KINDS: Final = ("max_failed", "max_refused", "max_truncated", "max_invalid")
"""Built-in kinds that limit the part of items with a status."""
LIMIT_KINDS: Final = ("row_count", *RATE_KINDS, "agreement", "drift")
"""Built-in kinds that compare one figure with a limit of their own."""
KINDS: Final = ("sql", *ROW_KINDS, *LIMIT_KINDS)


def kind_of_check(check: Check) -> str:
    """Return the one kind that a check is of."""
    return next(kind for kind in KINDS if getattr(check, kind) is not None)


def number_of(table: str) -> int:
    """Return which output a table of checks is: 1 for ``output``, 2 for ``output_2``."""
    _, _, number = table.partition("_")
    return int(number or 1)


def title(check: Check) -> str:
    """Return the name of a check: the author's, or one made of its kind and columns."""
    kind = kind_of_check(check)
    setting = getattr(check, kind)
    return check.name or default_title(
        kind, setting.model_dump() if hasattr(setting, "model_dump") else setting, check.table
    )


def default_title(kind: str, setting: Any, table: str = "output") -> str:
    """Return the name of a built-in check without one, such as ``not_null result.label``.

    Args:
        kind: The check's kind.
        setting: What stands under it, in the spec or in the model.
        table: The table that it looks at.
    """
    of = "" if table == "output" else f" of {table}"
    return " ".join([kind, *_columns(setting)]) + of


def _columns(setting: Any) -> list[str]:
    if isinstance(setting, str):
        return [setting]
    if isinstance(setting, (list, tuple)):
        return [", ".join(map(str, setting))]
    if isinstance(setting, Mapping):
        reference = setting.get("reference")
        against = [] if reference is None else ["with", str(reference)]
        return [*([str(setting["column"])] if "column" in setting else []), *against]
    return []
