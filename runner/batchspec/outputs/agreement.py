"""Answers compared with reference labels: accuracy, precision and recall, the confusion table."""

# ruff: noqa: S608 - names are quoted, and the relations were read before.

from __future__ import annotations

from typing import Final

from batchspec.events import Evaluation, LabelScore
from batchspec.inputs.engine import Engine, quote_identifier
from batchspec.outputs.builtin import CheckProblemError, Source, setting_of
from batchspec.outputs.fields import field_of
from batchspec.outputs.keys import matching_keys
from batchspec.problems import Problem

MOST_LABELS: Final = 50
"""With more labels than this it is text that is compared, and a table of labels says nothing."""
_GOT: Final = "batchspec_got"
_EXPECTED: Final = "batchspec_expected"


def pairs_of(source: Source) -> tuple[str, str]:
    """Return the query of answers with their reference labels, and that of those that differ.

    Raises:
        CheckProblemError: A column is not there, or rows cannot be matched with the inputs.
    """
    setting = setting_of(source.check.agreement)
    got = source.field(setting.column, "column").text
    own = field_of(source.columns, setting.reference)
    if own is not None:
        rows, extra = f"SELECT *, {got} AS {_GOT}, {own.text} AS {_EXPECTED} FROM {source.sql}", ""
    else:
        rows, extra = (
            _joined(source, got),
            f", {_EXPECTED} AS {quote_identifier(setting.reference)}",
        )
    pairs = f"(SELECT * FROM ({rows}) WHERE {_EXPECTED} IS NOT NULL)"
    differ = (
        f"SELECT * EXCLUDE ({_GOT}, {_EXPECTED}){extra} FROM {pairs}"
        f" WHERE {_GOT} IS DISTINCT FROM {_EXPECTED}"
    )
    return pairs, differ


def _joined(source: Source, got: str) -> str:
    """Return the rows with the reference labels of the inputs, matched by key."""
    setting = setting_of(source.check.agreement)
    inputs = source.inputs
    reference = field_of(inputs.columns, setting.reference)
    if reference is None:
        raise source.no_column(
            setting.reference, f"{source.table} or inputs", inputs.columns, "reference"
        )
    keys = matching_keys(source.columns, inputs)
    if keys is None:
        raise CheckProblemError(
            Problem(
                code="check-key",
                summary=f"the rows of {source.table} cannot be matched with the inputs",
                detail=f"{setting.reference} is a column of the inputs, and {source.table} has"
                " neither a column key nor the inputs' key columns. Select one of them.",
                where=source.loaded.document.place(source.place("reference")),
            )
        )
    here, there = keys
    return (
        f"SELECT s.* EXCLUDE (batchspec_key), r.{_EXPECTED} FROM"
        f" (SELECT *, {got} AS {_GOT}, {here} AS batchspec_key FROM {source.sql}) s"
        f" JOIN (SELECT {there} AS batchspec_key, {reference.text} AS {_EXPECTED}"
        f" FROM {inputs.relation}) r USING (batchspec_key)"
    )


def evaluate(engine: Engine, pairs: str) -> Evaluation:
    """Return how well answers agree with their reference labels."""
    compared, agreed, labels = engine.one(
        f"SELECT count(*), coalesce(count_if({_GOT} IS NOT DISTINCT FROM {_EXPECTED}), 0),"
        f" count(DISTINCT {_EXPECTED}) + count(DISTINCT {_GOT}) FROM {pairs}"
    )
    if labels > 2 * MOST_LABELS:
        return Evaluation(compared=compared, agreed=agreed)
    scores = engine.rows(
        "SELECT label, sum(expected)::BIGINT, sum(got)::BIGINT, sum(matched)::BIGINT FROM ("
        f" SELECT {_EXPECTED} AS label, 1 AS expected, 0 AS got,"
        f" ({_GOT} IS NOT DISTINCT FROM {_EXPECTED})::INT AS matched FROM {pairs}"
        f" UNION ALL SELECT {_GOT}, 0, 1, 0 FROM {pairs} WHERE {_GOT} IS NOT NULL"
        ") GROUP BY label ORDER BY label"
    )
    table = engine.rows(
        f"SELECT {_EXPECTED}, {_GOT}, count(*) FROM {pairs} GROUP BY ALL"
        f" ORDER BY {_EXPECTED}, {_GOT} NULLS LAST"
    )
    return Evaluation(
        compared=compared,
        agreed=agreed,
        labels=tuple(
            LabelScore(label=label, expected=expected, given=given, correct=correct)
            for label, expected, given, correct in scores
        ),
        confusion=tuple(table),
    )
