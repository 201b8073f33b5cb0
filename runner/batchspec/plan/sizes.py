"""What an estimate needs to know of a spec and of its requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from batchspec.plan.cost import ModelPrices
from batchspec.records import frozen


@frozen
class Weights:
    """By what the sizes of requests are summed up; all in characters that cost as much."""

    step_chars: int | None = None
    """From so many on a request is over the model's price step; None: there is no step."""
    image: int = 0
    document: int = 0
    """What one file of unknown size is taken for."""
    window: int | None = None
    """A request has at most so many; None: no limit."""


@frozen
class Sizes:
    """How large the questions to submit are."""

    requests: int = 0
    chars: int = 0
    """Characters of all of them; see `estimate_chars`."""
    over_requests: int = 0
    """Those of them whose guessed prompt is longer than the model's price step."""
    over_chars: int = 0
    groups: int = 0
    """Different prefixes behind a breakpoint that an item variable reaches; 0: there is none."""
    marked_chars: int = 0
    """Characters of all of them that all items do not share."""
    file_chars: int = 0
    """Characters that their files of unknown size are taken for."""
    over_file_chars: int = 0
    unsized: int = 0
    """Those of them with such files."""
    images: int = 0
    documents: int = 0
    """So many files of unknown size they have, each counted as often as it is sent."""


@frozen
class Job:
    """What an estimate needs to know of a spec."""

    max_tokens: int
    tokenizer: Literal["old", "new"]
    prices: ModelPrices | None
    geo: str | None = None
    """``params.inference_geo``."""
    prefix_chars: int = 0
    """Characters of the shared prefix before the cache breakpoint."""
    cache_ttl: Literal["5m", "1h"] | None = None
    """None: no breakpoint is placed."""
    short_prefix: tuple[int, Literal["5m", "1h"]] | None = None
    """Characters and lifetime of a marked prefix that seems too short to be cached; the tokens may
    be more than their guess."""
    group_ttl: Literal["5m", "1h"] | None = None
    """Lifetime of the breakpoint behind values of the item; None: there is none."""
    group_name: str = ""
    """What the spec calls the block before it."""
    dearest_ttl: Literal["5m", "1h"] | None = None
    """The longest lifetime of all breakpoints, the author's included; None: there is none."""
    context: int | None = None
    """Tokens of the model's window; None: not on record."""
    image_tokens: int | None = None
    """What the spec takes for a picture of unknown size; None: it does not say."""
    document_tokens: int | None = None
    """The same of a document."""
    min_cache_tokens: int | None = None
    """Shortest prefix that the model caches; None: not on record."""
    schema: Mapping[str, Any] | None = None
    primer: bool = False
    """One request may be sent first, alone, when that pays."""
    tool_tokens: int = 0
    """Tokens that the API adds to a request with tools (fact sheet §4.1)."""
    server_tools: tuple[str, ...] = ()
    """Tools that the API runs: nobody knows how much they add to a prompt."""
    searches_web: bool = False
    most_searches: int | None = None
    """So many web searches a request makes at most; None: nothing limits them."""
    notes: tuple[str, ...] = ()
    """Remarks made while the prompt was compiled."""
