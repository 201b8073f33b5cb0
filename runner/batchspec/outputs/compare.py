"""Two versions of an output compared, row by row and field by field, inside DuckDB."""

# ruff: noqa: S608 - the names in this SQL are ours, and keys are quoted.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from batchspec.inputs.engine import Engine, quote_literal
from batchspec.outputs.keys import KEY
from batchspec.outputs.versions import Version, load_version
from batchspec.records import frozen

BEFORE: Final = "batchspec_before"
AFTER: Final = "batchspec_after"
_PAIRS: Final = "batchspec_pairs"
_CELLS: Final = "batchspec_cells"
_UNSAID: Final = ("request_hash", "stop_reason")
"""Columns of default rows that say how an answer was asked for, and not what it is."""


@frozen
class FieldChange:
    """One value that differs."""

    field: str
    """A column; with a dot, a value inside of a JSON column: ``result.label``."""
    before: str | None
    """As JSON text; None: the row has no such value."""
    after: str | None


@frozen
class RowChange:
    """One row that differs, or that only one version has."""

    key: str
    """As JSON text."""
    change: str
    """``changed``, ``new`` or ``gone``."""
    fields: tuple[FieldChange, ...] = ()
    """What differs in a changed row, sorted by field."""


@frozen
class Comparison:
    """How two versions of one output differ."""

    path: str
    before: str
    after: str
    same: int
    changed: int
    new: int
    gone: int
    fields: tuple[tuple[str, int], ...]
    """Fields that differ anywhere, with the number of rows in which they do; most rows first."""
    changes: tuple[RowChange, ...]
    """The first of the rows that are not the same, sorted by key."""

    @property
    def compared(self) -> int:
        """Rows that both versions have."""
        return self.same + self.changed


class NoKeyError(Exception):
    """Rows of an output cannot be told apart: it has no key."""


def compare(
    engine: Engine,
    versions: tuple[Version, Version],
    *,
    path: str,
    key: Sequence[str],
    partial: bool,
    limit: int | None,
) -> Comparison:
    """Compare two versions of an output.

    Args:
        engine: An engine that can read them.
        versions: The one before and the one after.
        path: The output's path, for the reader.
        key: The columns of the inputs that name an item.
        partial: The later version has only some of the items: those it lacks are not gone.
        limit: How many changes to name; None: all.

    Raises:
        UnreadableVersionError: A version is not what its ending says.
        NoKeyError: The rows have neither ``key`` nor the inputs' key columns.
    """
    try:
        for version, table in zip(versions, (BEFORE, AFTER), strict=True):
            load_version(engine, version, table)
        keys = _keys(engine, key)
        _pairs(engine, keys)
        _cells(engine, keys)
        counts = _counts(engine, partial=partial)
        return Comparison(
            path=path,
            before=versions[0].label,
            after=versions[1].label,
            **counts,
            fields=tuple(
                engine.rows(
                    f"SELECT field, count(*) FROM {_CELLS} GROUP BY field"
                    " ORDER BY count(*) DESC, field"
                )
            ),
            changes=_changes(engine, partial=partial, limit=limit),
        )
    finally:
        for table in (BEFORE, AFTER, _PAIRS, _CELLS):
            engine.execute(f"DROP TABLE IF EXISTS {table}")


def _keys(engine: Engine, key: Sequence[str]) -> tuple[str, ...]:
    """Return the fields by which rows are matched: ``key``, else the inputs' key columns."""
    for names in ((KEY,), tuple(key)):
        present = " AND ".join(f"json_exists(doc, {_pointer(name)})" for name in names)
        missing = " UNION ALL ".join(
            f"SELECT 1 FROM {table} WHERE NOT ({present})" for table in (BEFORE, AFTER)
        )
        if names and not engine.one(f"SELECT count(*) FROM ({missing})")[0]:
            return names
    raise NoKeyError


def _pointer(name: str) -> str:
    return quote_literal("/" + name.replace("~", "~0").replace("/", "~1"))


def _pairs(engine: Engine, keys: Iterable[str]) -> None:
    """Match rows by key; rows that share one are matched in the order of their text."""
    names = list(keys)
    parts = ", ".join(f"doc->{_pointer(name)}" for name in names)
    key = f"(doc->{_pointer(names[0])})::VARCHAR"
    if len(names) > 1:
        key = f"to_json([{parts}])::VARCHAR"
    side = (
        f"(SELECT {key} AS key, doc::VARCHAR AS doc, row_number() OVER"
        f" (PARTITION BY {key} ORDER BY doc::VARCHAR) AS number FROM {{table}})"
    )
    engine.execute(f"""
        CREATE OR REPLACE TABLE {_PAIRS} AS
        SELECT coalesce(a.key, b.key) AS key, coalesce(a.number, b.number) AS number,
          b.key IS NOT NULL AS was, a.key IS NOT NULL AS stays,
          CASE WHEN a.doc IS DISTINCT FROM b.doc THEN b.doc END AS before,
          CASE WHEN a.doc IS DISTINCT FROM b.doc THEN a.doc END AS after
        FROM {side.format(table=BEFORE)} b
        FULL JOIN {side.format(table=AFTER)} a ON a.key = b.key AND a.number = b.number
    """)


def _cells(engine: Engine, keys: Iterable[str]) -> None:
    """Take the rows apart that are not equal as text; keep the values that differ."""
    before, after = (_values(side, keys) for side in ("before", "after"))
    engine.execute(f"""
        CREATE OR REPLACE TABLE {_CELLS} AS
        SELECT coalesce(a.key, b.key) AS key, coalesce(a.number, b.number) AS number,
          coalesce(a.field, b.field) AS field, b.value AS before, a.value AS after
        FROM ({before}) b
        FULL JOIN ({after}) a ON a.key = b.key AND a.number = b.number AND a.field = b.field
        WHERE a.value IS DISTINCT FROM b.value
    """)


def _values(side: str, keys: Iterable[str]) -> str:
    """Return the query of the fields of one side: an object's own fields stand for it."""
    unsaid = ", ".join(quote_literal(name) for name in (*_UNSAID, *keys))
    path = "'/' || replace(replace({name}, '~', '~0'), '/', '~1')"
    rows = (
        f"SELECT key, number, {side}::JSON AS doc FROM {_PAIRS}"
        f" WHERE was AND stays AND {side} IS NOT NULL"
    )
    columns = (
        f"SELECT key, number, name, json_extract(doc, {path.format(name='name')}) AS value"
        f" FROM (SELECT *, unnest(json_keys(doc)) AS name FROM ({rows}))"
        f" WHERE name NOT IN ({unsaid})"
    )
    inner = (
        f"SELECT key, number, name || '.' || part AS field,"
        f" json_extract(value, {path.format(name='part')}) AS value"
        f" FROM (SELECT *, unnest(json_keys(value)) AS part FROM columns"
        " WHERE json_type(value) = 'OBJECT')"
    )
    return (
        f"WITH columns AS MATERIALIZED ({columns})"
        f" SELECT key, number, field, {_PLAIN} AS value FROM ("
        " SELECT key, number, name AS field, value FROM columns WHERE json_type(value) <> 'OBJECT'"
        f" UNION ALL {inner})"
    )


_PLAIN: Final = (
    "CASE json_type(value) WHEN 'DOUBLE' THEN regexp_replace(value::VARCHAR, '\\.0+$', '')"
    " ELSE value::VARCHAR END"
)
"""JSON text in which 1.0 is 1."""


def _counts(engine: Engine, *, partial: bool) -> dict[str, int]:
    both, new, gone = engine.one(
        "SELECT count(*) FILTER (was AND stays), count(*) FILTER (NOT was),"
        f" count(*) FILTER (NOT stays) FROM {_PAIRS}"
    )
    (changed,) = engine.one(f"SELECT count(*) FROM (SELECT DISTINCT key, number FROM {_CELLS})")
    return {
        "same": both - changed,
        "changed": changed,
        "new": new,
        "gone": 0 if partial else gone,
    }


def _changes(engine: Engine, *, partial: bool, limit: int | None) -> tuple[RowChange, ...]:
    gone = "" if partial else " OR NOT stays"
    most = "" if limit is None else f" LIMIT {limit}"
    listed = (
        f"SELECT key, number, CASE WHEN NOT was THEN 'new' WHEN NOT stays THEN 'gone'"
        f" ELSE 'changed' END AS change FROM {_PAIRS} p WHERE NOT was{gone}"
        f" OR EXISTS (FROM {_CELLS} c WHERE c.key = p.key AND c.number = p.number)"
        f" ORDER BY key, number{most}"
    )
    rows = engine.rows(
        f"SELECT l.key, l.number, l.change, c.field, c.before, c.after FROM ({listed}) l"
        f" LEFT JOIN {_CELLS} c ON c.key = l.key AND c.number = l.number"
        " ORDER BY l.key, l.number, c.field"
    )
    found: dict[tuple[str, int], tuple[str, list[FieldChange]]] = {}
    for key, number, change, field, before, after in rows:
        fields = found.setdefault((key, number), (change, []))[1]
        if field is not None:
            fields.append(FieldChange(field=field, before=before, after=after))
    return tuple(
        RowChange(key=key, change=change, fields=tuple(fields))
        for (key, _), (change, fields) in found.items()
    )
