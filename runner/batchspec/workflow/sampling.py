"""Trying a spec on some of its items, apart from what runs of all items leave."""

from __future__ import annotations

import dataclasses
from typing import Final

from batchspec.spec.model import Sample
from batchspec.spec.project import LoadedSpec

ABOUT_ALL_ITEMS: Final = ("row_count", "drift")
"""Kinds of checks that mean nothing for a sample."""


def sample_of(loaded: LoadedSpec, rows: int) -> LoadedSpec:
    """Return a spec whose items are a sample of its items: always the same ones.

    Args:
        loaded: The spec; a smaller sample of its own stays.
        rows: How many items.
    """
    inputs = loaded.spec.inputs
    own = inputs.sample or Sample(rows=rows)
    sample = own.model_copy(update={"rows": min(rows, own.rows)})
    spec = loaded.spec.model_copy(update={"inputs": inputs.model_copy(update={"sample": sample})})
    return dataclasses.replace(loaded, spec=spec)
