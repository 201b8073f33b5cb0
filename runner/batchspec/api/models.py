"""What a page of the Models API says, read strictly where it matters and patiently elsewhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final, get_args

import orjson

from batchspec.api.port import ModelPage
from batchspec.spec.facts import ABILITIES, EFFORTS
from batchspec.spec.listed import Lifecycle, ListedModel

LIFECYCLES: Final[tuple[Lifecycle, ...]] = get_args(Lifecycle)
_EPOCH: Final = dt.date(1970, 1, 1)
"""Stands for a day that the API does not know (fact sheet §8)."""


def parse_models(body: bytes) -> ModelPage:
    """Return the page of a 2xx answer to the list of models.

    Raises:
        ValueError: when the body is not such a page.
    """
    raw = orjson.loads(body)
    try:
        models = tuple(_model(entry) for entry in raw["data"])
        more, last = bool(raw.get("has_more", False)), raw.get("last_id")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the answer is not a page of models: {error!r}") from error
    return ModelPage(models=models, has_more=more, last_id=last if isinstance(last, str) else None)


def _model(raw: Mapping[str, Any]) -> ListedModel:
    able = raw.get("capabilities")
    capabilities = able if isinstance(able, dict) else {}
    lifecycle = raw.get("lifecycle")
    name = raw.get("display_name")
    return ListedModel(
        id=str(raw["id"]),
        name=name if isinstance(name, str) else None,
        lifecycle=lifecycle if lifecycle in LIFECYCLES else None,
        released=_day(raw.get("created_at")),
        deprecated_at=_day(raw.get("deprecated_at")),
        retires_at=_day(raw.get("retires_at")),
        context=_limit(raw.get("max_input_tokens")),
        max_output=_limit(raw.get("max_tokens")),
        batch=_supported(capabilities.get("batch")),
        structured_outputs=_supported(capabilities.get("structured_outputs")),
        effort=_supported(capabilities.get("effort")),
        efforts=_efforts(capabilities.get("effort")),
        thinking=_kinds(capabilities.get("thinking")),
        abilities=_abilities(capabilities),
    )


def _abilities(capabilities: Mapping[str, Any]) -> dict[str, bool] | None:
    """Return what is said of `ABILITIES`; some stand among the tools that the service runs."""
    tools = capabilities.get("server_tools")
    said = {**(tools if isinstance(tools, dict) else {}), **capabilities}
    found = {name: _supported(said.get(name)) for name in ABILITIES}
    return {name: able for name, able in found.items() if able is not None} or None


def _efforts(effort: Any) -> tuple[str, ...] | None:
    """Return the levels that are accepted, from little to much; None: the API names none."""
    if not isinstance(effort, dict) or not any(level in effort for level in EFFORTS):
        return None
    return tuple(level for level in EFFORTS if _supported(effort.get(level)))


def _supported(capability: Any) -> bool | None:
    value = capability.get("supported") if isinstance(capability, dict) else None
    return value if isinstance(value, bool) else None


def _kinds(thinking: Any) -> tuple[str, ...] | None:
    types = thinking.get("types") if isinstance(thinking, dict) else None
    if not isinstance(types, dict):
        return None
    return tuple(sorted(str(kind) for kind, able in types.items() if _supported(able)))


def _limit(tokens: Any) -> int | None:
    return tokens if type(tokens) is int and tokens > 0 else None


def _day(text: Any) -> dt.date | None:
    """Return the day of a moment; one that cannot be read is not known."""
    try:
        day = None if text is None else dt.datetime.fromisoformat(text).date()
    except (TypeError, ValueError):
        return None
    return None if day == _EPOCH else day
