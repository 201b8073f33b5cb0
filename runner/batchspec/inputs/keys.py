"""The rules of keys: every item has one, of a plain type, and no two share it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from batchspec.inputs.columns import Column, quote_identifier
from batchspec.inputs.fingerprints import is_key_type
from batchspec.problems import Place, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchspec.inputs.engine import Engine
    from batchspec.spec.project import LoadedSpec

NAMED = 5
"""How many offending keys or rows a message names."""
_SHOWN_COLUMNS = 3
_SHOWN_CHARACTERS = 40


def check_columns(columns: Sequence[Column], where: Place) -> Iterator[Problem]:
    """Yield a problem for each column whose name another one has, case aside."""
    seen: dict[str, str] = {}
    for column in columns:
        first = seen.get(column.name.lower())
        seen.setdefault(column.name.lower(), column.name)
        if first is not None:
            yield Problem(
                code="duplicate-column",
                summary=f'the inputs have two columns named "{column.name}"'
                if first == column.name
                else f'the columns "{first}" and "{column.name}" differ by case only',
                detail="Templates and SQL could not tell them apart. Rename one with AS.",
                where=where,
            )


def check_key(
    loaded: LoadedSpec, columns: Sequence[Column], key: Sequence[str]
) -> tuple[tuple[Column, ...], tuple[Problem, ...]]:
    """Return the key's columns, and problems for names or types that cannot be a key."""
    by_name = {column.name: column for column in columns}
    found: list[Column] = []
    problems: list[Problem] = []
    for name in key:
        column = by_name.get(name)
        if column is None:
            problems.append(_unknown(loaded, name, list(by_name)))
        elif not is_key_type(column.type):
            problems.append(_bad_type(loaded, column))
        else:
            found.append(column)
    return tuple(found), tuple(problems)


def check_values(
    engine: Engine, loaded: LoadedSpec, *, index: str, relation: str, key: Sequence[str]
) -> Iterator[Problem]:
    """Yield problems for NULL keys and for keys that several rows share.

    Args:
        engine: Where the tables are.
        loaded: The spec.
        index: Relation with ``key_json`` and the key's columns as ``k0``, …, one row per item.
        relation: The rows themselves, to show the ones without a key.
        key: Names of the key's columns.
    """
    typed = [f"k{number}" for number in range(len(key))]
    named = " AND ".join(f"{column} IS NOT NULL" for column in typed)
    # Keys of one text have one hash; those of one hash need not have one text, as is seen below.
    rows, keys, distinct = engine.one(
        f"SELECT count(*), count(*) FILTER ({named}), count(DISTINCT hash({', '.join(typed)}))"  # noqa: S608 - names are ours or quoted
        f" FILTER ({named}) FROM {index}"
    )
    if keys < rows:
        yield _null_keys(loaded, rows - keys, key, list(_without_key(engine, relation, key)))
    if distinct < keys:
        shared = engine.rows(
            "SELECT key_json, count(*) AS n, count(*) OVER () AS shared"  # noqa: S608 - names are ours or quoted
            f" FROM (FROM {index} WHERE key_json IS NOT NULL) GROUP BY key_json HAVING n > 1"
            f" ORDER BY key_json LIMIT {NAMED}"
        )
        yield from _duplicates(loaded, key, list(shared))


def _without_key(engine: Engine, relation: str, key: Sequence[str]) -> Iterator[str]:
    columns = engine.names(f"FROM {relation}")[:_SHOWN_COLUMNS]
    shown = ", ".join(f"{quote_identifier(column.name)}::VARCHAR" for column in columns)
    missing = " OR ".join(f"{quote_identifier(name)} IS NULL" for name in key)
    query = (
        f"SELECT {shown} FROM {relation}"  # noqa: S608 - names are ours or quoted
        f" WHERE {missing} ORDER BY ALL LIMIT {NAMED}"
    )
    for row in engine.rows(query):
        pairs = zip(columns, row, strict=True)
        yield ", ".join(
            f"{column.name} = {'NULL' if value is None else _short(value)}"
            for column, value in pairs
        )


def _short(value: str) -> str:
    text = "".join(c if c.isprintable() else "·" for c in value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _unknown(loaded: LoadedSpec, name: str, known: list[str]) -> Problem:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f'Did you mean "{near[0]}"? ' if near else ""
    return Problem(
        code="unknown-key-column",
        summary=f'the inputs have no column "{name}" to be the key',
        detail=f"{hint}The columns are: {', '.join(known)}.",
        where=loaded.document.place(("inputs", "key")),
    )


def _bad_type(loaded: LoadedSpec, column: Column) -> Problem:
    return Problem(
        code="key-type",
        summary=f'the key column "{column.name}" has the type {column.type}',
        detail="A key is text, a whole number, true or false, a date, a time, a decimal or a UUID:"
        " values that are equal exactly when they look equal. Cast it in SQL, for instance to"
        " VARCHAR, or choose another column.",
        where=loaded.document.place(("inputs", "key")),
    )


def _null_keys(loaded: LoadedSpec, count: int, key: Sequence[str], rows: list[str]) -> Problem:
    what = "row has" if count == 1 else "rows have"
    return Problem(
        code="null-key",
        summary=f"{count:,} {what} no value in the key ({', '.join(key)})",
        detail=f"The key names an item from one run to the next. Without it: {'; '.join(rows)}"
        f"{'; …' if count > len(rows) else ''}. Leave such rows out or choose another key.",
        where=loaded.document.place(("inputs", "key")),
    )


def _duplicates(
    loaded: LoadedSpec, key: Sequence[str], shared: list[tuple[str, int, int]]
) -> Iterator[Problem]:
    if not shared:
        return
    total = shared[0][2]
    named = ", ".join(f"{_short(text)} ({count} rows)" for text, count, _ in shared)
    what = "value is" if total == 1 else "values are"
    yield Problem(
        code="key-not-unique",
        summary=f"{total:,} {what} not unique in the key ({', '.join(key)})",
        detail=f"Each item needs a key of its own. Shared: {named}"
        f"{', …' if total > len(shared) else ''}. Remove them or add a column to the key.",
        where=loaded.document.place(("inputs", "key")),
    )
