"""What collected answers say about the guess of tokens, aggregated inside DuckDB."""

# ruff: noqa: S608 - the names in this SQL are ours, and literals are quoted.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import starmap
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa

from batchspec.inputs.engine import Engine, quote_literal
from batchspec.plan.calibration import Calibration, Told, learned

_SAMPLED: Final = "calibration_asked"
_PROMPT: Final = "(input_tokens::BIGINT + cache_write_5m + cache_write_1h + cache_read)"
_PERCENTILE: Final = "0.95"
_SIZES: Final = ("chars", "images", "documents")


def calibrate(
    engine: Engine,
    answers: Sequence[Path],
    asked: Mapping[bytes, tuple[int, int, int]],
    tokenizer: Literal["old", "new"],
) -> Calibration:
    """Compare what answers really used with what was guessed of their requests.

    Args:
        engine: The engine to which the files are open.
        answers: Files of `AnswerWriter`; their output tokens are read of every answer.
        asked: For a sample of their requests, the first 16 bytes of the hash, the characters
            by which the prompt is guessed (`plan.estimate.estimate_chars`), and the pictures and
            documents of unknown size.
        tokenizer: The generation of the model's tokenizer.
    """
    if not answers:
        return Calibration()
    files = ", ".join(quote_literal(str(path)) for path in answers)
    answered = f"(FROM read_parquet([{files}]) WHERE kind = 'succeeded')"
    count, output, percentile, read, written, searches, most = engine.one(
        f"SELECT count(*), sum(output_tokens)::BIGINT,"
        f" quantile_disc(output_tokens, {_PERCENTILE}), sum(cache_read)::BIGINT,"
        f" sum(cache_write_5m::BIGINT + cache_write_1h)::BIGINT, sum(web_searches)::BIGINT,"
        f" max(web_searches) FROM {answered}"
    )
    if not count:
        return Calibration()
    known = Calibration(
        output_tokens=(Decimal(output) / count).quantize(Decimal("0.01")),
        output_percentile=int(percentile),
        hit_rate=_share(read, written),
        searches=(Decimal(searches) / count).quantize(Decimal("0.01")),
        most_searches=int(most),
        answers=count,
    )
    return learned(known, _told(engine, answered, asked), tokenizer)


def _told(
    engine: Engine, answered: str, asked: Mapping[bytes, tuple[int, int, int]]
) -> tuple[Told, ...]:
    """Return what the sampled requests were guessed by and really used."""
    sizes = list(zip(*asked.values(), strict=True)) or [(), (), ()]
    columns: dict[str, Any] = {
        "hash": pa.array(list(asked), pa.binary(16)),
        **{name: pa.array(part, pa.uint32()) for name, part in zip(_SIZES, sizes, strict=True)},
    }
    engine.register(_SAMPLED, pa.table(columns))
    rows = engine.rows(
        f"SELECT s.chars, {_PROMPT}, s.images, s.documents FROM {answered} a"
        f" JOIN {_SAMPLED} s ON s.hash = a.hash"
    )
    told = tuple(starmap(Told, rows))
    engine.execute(f"DROP TABLE {_SAMPLED}")
    return told


def _share(read: int, written: int) -> Decimal | None:
    """Return the share of cacheable prefixes that came from the cache; None: nothing was cached."""
    if not read + written:
        return None
    return (Decimal(read) / (read + written)).quantize(Decimal("0.01"))
