"""From result lines to rows: read a line, judge the answer, keep it."""

from __future__ import annotations

from batchspec.outputs.answers import AnswerWriter
from batchspec.outputs.judge import STOPPED, Judge, Judgement
from batchspec.outputs.lines import Head, Oddity, RawAnswer, read_head, read_line
from batchspec.outputs.plainlines import PlainAnswers, read_plain
from batchspec.plan.cost import Usage

__all__ = [
    "STOPPED",
    "AnswerWriter",
    "Head",
    "Judge",
    "Judgement",
    "Oddity",
    "PlainAnswers",
    "RawAnswer",
    "Usage",
    "read_head",
    "read_line",
    "read_plain",
]
