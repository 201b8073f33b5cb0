"""Columns that share a name, in SQL."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS a, 2 AS a, 3 AS id",
        "SELECT 1 AS a, 2 AS A, 3 AS id",
        "SELECT 1 AS id, 2 AS id",
        "SELECT 1 AS body, 2 AS body, 3 AS id",
        "SELECT * FROM (VALUES (1)) t(id) JOIN (VALUES (1, 2)) u(id, n) ON t.id = u.id",
    ],
)
def test_a_name_stands_for_one_column(open_text: Any, sql: str) -> None:
    """Two columns of one name are a problem at the SQL, even when the name is one letter."""
    table, (problem,) = open_text(f"inputs: {{sql: '{sql}', key: id}}")
    assert table is None
    assert problem.code == "duplicate-column"
    assert problem.where.line == 1
