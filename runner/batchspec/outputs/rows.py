"""From result lines to rows: read a line, judge the answer, keep it."""

from __future__ import annotations

from batchspec.outputs.answers import AnswerWriter
from batchspec.outputs.judge import Judge, Judgement
from batchspec.outputs.lines import Head, Oddity, RawAnswer, read_head, read_line
from batchspec.plan.cost import Usage

__all__ = [
    "AnswerWriter",
    "Head",
    "Judge",
    "Judgement",
    "Oddity",
    "RawAnswer",
    "Usage",
    "read_head",
    "read_line",
]
