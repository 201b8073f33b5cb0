"""Writes the results file of a batch that has ended (fact sheet §1.7).

Requests are processed, and their lines written, in an order that is shuffled by seed and batch:
never the order of the input. It runs in a worker thread; nothing of a batch is held in memory but
the order of its rows.
"""

from __future__ import annotations

import os
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import orjson

from batchspec.emulator.answering import Answerer, errored
from batchspec.emulator.lifecycle import BatchRecord, Counts
from batchspec.emulator.params import Terms
from batchspec.emulator.rowindex import Row, RowIndex
from batchspec.emulator.rules import Question

if TYPE_CHECKING:
    from pathlib import Path

RESULTS = "results.jsonl"
_KINDS = ("succeeded", "errored", "canceled", "expired")


def processing_order(record: BatchRecord, seed: int) -> list[int]:
    """Return the row numbers of a batch in the order they are processed."""
    order = list(range(record.total))
    Random(f"{seed}/{record.seq}").shuffle(order)  # noqa: S311  (an order, not a secret)
    if order == sorted(order) and record.total > 1:
        order.reverse()
    return order


def write_results(
    record: BatchRecord, folder: Path, answerer: Answerer, terms: Terms, asked: Counter[bytes]
) -> Counts:
    """Write the results file of an ended batch and return its counts.

    Args:
        record: the batch.
        folder: its folder.
        answerer: what makes the results.
        terms: what governs its rows.
        asked: digests of params to how often they were asked in earlier batches; grows.
    """
    tally: Counter[str] = Counter()
    part = folder / f"{RESULTS}.part"
    with (
        RowIndex(folder / "rows.bin") as rows,
        (folder / "body.json").open("rb") as body,
        part.open("wb") as out,
    ):
        finished = record.finished
        for place, number in enumerate(processing_order(record, answerer.seed)):
            row = rows[number]
            if place < finished:
                question = _question(record, row, body.fileno(), asked[row.sha256])
                asked[row.sha256] += 1
                result = answerer.result(question, terms, record.started_at(place))
            else:
                result = {"type": record.leftover}
            tally[result["type"]] += 1
            out.write(result_line(row.custom_id, result))
    part.rename(folder / RESULTS)
    others = sum(tally.values()) - sum(tally[kind] for kind in _KINDS)
    return Counts(
        succeeded=tally["succeeded"],
        errored=tally["errored"] + others,
        canceled=tally["canceled"],
        expired=tally["expired"],
    )


def _question(record: BatchRecord, row: Row, body: int, asked_before: int) -> Question:
    # pread, not a map: the pages of a map would count as memory of this process.
    element = os.pread(body, row.length, row.offset)
    return Question(
        custom_id=row.custom_id,
        params=orjson.loads(element)["params"],
        sha256=row.sha256.hex(),
        asked_before=asked_before,
        cached=b'"cache_control"' in element,
        workspace=record.workspace,
    )


def result_line(custom_id: str, result: dict[str, Any]) -> bytes:
    """Return one line of a results file."""
    try:
        return orjson.dumps(
            {"custom_id": custom_id, "result": result}, option=orjson.OPT_APPEND_NEWLINE
        )
    except TypeError:
        fault = errored("invalid_request_error", "params: nested too deeply")
        return orjson.dumps(
            {"custom_id": custom_id, "result": fault}, option=orjson.OPT_APPEND_NEWLINE
        )
