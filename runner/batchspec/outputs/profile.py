"""How often a column has which value: what drift is measured by, and what a manifest keeps."""

# ruff: noqa: S608 - the relations and names in this SQL are ours or quoted.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

from batchspec.inputs.engine import Engine
from batchspec.outputs.fields import field_of
from batchspec.records import frozen

MOST_VALUES: Final = 100
"""How many values a profile names: the most frequent ones; the rest are counted together."""
_LONGEST: Final = 200
"""Characters of a value that tell it from others."""


@frozen
class Profile:
    """The distribution of one column of an output."""

    rows: int
    nulls: int
    values: Mapping[str, int]
    """Rows by value as text, sorted by value; at most `MOST_VALUES` of them."""
    other: int
    """Rows with any other value."""

    def document(self) -> dict[str, Any]:
        """Return what a manifest or a receipt holds of it."""
        return {
            "rows": self.rows,
            "nulls": self.nulls,
            "values": dict(self.values),
            "other": self.other,
        }

    def shares(self) -> dict[tuple[str, str], Fraction]:
        """Return each category's exact part of the rows."""
        whole = max(self.rows, 1)
        named = {("value", value): Fraction(rows, whole) for value, rows in self.values.items()}
        rest = {("null", ""): self.nulls, ("other", ""): self.other}
        return named | {category: Fraction(rows, whole) for category, rows in rest.items()}


Profiles = Mapping[str, Profile]
"""By the name that a check gives the column."""


def profiles_of(engine: Engine, relation: str, names: Iterable[str]) -> dict[str, Profile]:
    """Return the profiles of some columns of a relation; unknown columns are left out."""
    columns = engine.names(relation)
    found = {}
    for name in sorted(set(names)):
        field = field_of(columns, name)
        if field is not None:
            found[name] = _profile(engine, relation, field.text)
    return found


def _profile(engine: Engine, relation: str, text: str) -> Profile:
    counted = (
        f"SELECT left({text}, {_LONGEST}) AS value, count(*) AS rows FROM ({relation}) GROUP BY 1"
    )
    rows, nulls = engine.one(
        "SELECT coalesce(sum(rows), 0)::BIGINT, coalesce(sum(rows) FILTER (value IS NULL), 0)"
        f"::BIGINT FROM ({counted})"
    )
    values = dict(
        engine.rows(
            f"SELECT * FROM (SELECT value, rows FROM ({counted}) WHERE value IS NOT NULL"
            f" ORDER BY rows DESC, value LIMIT {MOST_VALUES}) ORDER BY value"
        )
    )
    return Profile(rows=rows, nulls=nulls, values=values, other=rows - nulls - sum(values.values()))


def read_profiles(document: object) -> dict[str, Profile] | None:
    """Return the profiles that a manifest or a receipt holds; None when it holds none.

    Raises:
        KeyError, TypeError, ValueError: It holds something else.
    """
    if not isinstance(document, dict):
        return None
    return {
        str(name): Profile(
            rows=int(profile["rows"]),
            nulls=int(profile["nulls"]),
            values={str(value): int(rows) for value, rows in profile["values"].items()},
            other=int(profile["other"]),
        )
        for name, profile in document.items()
    }


def distance(before: Profile, after: Profile) -> Fraction:
    """Return the total variation distance: the part of the rows that changed sides, 0 to 1."""
    if not before.rows or not after.rows:
        return Fraction(int(bool(before.rows) != bool(after.rows)))
    old, new = before.shares(), after.shares()
    none = Fraction(0)
    return sum((abs(old.get(c, none) - new.get(c, none)) for c in old | new), none) / 2


def largest_moves(before: Profile, after: Profile, most: int = 3) -> list[tuple[str, Fraction]]:
    """Return the categories whose part of the rows changed most, with the change."""
    old, new = before.shares(), after.shares()
    none = Fraction(0)
    moves = [(c, new.get(c, none) - old.get(c, none)) for c in old | new]
    moves = sorted((m for m in moves if m[1]), key=lambda move: (-abs(move[1]), move[0]))
    words = {"null": "NULL", "other": "other values"}
    return [(words.get(kind, value), change) for (kind, value), change in moves[:most]]
