"""The paths of items that the inputs alone decide, checked before anything is asked.

A million paths are looked through inside DuckDB; only those that may be wrong become Python values
and meet the rules of `pathmap`, which has the last word here as it has when files are written.
"""

# ruff: noqa: S608 - the names in this SQL are ours or quoted, and literals are quoted.

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from batchspec.inputs.engine import Engine, quote_identifier, quote_literal
from batchspec.inputs.tables import InputTable
from batchspec.outputs.job import OutputJob
from batchspec.outputs.pathmap import PathMap, fields_of, path_expression
from batchspec.outputs.places import MANIFEST, QUARANTINE, RECEIPT
from batchspec.outputs.results import own_columns
from batchspec.problems import Problem
from batchspec.prompt.answer_form import AnswerForm

PATHS: Final = "batchspec_paths"
_ODD: Final = r"\p{Cc}|\\|(^|/)(\.|/|$)"
"""What `pathmap.path_complaint` refuses, and a little more, besides long names."""
_LONG: Final = 255


def path_problems(engine: Engine, job: OutputJob, table: InputTable) -> tuple[Problem, ...]:
    """Return what keeps the files of a template without a projection from being written.

    Nothing is said when a field of the path is a column that only an answer gives.

    Args:
        engine: The engine of ``table``.
        job: The output; the fields of its path are columns of the results.
        table: The items.
    """
    fields = tuple(dict.fromkeys(fields_of(job.output.path)))
    if not _decided(fields, table):
        return ()
    query = f"SELECT {path_expression(job.target.shown)} AS path FROM ({_rows(fields, table)})"
    try:
        engine.execute(f"CREATE OR REPLACE TABLE {PATHS} AS {query}")
        paths = PathMap(target=job.target)
        for (found,) in engine.rows(_suspects(engine)):
            paths.take(found, b"")
    finally:
        engine.execute(f"DROP TABLE IF EXISTS {PATHS}")
    return tuple(paths.problems(job.loaded.place(*job.place, "path")))


def _decided(fields: Sequence[str], table: InputTable) -> bool:
    """Tell whether every field is the key or a column of the inputs that `results` shows."""
    own = own_columns(table, AnswerForm(schema={}))
    return all(name in {"key", "key_json"} or name.lower() not in own for name in fields)


def _rows(fields: Sequence[str], table: InputTable) -> str:
    """Return the query of the fields' values: from the index where the key is all of them."""
    indexed = {name: f"k{number}" for number, name in enumerate(table.key)}
    indexed |= {"key": "k0" if len(table.key) == 1 else "key_json", "key_json": "key_json"}
    if indexed.keys() >= set(fields):
        listed = (f"{indexed[name]} AS {quote_identifier(name)}" for name in fields)
        return f"SELECT {', '.join(listed)} FROM {table.index}"
    whole = table.key_expression
    special = {"key": quote_identifier(table.key[0]) if len(table.key) == 1 else whole}
    special["key_json"] = whole
    listed = (
        f"{special.get(name, quote_identifier(name))} AS {quote_identifier(name)}"
        for name in fields
    )
    return f"SELECT {', '.join(listed)} FROM {table.relation}"


def _suspects(engine: Engine) -> str:
    """Return the query of the paths that may be wrong, alone or together.

    Folding is simple only among ASCII letters, and one path can be a folder of another only when
    they are not all equally deep; else every path has to be looked at.
    """
    depth = "length(path) - length(replace(path, '/', ''))"
    beside = (quote_literal(ending) for ending in (MANIFEST, RECEIPT, QUARANTINE))
    ours = " OR ".join(f"contains(lower(path), {ending})" for ending in beside)
    ascii_only = "coalesce(bool_and(length(path) = octet_length(encode(path))), true)"
    simple, nests = engine.one(
        f"SELECT {ascii_only}, coalesce(min({depth}) <> max({depth}) OR bool_or({ours}), false)"
        f" FROM {PATHS}"
    )
    if nests or not simple:
        return f"SELECT path FROM {PATHS} ORDER BY path"
    return (
        f"SELECT path FROM {PATHS} WHERE regexp_matches(path, {quote_literal(_ODD)})"
        f" OR length(path) > {_LONG} OR lower(path) IN"
        f" (SELECT lower(path) FROM {PATHS} GROUP BY ALL HAVING count(*) > 1) ORDER BY path"
    )
