"""SQL written by a spec's author: exactly one SELECT, reading files below the project only.

DuckDB parses the text (``json_serialize_sql``); this module reads the tree, refuses what is not a
plain query, makes the paths absolute, and notes what would make two runs of it differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchspec.inputs.author_files import Edit, FileFinder, apply_edits, place_files
from batchspec.inputs.sql_errors import AuthorSqlError
from batchspec.inputs.sql_tree import Node, column_of, start_of, walk
from batchspec.records import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUERIES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_ONE_SELECT = (
    "Write exactly one SELECT (or WITH … SELECT) here; batchspec makes, changes and exports tables"
    " itself."
)
_FORBIDDEN_FUNCTIONS = {"write_log", "sleep_ms", "setseed", "setval", "nextval", "currval"}

_VOLATILE_NAMES = {
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
}
_VOLATILE = {
    "current_database",
    "current_query",
    "gen_random_uuid",
    "get_current_time",
    "get_current_timestamp",
    "now",
    "random",
    "today",
    "transaction_timestamp",
    "txid_current",
    "uuid",
    "uuidv4",
    "uuidv7",
} | _VOLATILE_NAMES
"""DuckDB 2.0's functions whose stability is not CONSISTENT, as far as a query can use them."""
_NEEDS_ORDER = {
    "any_value",
    "approx_quantile",
    "approx_top_k",
    "arbitrary",
    "arg_max",
    "arg_max_null",
    "arg_max_nulls_last",
    "arg_min",
    "arg_min_null",
    "arg_min_nulls_last",
    "argmax",
    "argmin",
    "array_agg",
    "corr",
    "covar_pop",
    "covar_samp",
    "entropy",
    "favg",
    "first",
    "fsum",
    "group_concat",
    "json_group_array",
    "json_group_object",
    "kahan_sum",
    "kurtosis",
    "kurtosis_pop",
    "last",
    "list",
    "listagg",
    "max_by",
    "min_by",
    "mode",
    "product",
    "regr_avgx",
    "regr_avgy",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "reservoir_quantile",
    "sem",
    "skewness",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sumkahan",
    "var_pop",
    "var_samp",
    "variance",
    "variant_group_object",
}
"""Aggregates whose value depends on the order of rows: which one is first, which of equal ones is
taken, or the last digits of a floating-point number. Several threads give rows in any order."""
_SUMS = {"sum", "avg", "mean"}
"""The same where the numbers are floating-point; of whole and decimal numbers they are exact."""
EXACT_SUM = "sum_no_overflow"
"""DuckDB's sum that does not take floating-point numbers."""
_WINDOWS_NEED_ORDER = {
    "WINDOW_ROW_NUMBER",
    "WINDOW_NTILE",
    "WINDOW_LEAD",
    "WINDOW_LAG",
    "WINDOW_FIRST_VALUE",
    "WINDOW_LAST_VALUE",
    "WINDOW_NTH_VALUE",
}


@frozen
class AuthorSelect:
    """Author SQL that was read and found to be one SELECT."""

    text: str
    """As the author wrote it."""
    sql: str
    """What to run: the same text with absolute paths. It ends its last line, which may be a
    comment, so that it can stand inside parentheses."""
    edits: tuple[Edit, ...]
    files: tuple[str, ...]
    """Files it reads, relative to the project root, sorted; complete."""
    unstable: tuple[str, ...]
    """What may make two runs differ on equal files, as in ``random()``; empty when nothing."""
    sums: tuple[tuple[str, str], ...] = ()
    """Sums without an order: the function, and ``sql`` with `EXACT_SUM` in the place of this one.
    When that cannot be bound, the numbers are floating-point."""

    def translate(self, error: AuthorSqlError, before: int = 0) -> AuthorSqlError:
        """Return ``error``, raised for ``sql``, with line and column in the author's text.

        Args:
            error: What the engine raised.
            before: Bytes that stood in front of ``sql`` in the statement that was run.
        """
        if error.position is None or error.position < before:
            return AuthorSqlError(error.message)
        position = _original(error.position - before, self.edits)
        return AuthorSqlError.at(error.message, self.text, position)


def read_author_sql(text: str, serialized: Any, finder: FileFinder) -> AuthorSelect:
    """Check a parsed query and make its paths absolute.

    Args:
        text: The author's SQL without a final semicolon.
        serialized: What ``json_serialize_sql`` made of it.
        finder: Says which files a pattern means and which columns a reader gives.

    Raises:
        AuthorSqlError: when it is not one plain SELECT, or reads what it must not.
    """
    tree = _one_query(text, serialized)
    for node in walk(tree):
        _refuse(text, node)
    placed = place_files(text, tree, finder)
    return AuthorSelect(
        text=text,
        sql=apply_edits(text, placed.edits) + "\n",
        edits=placed.edits,
        files=placed.files,
        unstable=tuple(dict.fromkeys(_unstable(tree))),
        sums=tuple(_sums(text, tree, placed.edits)),
    )


def _one_query(text: str, serialized: Any) -> Node:
    if serialized.get("error"):
        if serialized.get("error_type") == "parser":
            position = serialized.get("position")
            message = f"The SQL cannot be parsed: {serialized.get('error_message')}."
            raise AuthorSqlError.at(message, text, None if position is None else int(position))
        message = f"This is not a plain SELECT. {_ONE_SELECT}"
        if text.lstrip().lower().startswith("pivot"):
            message = (
                "PIVOT needs its values written out here: add IN ('a', 'b', …) after ON, or use"
                " FROM … PIVOT (… FOR column IN (…))."
            )
        raise AuthorSqlError(message)
    statements = serialized.get("statements", [])
    if len(statements) != 1:
        what = "There is no statement" if not statements else f"There are {len(statements)}"
        what += "." if not statements else " statements."
        raise AuthorSqlError(f"{what} {_ONE_SELECT}")
    tree: Node = statements[0]
    return tree


def _refuse(text: str, node: Node) -> None:
    kind = str(node.get("type", ""))
    if kind.endswith("_NODE") and kind not in _QUERIES:
        verb = kind.split("_", 1)[0]
        raise AuthorSqlError(f"The query contains {verb}, which changes data. {_ONE_SELECT}")
    if kind == "SHOW_REF":
        raise AuthorSqlError(f"DESCRIBE, SHOW and SUMMARIZE are not queries. {_ONE_SELECT}")
    if node.get("class") == "PARAMETER":
        message = "Parameters ($1, ?) have no value here. Write the value into the query."
        raise AuthorSqlError.at(message, text, start_of(node))
    name = _function(node)
    if name in _FORBIDDEN_FUNCTIONS:
        raise AuthorSqlError.at(
            f"The function {name}() has side effects and is not available in a spec.",
            text,
            start_of(node),
        )


def _unstable(tree: Node) -> Iterator[str]:
    for node in walk(tree):
        name = _function(node)
        columns = node.get("column_names", [])
        if name in _VOLATILE:
            yield f"{name}()"
        elif len(columns) == 1 and column_of(node) in _VOLATILE_NAMES:
            yield str(column_of(node))
        elif name in _NEEDS_ORDER and not _is_ordered(node):
            yield f"{name}(…) without ORDER BY inside it"
        elif str(node.get("type")) in _WINDOWS_NEED_ORDER and not node.get("orders"):
            yield "a window function without ORDER BY"
        elif "sample_size" in node:
            yield "a SAMPLE clause (use inputs.sample)"
        else:
            yield from _unordered(node)


def _sums(text: str, tree: Node, edits: tuple[Edit, ...]) -> Iterator[tuple[str, str]]:
    for node in walk(tree):
        name, start = _function(node), start_of(node)
        if name not in _SUMS or start is None or _is_ordered(node):
            continue
        edit = Edit(start=start, end=start + len(name), text=EXACT_SUM)
        if text.encode()[edit.start : edit.end].lower() == name.encode():
            every = tuple(sorted((*edits, edit), key=lambda one: one.start))
            yield name, apply_edits(text, every) + "\n"


def _is_ordered(function: Node) -> bool:
    """Tell whether an aggregate, or the window that it is computed over, has an order."""
    return bool(function.get("order_bys", {}).get("orders") or function.get("orders"))


def _unordered(node: Node) -> Iterator[str]:
    kinds = {modifier.get("type") for modifier in node.get("modifiers", ())}
    if "ORDER_MODIFIER" in kinds:
        return
    if kinds & {"LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER"}:
        yield "LIMIT without ORDER BY"
    if any(modifier.get("distinct_on_targets") for modifier in node.get("modifiers", ())):
        yield "DISTINCT ON without ORDER BY"


def _function(node: Node) -> str | None:
    return str(node["function_name"]).lower() if "function_name" in node else None


def _original(position: int, edits: tuple[Edit, ...]) -> int:
    """Map a byte position of the rewritten text back to the author's text."""
    shift = 0
    for edit in edits:
        begin = edit.start + shift
        grown = len(edit.text.encode()) - (edit.end - edit.start)
        if position < begin:
            break
        if position < begin + len(edit.text.encode()):
            return edit.start
        shift += grown
    return position - shift
