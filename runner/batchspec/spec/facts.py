"""What the rules need to know of a model. The values are data in `api/catalogue.json`."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal

from batchspec.records import frozen

CHARS_PER_TOKEN = {"old": Decimal("3.5"), "new": Decimal("2.5")}
"""Characters of English per token, by tokenizer generation; the new one came with Opus 4.7 (fact
sheet §7)."""

PAGE_TOKENS = 3000
"""Upper end of the documented 1,500 to 3,000 text tokens of a PDF's page; it stands for the page's
image too, whose tokens are not on record (fact sheet §6.5)."""

UNBOUNDED = 10**9
"""Stands for a limit that is not on record, and refuses nothing."""

EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""Levels of effort, from little to much (fact sheet §6.2)."""
ABILITIES = ("citations", "code_execution", "image_input", "pdf_input", "web_search")
"""What the Models API says of a model beside limits and thinking (fact sheet §8)."""


@frozen
class ModelFacts:
    """Limits and abilities of one model (fact sheet §4.2, §6)."""

    id: str
    max_output: int
    """Most tokens of one answer without a beta."""
    max_output_300k: bool
    """Whether the beta ``output-300k-2026-03-24`` lifts that to 300,000 in batches."""
    context: int
    """Tokens of prompt and answer together."""
    prefill: bool
    """Whether the last message may be the assistant's."""
    sampling: bool
    """Whether temperature, top_p and top_k are accepted under ``anthropic-version: 2023-06-01``."""
    structured_outputs: bool
    min_cache_tokens: int | None
    """Shortest prefix that is cached; None: not on record."""
    tokenizer: Literal["old", "new"]
    retires_at: dt.date | None
    """The announced day; None when none is announced."""
    deprecated: bool
    """A retirement is announced; the model still answers until then, sometimes longer."""
    retired: bool = False
    """It answers no more."""
    batch: bool = True
    """Whether it can be asked in batches."""
    effort: bool = True
    """Whether ``output_config.effort`` is accepted."""
    efforts: tuple[str, ...] | None = None
    """Accepted levels of it; None: not on record."""
    thinking: tuple[str, ...] | None = None
    """Accepted ``thinking.type`` values; None: not on record."""
    forced_tool_choice: bool | None = None
    """Whether ``tool_choice`` any and tool are accepted; None: not on record."""
    thinking_up_to_high: tuple[str, ...] = ()
    """Of ``thinking``: what holds only up to the effort high."""
    geo: bool | None = None
    """Whether ``inference_geo`` is accepted; None: not on record."""
    missing: frozenset[str] = frozenset()
    """What of `ABILITIES` it is known not to have."""
    as_of: dt.date | None = None
    """The day on which all this was so."""
