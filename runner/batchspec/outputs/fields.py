"""Names of values in checks: a column, or with dots a value inside of a JSON column."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from batchspec.inputs.engine import Column, quote_identifier, quote_literal
from batchspec.outputs.cells import Kind, kind_of
from batchspec.records import frozen

_NUMBERS = frozenset({Kind.NUMBER, Kind.FLOAT})


@frozen
class Field:
    """A value of each row of a relation."""

    text: str
    """The SQL of the value as text; NULL for JSON's null too."""
    value: str
    """The SQL of the value in its own type."""
    kind: Kind

    @property
    def is_number(self) -> bool:
        """Whether its type holds numbers only."""
        return self.kind in _NUMBERS

    def number(self) -> str:
        """Return the SQL of the value as a number, NULL when it is none."""
        return self.value if self.is_number else f"TRY_CAST({self.text} AS DOUBLE)"


def field_of(columns: Sequence[Column], name: str) -> Field | None:
    """Return the value that a check calls ``name``; None when the relation has no such column.

    The longest beginning of the name that is a column is that column; what follows is a path into
    its JSON: ``result.label``.
    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        column = _column(columns, ".".join(parts[:length]))
        if column is None:
            continue
        path = parts[length:]
        kind = kind_of(column.type)
        if not path and kind not in {Kind.JSON, Kind.NESTED}:
            quoted = quote_identifier(column.name)
            text = f"lower(hex({quoted}))" if kind is Kind.BYTES else f"{quoted}::VARCHAR"
            return Field(text=text, value=quoted, kind=kind)
        if kind in {Kind.JSON, Kind.NESTED} and not any(not p or '"' in p for p in path):
            steps = quote_literal("".join(["$", *(f'."{part}"' for part in path)]))
            text = f"(to_json({quote_identifier(column.name)})->>{steps})"
            return Field(text=text, value=text, kind=Kind.TEXT)
    return None


def _column(columns: Sequence[Column], name: str) -> Column | None:
    exact = (column for column in columns if column.name == name)
    folded = (column for column in columns if column.name.lower() == name.lower())
    return next(exact, next(folded, None))


def near(columns: Sequence[Column], name: str) -> str:
    """Return a sentence that helps whoever wrote a name that is no column."""
    names = [column.name for column in columns]
    found = difflib.get_close_matches(name.partition(".")[0], names, n=1)
    if found and found[0] != name.partition(".")[0]:
        return f"Did you mean {found[0]}?"
    if found:
        return f"The column {found[0]} holds no JSON that a dot could lead into."
    return f"Its columns are {', '.join(names)}."
