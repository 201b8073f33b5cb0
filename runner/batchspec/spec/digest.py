"""The digest of what a spec means: comments, key order and its file's name do not matter."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

from batchspec.spec.model import Spec


def spec_digest(spec: Spec) -> str:
    """Return the SHA-256 of a spec's canonical JSON, as 64 hex digits.

    It changes with every setting of the spec, and not with the contents of files it names.
    """
    data = spec.model_dump(mode="python", by_alias=True)
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> str:
    """Write a decimal without trailing zeros: 5, 5.0 and 5.00 are one budget."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is not part of a spec.")
    return f"{value.normalize():f}"
