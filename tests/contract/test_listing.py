"""Pages of the listing, and of models (fact sheet §1.6, §8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchspec.emulator.probe import BATCHES
from batchspec.emulator.settings import Unknowns

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchspec.emulator.probe import Probe
    from batchspec.emulator.server import RunningEmulator

    Rows = Callable[[int], list[dict[str, Any]]]
    Start = Callable[..., RunningEmulator]


def page(probe: Probe, query: str) -> tuple[list[str], bool]:
    """Return the ids of a page and has_more, after checking first_id and last_id."""
    value = probe.call("GET", f"{BATCHES}?{query}").json
    ids = [batch["id"] for batch in value["data"]]
    assert value["first_id"] == (ids[0] if ids else None)
    assert value["last_id"] == (ids[-1] if ids else None)
    return ids, value["has_more"]


def test_pages_go_both_ways(probe: Probe, rows: Rows) -> None:
    """Newest first; after_id goes on to older ones, before_id gives the adjacent newer ones."""
    assert page(probe, "") == ([], False)
    made = [probe.create(rows(1)) for _ in range(7)][::-1]
    assert page(probe, "") == (made, False)
    assert page(probe, "limit=3") == (made[:3], True)
    assert page(probe, f"limit=3&after_id={made[2]}") == (made[3:6], True)
    assert page(probe, f"limit=3&after_id={made[5]}") == (made[6:], False)
    assert page(probe, f"after_id={made[6]}") == ([], False)
    assert page(probe, f"limit=2&before_id={made[5]}") == (made[3:5], True)
    assert page(probe, f"limit=5&before_id={made[5]}") == (made[:5], False)
    assert page(probe, f"before_id={made[0]}") == ([], False)


def test_default_page_has_twenty(probe: Probe, rows: Rows) -> None:
    """Without a limit a page holds 20."""
    made = [probe.create(rows(1)) for _ in range(22)][::-1]
    assert page(probe, "") == (made[:20], True)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1.5",
                                   "after_id=a&before_id=b"])  # fmt: skip
def test_wrong_queries_are_refused(probe: Probe, query: str) -> None:
    """A limit outside 1 to 1000, and two cursors at once."""
    assert probe.call("GET", f"{BATCHES}?{query}").status == 400


def test_unknown_cursor(start: Start, rows: Rows) -> None:
    """404 by default, an empty page by choice."""
    strict, lenient = start().probe, start(unknowns=Unknowns(unknown_cursor="empty")).probe
    lenient.create(rows(1))
    assert strict.call("GET", f"{BATCHES}?after_id=msgbatch_01lost").status == 404
    assert page(lenient, "after_id=msgbatch_01lost") == ([], False)


def test_a_listing_can_ignore_its_cursor(probe: Probe, rows: Rows) -> None:
    """The fault gives the first page for ever; a client that only walks on would never end."""
    made = [probe.create(rows(1)) for _ in range(3)][::-1]
    probe.fault("list_ignores_cursor", "list")
    for query in ("", f"&after_id={made[1]}", "&before_id=nothing"):
        page = probe.call("GET", f"{BATCHES}?limit=2{query}").json
        assert [batch["id"] for batch in page["data"]] == made[:2]
        assert page["has_more"]


def test_models_are_listed_and_found(probe: Probe) -> None:
    """Newest first, by id or alias, filtered by lifecycle, with capabilities."""
    models = probe.call("GET", "/v1/models?limit=1000").json
    ids = [model["id"] for model in models["data"]]
    assert ids[0] == "claude-fable-5-2"
    assert "claude-haiku-4-5-20251001" in ids
    assert models["has_more"] is False
    filtered = probe.call("GET", "/v1/models?lifecycle[]=deprecated").json["data"]
    assert [model["id"] for model in filtered] == [
        "claude-sonnet-4-5-20250929",
        "claude-mythos-preview",
    ]
    assert filtered[1]["deprecated_at"] is None
    assert filtered[1]["created_at"] == "1970-01-01T00:00:00Z"
    assert probe.call("GET", "/v1/models?lifecycle[]=retired").json["data"] == []
    assert probe.call("GET", "/v1/models?lifecycle[]=lost").status == 400
    alias = probe.call("GET", "/v1/models/claude-sonnet-4-5").json
    assert alias["id"] == "claude-sonnet-4-5-20250929"
    assert (alias["lifecycle"], alias["retires_at"]) == ("deprecated", "2026-11-30T00:00:00Z")
    assert alias["capabilities"]["thinking"]["types"]["enabled"] == {"supported": True}
    missing = probe.call("GET", "/v1/models/claude-9")
    assert (missing.status, missing.error["type"]) == (404, "not_found_error")


def test_count_tokens(probe: Probe) -> None:
    """A plain number, the same as the usage later; faults are a 400, unknown models a 404."""
    params: dict[str, Any] = {
        "model": "claude-haiku-4-5",
        "system": "y" * 40,
        "messages": [{"role": "user", "content": "x" * 400}],
    }
    path = "/v1/messages/count_tokens"
    assert probe.call("POST", path, params).json == {"input_tokens": 110}
    request = {"custom_id": "a", "params": {**params, "max_tokens": 10}}
    batch_id = probe.create([request])
    assert probe.results(batch_id)[0]["result"]["message"]["usage"]["input_tokens"] == 110
    assert probe.call("POST", path, {**params, "messages": []}).status == 400
    assert probe.call("POST", path, {**params, "model": "gpt"}).status == 404
    assert probe.call("POST", path, b"{").status == 400
    assert probe.call("POST", path, []).status == 400
    assert probe.call("POST", path, b" " * 32_000_001).status == 413
