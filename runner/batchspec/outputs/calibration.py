"""What collected answers say about the guess of tokens, aggregated inside DuckDB."""

# ruff: noqa: S608 - the names in this SQL are ours, and literals are quoted.

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from batchspec.inputs.engine import Engine, quote_literal
from batchspec.plan.estimate import REQUEST_TOKENS, Calibration, measured_ratio

_SAMPLED: Final = "calibration_asked"
_PROMPT: Final = "(input_tokens::BIGINT + cache_write_5m + cache_write_1h + cache_read)"
_PERCENTILE: Final = "0.95"


def calibrate(
    engine: Engine,
    answers: Sequence[Path],
    asked: Mapping[bytes, int],
    chars_per_token: Decimal,
) -> Calibration:
    """Compare what answers really used with what was guessed of their requests.

    Args:
        engine: The engine to which the files are open.
        answers: Files of `AnswerWriter`; their output tokens are read of every answer.
        asked: For a sample of their requests, the first 16 bytes of the hash, and the characters
            by which the prompt is guessed (`plan.estimate.estimate_chars`).
        chars_per_token: Of the model's tokenizer generation.
    """
    if not answers:
        return Calibration()
    files = ", ".join(quote_literal(str(path)) for path in answers)
    answered = f"(FROM read_parquet([{files}]) WHERE kind = 'succeeded')"
    count, output, percentile, read, written = engine.one(
        f"SELECT count(*), sum(output_tokens)::BIGINT,"
        f" quantile_disc(output_tokens, {_PERCENTILE}), sum(cache_read)::BIGINT,"
        f" sum(cache_write_5m::BIGINT + cache_write_1h)::BIGINT FROM {answered}"
    )
    if not count:
        return Calibration()
    ratio, most = _input_ratio(engine, answered, asked.items(), chars_per_token)
    return Calibration(
        input_ratio=ratio,
        input_most=most,
        output_tokens=(Decimal(output) / count).quantize(Decimal("0.01")),
        output_percentile=int(percentile),
        hit_rate=_share(read, written),
        answers=count,
    )


def _input_ratio(
    engine: Engine, answered: str, asked: Iterable[tuple[bytes, int]], chars_per_token: Decimal
) -> tuple[Decimal, Decimal]:
    """Return real by guessed prompt tokens: of all sampled requests, and of the worst one."""
    pairs = list(asked)
    columns: dict[str, Any] = {
        "hash": pa.array([digest for digest, _ in pairs], pa.binary(16)),
        "chars": pa.array([chars for _, chars in pairs], pa.uint32()),
    }
    engine.register(_SAMPLED, pa.table(columns))
    text = f"greatest({_PROMPT} - {REQUEST_TOKENS}, 1)"
    tokens, chars, worst_tokens, worst_chars = engine.one(
        f"SELECT sum(tokens)::BIGINT, sum(chars)::BIGINT, arg_max(tokens, tokens / chars),"
        f" arg_max(chars, tokens / chars) FROM (SELECT {text} AS tokens, chars FROM {answered} a"
        f" JOIN {_SAMPLED} s ON s.hash = a.hash)"
    )
    engine.execute(f"DROP TABLE {_SAMPLED}")
    if not chars:
        return Decimal(1), Decimal(1)
    ratio = measured_ratio(tokens, chars, chars_per_token)
    return ratio, max(ratio, measured_ratio(worst_tokens, worst_chars, chars_per_token))


def _share(read: int, written: int) -> Decimal | None:
    """Return the share of cacheable prefixes that came from the cache; None: nothing was cached."""
    if not read + written:
        return None
    return (Decimal(read) / (read + written)).quantize(Decimal("0.01"))
