"""Copying a whole ledger from one database into another, checksums verified on the way."""

from __future__ import annotations

from collections.abc import Iterator

from batchspec.errors import StateFailure
from batchspec.state.database import Database, Row
from batchspec.state.tables import COLUMNS, row_sum, sum_tail

ROWS = 50_000
_CLAIM = ("digest", "submission", "attempt", "outcome", "before_submission", "before_outcome")
_PLAIN = {
    "submissions": ("id", *COLUMNS, "sum"),
    "foreign_batches": ("id",),
    "files": ("workspace", "sha256", "file_id", "expires_at"),
    "runs": ("id", "run", "record", "sum"),
    "transitions": ("id", "tag", "state", "at", "run", "detail", "sum"),
}
_NUMBERED = ("submissions", "runs", "transitions")
_OWN = ("format_version", "last_write")
"""Facts of `meta` that belong to a database and not to the ledger in it."""


def copy_ledger(source: Database, target: Database, *, steps: int = 1) -> None:
    """Replace what a ledger holds by all that another one holds, in one transaction.

    The lineage goes with it. The caller holds the leases of both.

    Args:
        source: Where the ledger is.
        target: Where it goes.
        steps: By how much the serial goes up: a copy that is worked on is ahead of the original.

    Raises:
        StateFailure: a row of the source is damaged; the target is as it was.
    """
    target.begin()
    try:
        target.generation()
        with source.snapshot():
            for table in ("claims", *_PLAIN):
                target.change(f"DELETE FROM {table}")  # noqa: S608 - our own names
            for table, columns in _PLAIN.items():
                if source.has_table(table):
                    target.fill(table, columns, _rows(source, table, columns))
            target.fill("claims", (*_CLAIM, "sum"), _claims(source, target))
            _facts(source, target, steps)
        for table in _NUMBERED:
            target.renumber(table)
        target.commit()
    except BaseException:
        target.rollback()
        raise


def _facts(source: Database, target: Database, steps: int) -> None:
    facts: dict[str, str] = dict(source.rows("SELECT key, value FROM meta"))
    facts["serial"] = str(int(facts["serial"]) + steps)
    kept = ", ".join(f"'{name}'" for name in _OWN)
    target.change(f"DELETE FROM meta WHERE key NOT IN ({kept})")  # noqa: S608 - our own names
    target.fill("meta", ("key", "value"), ((k, v) for k, v in facts.items() if k not in _OWN))


def _rows(source: Database, table: str, columns: tuple[str, ...]) -> Iterator[Row]:
    # In the order of their first column, so that whatever refers to a row comes after it.
    sql = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {columns[0]}"  # noqa: S608 - our own names
    for rows in source.stream(sql, ROWS):
        for row in rows:
            if table == "submissions" and row_sum(*row[1:-1]) != row[-1]:
                raise _damaged(source, f"submission {row[1]}")
            yield row


def _claims(source: Database, target: Database) -> Iterator[Row]:
    sql = f"SELECT {', '.join(_CLAIM)}, sum FROM claims ORDER BY digest"  # noqa: S608 - our own names
    for rows in source.stream(sql, ROWS):
        for row in rows:
            tail = sum_tail(*row[1:6])
            if source.claim_sum(row[0], tail) != row[6]:
                raise _damaged(source, f"question {row[0].hex()}")
            yield (*row[:6], target.claim_sum(row[0], tail))


def _damaged(source: Database, what: str) -> StateFailure:
    return StateFailure(
        f"A row of the state {source.name} is damaged ({what}), so it is not copied.",
        hint="Restore it from a backup, or move it away and run `batchspec recover`.",
    )
