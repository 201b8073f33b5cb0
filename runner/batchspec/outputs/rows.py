"""From result lines to rows: read a line, judge the answer, keep it."""

from __future__ import annotations

from batchspec.outputs.answers import AnswerWriter
from batchspec.outputs.judge import Judge, Judgement
from batchspec.outputs.lines import Oddity, RawAnswer, Usage, read_id, read_line

__all__ = [
    "AnswerWriter",
    "Judge",
    "Judgement",
    "Oddity",
    "RawAnswer",
    "Usage",
    "read_id",
    "read_line",
]
