"""The digest of what a spec means: comments, key order and its file's name do not matter."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

from batchspec.spec.model import Record, Spec


def spec_digest(spec: Spec) -> str:
    """Return the SHA-256 of a spec's canonical JSON, as 64 hex digits.

    It changes with every setting of the spec, and not with the contents of files it names. A
    setting that a later version of this program brought is part of it only where it is used
    (`Record.later`), so that a new version does not make every output look stale.
    """
    text = json.dumps(_data(spec), sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _data(value: Any) -> Any:
    if isinstance(value, Record):
        fields = type(value).model_fields
        return {
            info.alias or name: _data(getattr(value, name))
            for name, info in fields.items()
            if not (
                name in value.later
                and getattr(value, name) == info.get_default(call_default_factory=True)
            )
        }
    if isinstance(value, tuple):
        return [_data(inner) for inner in value]
    return value


def _plain(value: Any) -> str:
    """Write a decimal without trailing zeros: 5, 5.0 and 5.00 are one budget."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is not part of a spec.")
    return f"{value.normalize():f}"
