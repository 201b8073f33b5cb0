"""Reading pages of the Models API, and laying them over the shipped catalogue."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from batchspec.api.catalogue import load_catalogue
from batchspec.api.models import parse_models
from batchspec.spec.listed import ListedModel, ListedModels
from batchspec.spec.model import Prices

YES, NO = {"supported": True}, {"supported": False}
ENTRY: dict[str, Any] = {
    "type": "model",
    "id": "claude-haiku-4-5-20251001",
    "display_name": "Claude Haiku 4.5",
    "created_at": "2025-10-15T00:00:00Z",
    "lifecycle": "deprecated",
    "deprecated_at": "2026-12-01T00:00:00Z",
    "retires_at": "2027-02-01T00:00:00Z",
    "max_input_tokens": 150_000,
    "max_tokens": 32_000,
    "capabilities": {
        "batch": YES,
        "structured_outputs": YES,
        "citations": YES,
        "pdf_input": NO,
        "server_tools": {**YES, "web_search": NO},
        "effort": {**YES, "low": YES, "high": YES, "max": NO},
        "thinking": {**YES, "types": {"enabled": YES, "disabled": YES, "adaptive": NO}},
    },
}
AS_OF = dt.date(2026, 12, 2)


def page(*entries: dict[str, Any], **more: Any) -> bytes:
    """Return the body of a page."""
    return json.dumps({"data": entries, **more}).encode()


def test_a_model_is_read_whole() -> None:
    """Days, limits and abilities, and where the next page begins."""
    found = parse_models(page(ENTRY, has_more=True, last_id="x"))
    assert (found.has_more, found.last_id) == (True, "x")
    assert found.models == (
        ListedModel(
            id="claude-haiku-4-5-20251001",
            name="Claude Haiku 4.5",
            lifecycle="deprecated",
            released=dt.date(2025, 10, 15),
            deprecated_at=dt.date(2026, 12, 1),
            retires_at=dt.date(2027, 2, 1),
            context=150_000,
            max_output=32_000,
            batch=True,
            structured_outputs=True,
            effort=True,
            efforts=("low", "high"),
            abilities={"citations": True, "pdf_input": False, "web_search": False},
            thinking=("disabled", "enabled"),
        ),
    )


def test_what_a_model_does_not_say_is_unknown() -> None:
    """Odd values of single fields are no reason to lose the list; the epoch is no release."""
    odd = {
        "id": "m",
        "created_at": "1970-01-01T00:00:00Z",
        "retires_at": 5,
        "lifecycle": "resting",
        "max_tokens": "many",
        "capabilities": {"batch": None, "thinking": {"types": []}},
    }
    assert parse_models(page(odd)).models == (ListedModel(id="m"),)


@pytest.mark.parametrize("body", [b"[]", b'{"data": 5}', b'{"data": [{}]}', b"x", b'{"data":[1]}'])
def test_what_is_no_page_is_refused(body: bytes) -> None:
    """Nothing half-read is written to the project."""
    with pytest.raises(ValueError, match=r"."):
        parse_models(body)


def test_the_projects_list_wins_and_the_rest_stays() -> None:
    """A dated id corrects its alias; prices, tokenizer and cache minimum are not in the API."""
    listed = ListedModels(as_of=AS_OF, models=parse_models(page(ENTRY)).models)
    plain, corrected = load_catalogue(), load_catalogue({}, listed)
    facts, before = corrected.facts()["claude-haiku-4-5"], plain.facts()["claude-haiku-4-5"]
    assert facts == corrected.facts()["claude-haiku-4-5-20251001"]
    assert (facts.max_output, facts.context, facts.effort) == (32_000, 150_000, True)
    assert facts.efforts == ("low", "high")
    assert facts.missing == {"pdf_input", "web_search"}
    assert (facts.deprecated, facts.retired, facts.retires_at) == (True, False, dt.date(2027, 2, 1))
    assert (facts.as_of, before.as_of) == (AS_OF, plain.as_of)
    assert (facts.tokenizer, facts.min_cache_tokens) == (before.tokenizer, before.min_cache_tokens)
    assert corrected.prices("claude-haiku-4-5") == plain.prices("claude-haiku-4-5")
    assert len(corrected.models()) == len(plain.models())


def test_a_new_model_refuses_nothing_and_has_no_price() -> None:
    """What was not shipped and not said is not guessed; the project can give a price."""
    listed = ListedModels(as_of=AS_OF, models=(ListedModel(id="claude-next-1", context=5),))
    own = {"claude-next-1": Prices(input=Decimal(1), output=Decimal(2))}
    catalogue = load_catalogue(own, listed)
    facts = catalogue.facts()["claude-next-1"]
    assert (facts.context, facts.prefill, facts.sampling, facts.batch) == (5, True, True, True)
    assert load_catalogue({}, listed).prices("claude-next-1") is None
    assert catalogue.prices("claude-next-1") is not None
