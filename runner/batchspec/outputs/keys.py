"""Rows of outputs matched with items by their key."""

from __future__ import annotations

from collections.abc import Sequence

from batchspec.inputs.engine import Column, quote_identifier
from batchspec.inputs.tables import InputTable

KEY = "key"


def matching_keys(columns: Sequence[Column], table: InputTable) -> tuple[str, str] | None:
    """Return the SQL texts by which rows of an output and rows of the inputs are matched.

    Args:
        columns: The output's columns: ``key``, or all key columns of the inputs by name.
        table: The inputs.
    """
    names = {column.name for column in columns}
    if KEY in names:
        single = len(table.key) == 1
        there = f"{quote_identifier(table.key[0])}::VARCHAR" if single else table.key_expression
        return f"{quote_identifier(KEY)}::VARCHAR", f"{there}::VARCHAR"
    if not names.issuperset(table.key):
        return None
    listed = ", ".join(f"{quote_identifier(name)}::VARCHAR" for name in table.key)
    text = f"to_json([{listed}])::VARCHAR"
    return text, text
