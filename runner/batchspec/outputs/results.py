"""The tables `results` and `inputs`: what was asked and answered, item by item, as SQL.

Two layers. The rows are narrow: one per item, with its outcome and its answer; the writers' default
rows come from them. The view ``results`` adds the input columns, for `outputs.select` and checks.
"""

# ruff: noqa: S608 - the names in this SQL are ours or quoted, and literals are quoted.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from batchspec.errors import StateFailure
from batchspec.inputs.engine import Engine, quote_identifier, quote_literal
from batchspec.inputs.tables import InputTable
from batchspec.outputs.judge import Judge
from batchspec.outputs.money import cost_expression
from batchspec.outputs.rejudge import JUDGED, judge_again
from batchspec.outputs.typed import typed_answer
from batchspec.plan.cost import ModelPrices
from batchspec.plan.model import Outcome
from batchspec.prompt.answer_form import AnswerForm
from batchspec.records import frozen

ASKED: Final = "batchspec_asked"
ROWS: Final = "batchspec_rows"
ANSWERS: Final = "batchspec_answers"
RESULTS: Final = "results"
INPUTS: Final = "inputs"

STATUSES: Final = (
    "succeeded",
    "invalid",
    "refused",
    "truncated",
    "errored",
    "expired",
    "canceled",
)
"""The statuses of an output row, in the order in which they are counted out."""

_STATUS: Final = {
    Outcome.SUCCEEDED: "succeeded",
    Outcome.UNCHECKED: "succeeded",
    Outcome.INVALID: "invalid",
    Outcome.REFUSED: "refused",
    Outcome.TRUNCATED: "truncated",
    Outcome.ERRORED: "errored",
    Outcome.BAD_REQUEST: "errored",
    Outcome.MISSING: "errored",
    Outcome.LOST: "errored",
    Outcome.EXPIRED: "expired",
    Outcome.CANCELED: "canceled",
}
_ANSWERED: Final = (
    Outcome.SUCCEEDED,
    Outcome.INVALID,
    Outcome.REFUSED,
    Outcome.TRUNCATED,
    Outcome.ERRORED,
    Outcome.BAD_REQUEST,
    Outcome.UNCHECKED,
)
"""Outcomes that cannot be without a result line."""

_WORDS: Final = {
    Outcome.EXPIRED: ("expired", "The batch expired before this request was processed."),
    Outcome.CANCELED: ("canceled", "The batch was canceled before this request was processed."),
    Outcome.MISSING: ("missing_result", "The batch ended without a result for this request."),
    Outcome.LOST: ("results_lost", "The results of the batch can no longer be read."),
}
"""Error type and message of questions whose batch says nothing in words."""

USAGE: Final = (
    "input_tokens",
    "output_tokens",
    "cache_write_5m",
    "cache_write_1h",
    "cache_read",
    "thinking_tokens",
)


@frozen
class ResultSources:
    """What a spec's results are made from."""

    items: str
    """Relation of the items: ``key_json``, ``k0``… (the typed key), ``hash`` (32 bytes)."""
    known: str
    """Relation of what the state knows: ``hash`` (16 bytes), outcome, attempt, submission."""
    answers: tuple[Path, ...]
    """Parquet files of `AnswerWriter`: those of every submission that ``known`` names."""
    table: InputTable
    form: AnswerForm
    """Whether results are JSON, and how answers are judged that another form was put to before."""
    prices: ModelPrices | None


@frozen
class Totals:
    """What the results add up to. Items that share a question pay for it once."""

    items: int
    statuses: tuple[tuple[str, int], ...]
    """Items by status, in the order of `STATUSES`; zero counts left out."""
    usage: tuple[tuple[str, int], ...]
    """Tokens by category, in the order of `USAGE`, of the answers that stand."""
    usd: Decimal | None
    """None when the model's price is unknown."""


@frozen
class Results:
    """The open results of one spec."""

    sources: ResultSources
    order: str
    """The columns of `ROWS` that put items into key order."""
    totals: Totals
    shared: bool
    """Items may share a question: to sum up by question takes far more memory."""

    @property
    def key(self) -> str:
        """The expression of the typed key over `ROWS`: a JSON list for a composite one."""
        return "k0" if len(self.sources.table.key) == 1 else "key_json::JSON"


@contextmanager
def open_results(engine: Engine, sources: ResultSources) -> Iterator[Results]:
    """Make the tables ``results`` and ``inputs`` for the time of the block.

    Raises:
        StateFailure: Answers that the state says it has are not in the answer files.
        ValueError: An item is not answered yet; the caller must not write outputs then.
    """
    try:
        _answers_view(engine, sources.answers)
        judged = judge_again(engine, ANSWERS, sources.known, Judge(sources.form))
        _asked_table(engine, sources)
        _rows_view(engine, sources, judged=bool(judged))
        shared = _shares_questions(engine)
        totals = _totals(engine, sources, shared=shared)
        _public_views(engine, sources)
        order = ", ".join(f"k{n}" for n in range(len(sources.table.key)))
        yield Results(sources=sources, order=order, totals=totals, shared=shared)
    finally:
        for view in (RESULTS, INPUTS, ROWS, ANSWERS):
            engine.execute(f"DROP VIEW IF EXISTS {view}")
        for table in (ASKED, JUDGED):
            engine.execute(f"DROP TABLE IF EXISTS {table}")


def _answers_view(engine: Engine, paths: Sequence[Path]) -> None:
    for path in paths:
        if not path.is_file():
            raise StateFailure(
                f"The answers of submission {path.stem} are not at {path}.",
                hint="Run `batchspec collect`: it rebuilds them from the state's segments.",
            )
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in _ANSWER_COLUMNS.items())
    source = f"SELECT {columns} WHERE false"
    if paths:
        files = ", ".join(quote_literal(str(path)) for path in paths)
        source = f"SELECT {', '.join(_ANSWER_COLUMNS)} FROM read_parquet([{files}])"
    engine.execute(f"CREATE OR REPLACE VIEW {ANSWERS} AS {source}")


_ANSWER_COLUMNS: Final = {
    "hash": "BLOB",
    "submission": "VARCHAR",
    "outcome": "UTINYINT",
    "stop_reason": "VARCHAR",
    "text": "VARCHAR",
    "result": "VARCHAR",
    "content": "VARCHAR",
    "judge": "VARCHAR",
    "invalid_reason": "VARCHAR",
    "error_type": "VARCHAR",
    "error_message": "VARCHAR",
    "model": "VARCHAR",
    "message_id": "VARCHAR",
    "inference_geo": "VARCHAR",
    "web_searches": "UINTEGER",
    "batch_id": "VARCHAR",
    "ended_at": "TIMESTAMP",
    **dict.fromkeys(USAGE, "UINTEGER"),
}


def _asked_table(engine: Engine, sources: ResultSources) -> None:
    """Join items with what is known of them, once: every query of rows builds on it.

    A table, for then the wide answers stream past a narrow hash table, and sorting a million of
    them stays within the engine's memory.
    """
    keys = ", ".join(f"i.k{n}" for n in range(len(sources.table.key)))
    engine.execute(f"""
        CREATE OR REPLACE TABLE {ASKED} AS
        SELECT i.key_json, {keys}, i.hash, k.attempt, k.submission, k.hash AS digest,
          coalesce(j.outcome, k.outcome) AS outcome
        FROM {sources.items} i
        LEFT JOIN {sources.known} k ON k.hash = array_slice(i.hash, 1, 16)
        LEFT JOIN {JUDGED} j ON j.hash = k.hash AND j.submission = k.submission
    """)


def _rows_view(engine: Engine, sources: ResultSources, *, judged: bool) -> None:
    usage = ", ".join(f"coalesce(a.{name}, 0) AS {name}" for name in USAGE)
    result, reason, join = "a.result", "a.invalid_reason", ""
    if judged:
        result = "CASE WHEN j.hash IS NULL THEN a.result ELSE j.result END"
        reason = "CASE WHEN j.hash IS NULL THEN a.invalid_reason ELSE j.invalid_reason END"
        join = f"LEFT JOIN {JUDGED} j ON j.hash = q.digest AND j.submission = q.submission"
    engine.execute(f"""
        CREATE OR REPLACE VIEW {ROWS} AS
        SELECT *, {STATUS} AS status,
          {_RESULT} AS result_json,
          {error_expression()} AS error,
          {cost_expression(sources.prices)} AS cost_usd
        FROM (
          SELECT q.*, {result} AS result, {reason} AS invalid_reason,
            a.hash IS NOT NULL AS has_answer, a.stop_reason, a.text, a.content, a.error_type,
            a.error_message, a.model, a.message_id, a.inference_geo, a.batch_id, a.ended_at,
            coalesce(a.web_searches, 0) AS web_searches, {usage}
          FROM {ASKED} q
          LEFT JOIN {ANSWERS} a ON a.hash = q.digest AND a.submission = q.submission
          {join}
        )
    """)


_RESULT: Final = (
    f"CASE WHEN outcome IN ({int(Outcome.SUCCEEDED)}, {int(Outcome.UNCHECKED)}, "
    f"{int(Outcome.INVALID)}) THEN coalesce(result, to_json(text)::VARCHAR) "
    f"WHEN outcome = {int(Outcome.TRUNCATED)} THEN to_json(text)::VARCHAR "
    f"WHEN outcome = {int(Outcome.REFUSED)} AND text <> '' THEN to_json(text)::VARCHAR END"
)


def _case(words: dict[Outcome, str]) -> str:
    whens = " ".join(f"WHEN {int(key)} THEN {quote_literal(word)}" for key, word in words.items())
    return f"CASE outcome {whens} END"


STATUS: Final = _case(_STATUS)
"""The SQL of a status by the column ``outcome``."""


def error_expression() -> str:
    """Return the SQL of an error (type, message) by an answer's columns; NULL: there is none."""
    cases = {Outcome.INVALID: _struct(quote_literal("invalid_answer"), "invalid_reason")}
    for outcome in (Outcome.ERRORED, Outcome.BAD_REQUEST):
        cases[outcome] = _struct("error_type", "error_message")
    for outcome, (kind, message) in _WORDS.items():
        cases[outcome] = _struct(quote_literal(kind), quote_literal(message))
    whens = " ".join(f"WHEN {int(outcome)} THEN {struct}" for outcome, struct in cases.items())
    return f"CASE outcome {whens} END"


def _struct(kind: str, message: str) -> str:
    return f"{{'type': {kind}, 'message': {message}}}"


def _totals(engine: Engine, sources: ResultSources, *, shared: bool) -> Totals:
    sums = ", ".join(f"sum({name})::BIGINT" for name in USAGE)
    answered = ", ".join(str(int(outcome)) for outcome in _ANSWERED)
    lacking = f"count(*) FILTER (NOT has_answer AND outcome IN ({answered}))"
    if shared:
        tokens = ", ".join(f"any_value({name}) AS {name}" for name in USAGE)
        asked = (
            f"SELECT any_value(status) AS status, count(*) AS items, {lacking} AS lacking,"
            f" any_value(cost_usd) AS cost_usd, {tokens} FROM {ROWS} GROUP BY hash"
        )
        counts = "sum(items)::BIGINT, sum(lacking)::BIGINT"
    else:
        asked, counts = f"FROM {ROWS}", f"count(*), {lacking}"
    rows = engine.rows(
        f"SELECT status, {counts}, sum(cost_usd), {sums} FROM ({asked}) GROUP BY status"
    )
    found = {row[0]: row[1:] for row in rows}
    _whole(engine, sources, found)
    priced = sources.prices is not None
    return Totals(
        items=sum(row[0] for row in found.values()),
        statuses=tuple((name, found[name][0]) for name in STATUSES if name in found),
        usage=tuple((name, sum(r[n] for r in found.values())) for n, name in enumerate(USAGE, 3)),
        usd=sum((row[2] for row in found.values()), Decimal(0)) if priced else None,
    )


def _shares_questions(engine: Engine) -> bool:
    """Tell whether items may share a question."""
    items, questions = engine.one(f"SELECT count(*), count(DISTINCT hash(hash)) FROM {ASKED}")
    return bool(items != questions)


def _whole(engine: Engine, sources: ResultSources, found: dict[str | None, Any]) -> None:
    """Refuse to go on unless every item has exactly one answer."""
    if None in found:
        raise ValueError(f"{found[None][0]} items have no answer yet.")
    lacking = sum(row[1] for row in found.values())
    joined = sum(row[0] for row in found.values())
    items = engine.one(f"SELECT count(*) FROM {sources.items}")[0]
    if lacking or joined != items:
        what = (
            f"{lacking} answers are missing from the answer files"
            if lacking
            else f"{joined - items} questions have more than one answer in the answer files"
        )
        raise StateFailure(
            f"The state does not fit together: {what}, so no output was written.",
            hint="Delete the state's cache folder and run `batchspec collect`: it rebuilds the "
            "answer files from the state's segments.",
        )


_CONTENT: Final = (
    "CASE WHEN r.content IS NOT NULL THEN r.content::JSON WHEN r.model IS NOT NULL AND r.text <> ''"
    " THEN to_json([{'type': 'text', 'text': r.text}]) END"
)
"""All blocks of an answer; those of a plain one are its text, which is not kept twice."""


def _public_views(engine: Engine, sources: ResultSources) -> None:
    """Make ``inputs`` and ``results``; of two columns with one name, ours stays."""
    table = sources.table
    ours = own_columns(table, sources.form)
    taken = {*ours, "input"}
    names = [quote_identifier(column.name) for column in table.columns]
    theirs = [
        quote_identifier(column.name)
        for column in table.columns
        if column.name.lower() not in taken
    ]
    columns = [f"{expression} AS {name}" for name, expression in ours.items()]
    columns += [f"t.{name}" for name in theirs]
    columns.append("{" + ", ".join(f"{name}: t.{name}" for name in names) + "} AS input")
    joins = [f"r.k{number} = t.{quote_identifier(name)}" for number, name in enumerate(table.key)]
    engine.execute(f"CREATE OR REPLACE VIEW {INPUTS} AS FROM {table.relation}")
    engine.execute(
        f"CREATE OR REPLACE VIEW {RESULTS} AS SELECT {', '.join(columns)} FROM {ROWS} r"
        f" JOIN {table.relation} t ON {' AND '.join(joins)}"
    )


def own_columns(table: InputTable, form: AnswerForm) -> dict[str, str]:
    """Return the columns of ``results`` that are not the inputs', with their SQL over ``r``."""
    single = len(table.key) == 1
    # These came later than specs whose inputs may have columns of their names.
    later = {"content": _CONTENT, "answer": typed_answer(form, "r.result_json")}
    theirs = {column.name.lower() for column in table.columns}
    return {
        "key": "r.k0" if single else "r.key_json::JSON",
        "key_json": "r.key_json",
        "result": "r.result_json::JSON",
        **{name: sql for name, sql in later.items() if sql and name not in theirs},
        "text": "r.text",
        "status": "r.status",
        "stop_reason": "r.stop_reason",
        "error": "r.error",
        **{name: f"r.{name}" for name in USAGE},
        "cost_usd": "r.cost_usd",
        "model": "r.model",
        "request_hash": "lower(hex(r.hash))",
        "attempt": "r.attempt",
        "batch_id": "r.batch_id",
        "message_id": "r.message_id",
        "ended_at": "r.ended_at",
    }
