"""Finding one item by its key."""

from __future__ import annotations

import json

from batchspec.inputs.columns import quote_literal
from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import InputTable, Row, row_select

_RELATION = "batchspec_wanted"


def find_row(engine: Engine, table: InputTable, key: str) -> Row | None:
    """Return the item that a person means by ``key``, with its values.

    Args:
        engine: The engine of ``table``.
        table: The items.
        key: The key as JSON, or as plain text; where both name an item, JSON wins.
    """
    candidates = [_canonical(key), json.dumps(key, ensure_ascii=False)]
    for candidate in candidates:
        if candidate is None:
            continue
        engine.execute(
            f"CREATE OR REPLACE VIEW {_RELATION} AS SELECT {quote_literal(candidate)} AS key_json"
        )
        for row in row_select(engine, table, _RELATION):
            return row
    return None


def _canonical(key: str) -> str | None:
    try:
        value = json.loads(key)
    except ValueError:
        return None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
