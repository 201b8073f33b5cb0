"""Rate and queue limits, when they are switched on (fact sheet §2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchspec.emulator.probe import BATCHES
from batchspec.emulator.settings import Limits, Unknowns

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchspec.emulator.server import RunningEmulator

    Rows = Callable[[int], list[dict[str, Any]]]
    Start = Callable[..., RunningEmulator]


def test_calls_per_minute_over_all_batch_endpoints(start: Start) -> None:
    """The bucket is shared by batch endpoints, refills continuously, and spares the others."""
    probe = start(stepped=True, limits=Limits(requests_per_minute=60)).probe
    assert {probe.call("GET", BATCHES).status for _ in range(60)} == {200}
    answer = probe.call("GET", f"{BATCHES}/msgbatch_01lost")
    assert (answer.status, answer.error["type"]) == (429, "rate_limit_error")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["anthropic-ratelimit-requests-limit"] == "60"
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert answer.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert probe.call("GET", "/v1/models").status == 200
    probe.advance(2)
    assert [probe.call("GET", BATCHES).status for _ in range(3)] == [200, 200, 429]


def test_headers_on_good_answers_by_choice(start: Start) -> None:
    """Whether batch endpoints send them is not known; they come when chosen."""
    limits = Limits(requests_per_minute=60)
    quiet = start(limits=limits).probe
    loud = start(limits=limits, unknowns=Unknowns(rate_limit_headers=True)).probe
    name = "anthropic-ratelimit-requests-remaining"
    assert name not in quiet.call("GET", BATCHES).headers
    assert loud.call("GET", BATCHES).headers[name] == "59"


def test_count_tokens_has_its_own_limit(start: Start, row: Any) -> None:
    """Its bucket is separate."""
    probe = start(stepped=True, limits=Limits(count_tokens_per_minute=1)).probe
    params = row("a")["params"] | {"max_tokens": 1}
    seen = [probe.call("POST", "/v1/messages/count_tokens", params).status for _ in range(2)]
    assert seen == [200, 429]
    assert probe.call("GET", BATCHES).status == 200


def test_queue_limit_refuses_a_create(start: Start, rows: Rows) -> None:
    """Processed requests leave the queue while the batch still runs."""
    probe = start(stepped=True, delay_seconds=100, limits=Limits(queue_requests=100)).probe
    probe.create(rows(80))
    answer = probe.call("POST", BATCHES, {"requests": rows(30)})
    assert (answer.status, answer.error["type"]) == (429, "rate_limit_error")
    assert "retry-after" not in answer.headers
    assert len(probe.paid()) == 80
    probe.advance(20)
    assert probe.call("POST", BATCHES, {"requests": rows(30)}).status == 200
    probe.advance(100)
    assert probe.call("POST", BATCHES, {"requests": rows(100)}).status == 200
