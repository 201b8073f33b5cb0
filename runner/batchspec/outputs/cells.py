"""One value as text, by format: SQL expressions, so that a million rows never become Python values.

Every expression is deterministic: the time zone is pinned to UTC by the engine, numbers come out
in their shortest exact form, and nothing depends on a locale.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from batchspec.inputs.engine import Column, quote_identifier, quote_literal

_WHOLE: Final = frozenset(
    {
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "UHUGEINT",
        "BIGNUM",
    }
)
_FLOATS: Final = frozenset({"FLOAT", "DOUBLE"})
_NESTED: Final = re.compile(r"(STRUCT|MAP|UNION|VARIANT)\b.*|.*\[\d*\]", re.DOTALL)
_FORMULA: Final = "^[=+@\\t\\r\\n＝＋－＠-]"  # noqa: RUF001 - spreadsheets know the wide forms too
"""What a spreadsheet may take for the beginning of a formula."""
_NOT_FINITE: Final = "NaN|Infinity"
_STRINGS: Final = r'"(?:[^"\\]|\\.)*"'


class Kind(StrEnum):
    """How the values of a type are written."""

    TEXT = "text"
    NUMBER = "number"
    FLOAT = "float"
    BOOLEAN = "boolean"
    BYTES = "bytes"
    JSON = "json"
    NESTED = "nested"
    PLAIN = "plain"
    """Dates, times, UUIDs and the like: their text needs no quoting."""


def kind_of(duckdb_type: str) -> Kind:
    """Return how values of a DuckDB type are written."""
    if duckdb_type in _WHOLE or duckdb_type.startswith("DECIMAL"):
        return Kind.NUMBER
    if duckdb_type in _FLOATS:
        return Kind.FLOAT
    if _NESTED.fullmatch(duckdb_type):
        return Kind.NESTED
    if duckdb_type == "VARCHAR" or duckdb_type.startswith("ENUM"):
        return Kind.TEXT
    exact = {"BOOLEAN": Kind.BOOLEAN, "BLOB": Kind.BYTES, "JSON": Kind.JSON}
    return exact.get(duckdb_type, Kind.PLAIN)


def json_cell(column: Column, *, strict: bool = True) -> str:
    """Return the SQL of a value as JSON; NULL, NaN and infinities are ``null``, bytes are hex.

    Args:
        column: The column.
        strict: NaN inside of a nested value, which JSON does not have, is an error; otherwise it is
            written, for lines that are only compared.
    """
    name, kind = quote_identifier(column.name), kind_of(column.type)
    if kind is Kind.FLOAT:
        text = f"CASE WHEN isfinite({name}) THEN {name}::VARCHAR END"
    elif kind in {Kind.NUMBER, Kind.BOOLEAN}:
        text = f"{name}::VARCHAR"
    elif kind is Kind.BYTES:
        text = f"'\"' || lower(hex({name})) || '\"'"
    elif kind in {Kind.NESTED, Kind.JSON}:
        text = _document(column) if strict else json_text(name)
    else:
        text = json_text(f"{name}::VARCHAR")
    return f"coalesce({text}, 'null')"


def json_text(expression: str) -> str:
    """Return the SQL of a text expression as a JSON string; SQL's NULL stays NULL."""
    return f"to_json({expression})::VARCHAR"


def _document(column: Column) -> str:
    """Return the text of a nested or JSON value, which must not hold what JSON cannot carry."""
    text = f"to_json({quote_identifier(column.name)})::VARCHAR"
    if not any(name in column.type for name in ("FLOAT", "DOUBLE", "JSON")):
        return text
    complaint = f"A value of {column.name} holds NaN or an infinity, which JSON does not have."
    outside = f"regexp_replace({text}, '{_STRINGS}', '', 'g')"
    return (
        f"CASE WHEN regexp_matches({text}, '{_NOT_FINITE}')"
        f" AND regexp_matches({outside}, '{_NOT_FINITE}')"
        f" THEN error({quote_literal(complaint)}) ELSE {text} END"
    )


def csv_cell(column: Column, *, alone: bool = False) -> str:
    """Return the SQL of a value as a CSV cell (RFC 4180); NULL is empty, empty text is ``""``.

    Args:
        column: The column.
        alone: It is the only one: a NULL is written as ``""`` then, for a blank line is no record.
    """
    name, kind = quote_identifier(column.name), kind_of(column.type)
    if kind is Kind.BYTES:
        text = f"lower(hex({name}))"
    elif kind is Kind.TEXT:
        text = quoted_cell(guarded_cell(f"{name}::VARCHAR"))
    elif kind in {Kind.NESTED, Kind.JSON}:
        text = quoted_cell(_document(column))
    elif kind is Kind.PLAIN:
        text = quoted_cell(f"{name}::VARCHAR")
    else:
        text = f"{name}::VARCHAR"
    null = '""' if alone else ""
    return f"coalesce({text}, '{null}')"


def guarded_cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: ``'`` stands before one.

    NUL, which most readers of CSV stop at, becomes U+FFFD.
    """
    clean = f"replace({text}, chr(0), '\ufffd')"
    return f"CASE WHEN regexp_matches({clean}, '{_FORMULA}') THEN '''' || {clean} ELSE {clean} END"


def quoted_cell(text: str) -> str:
    """Return text in quotes where RFC 4180 wants them, and empty text always."""
    return (
        f"CASE WHEN {text} = '' THEN '\"\"' WHEN regexp_matches({text}, '[\",\\r\\n]')"
        f" THEN '\"' || replace({text}, '\"', '\"\"') || '\"' ELSE {text} END"
    )


def parquet_cell(column: Column) -> str:
    """Return the SQL of a value in a type that every reader of Parquet knows and none rounds."""
    name = quote_identifier(column.name)
    if column.type in {"HUGEINT", "UHUGEINT"}:
        return f"{name}::DECIMAL(38,0)"
    exotic = ("ENUM", "UNION", "BIT", "BIGNUM", "VARIANT", "INTERVAL", "UUID", '"NULL"')
    if column.type.startswith(exotic) or column.type == "TIME WITH TIME ZONE":
        return f"{name}::VARCHAR"
    if kind_of(column.type) is Kind.NESTED and re.search(
        r"ENUM|UNION|BIT|BIGNUM|UUID|HUGE", column.type
    ):
        return f"to_json({name})"
    return name


def text_type(column: Column) -> str:
    """Return the type as which a column is read back from a text format."""
    kind = kind_of(column.type)
    if kind is Kind.NESTED:
        return "JSON"
    if kind in {Kind.TEXT, Kind.BYTES}:
        return "VARCHAR"
    keeps = {Kind.NUMBER, Kind.FLOAT, Kind.BOOLEAN, Kind.JSON}
    dates = ("DATE", "TIMESTAMP")
    if kind in keeps or (column.type.startswith(dates) or column.type == "TIME"):
        return column.type
    return "VARCHAR"
