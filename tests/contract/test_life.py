"""The life of a batch on a stepped clock: end, cancel, expiry, archive, delete (§1.9)."""

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

HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture
def hour(start: Start) -> Probe:
    """Return an emulator whose batches take an hour of stepped time."""
    return start(stepped=True, delay_seconds=HOUR, cancel_seconds=60).probe


def counts(batch: Any) -> tuple[int, ...]:
    """Return the counts in the order processing, succeeded, errored, canceled, expired."""
    names = ("processing", "succeeded", "errored", "canceled", "expired")
    return tuple(batch["request_counts"][name] for name in names)


def test_everything_is_processing_until_the_end(hour: Probe, rows: Rows) -> None:
    """No count moves before the batch ends; then all do, and ended_at is exact."""
    batch_id = hour.create(rows(10))
    hour.advance(HOUR - 1)
    batch = hour.batch(batch_id)
    assert (batch["processing_status"], counts(batch)) == ("in_progress", (10, 0, 0, 0, 0))
    assert batch["results_url"] is None
    hour.advance(1)
    batch = hour.batch(batch_id)
    assert (batch["processing_status"], counts(batch)) == ("ended", (0, 10, 0, 0, 0))
    assert batch["ended_at"][14:] == batch["created_at"][14:]
    assert batch["results_url"].endswith(f"/{batch_id}/results")


def test_results_before_the_end(start: Start, rows: Rows) -> None:
    """404 by default, 400 by choice."""
    for status in (404, 400):
        unknowns = Unknowns(results_before_end_status=status)
        probe = start(delay_seconds=60, unknowns=unknowns).probe
        batch_id = probe.create(rows(1))
        assert probe.call("GET", f"{BATCHES}/{batch_id}/results").status == status


def test_cancel_finishes_what_runs(hour: Probe, rows: Rows) -> None:
    """Canceling at once, ended after a while; what ran is succeeded, the rest canceled."""
    batch_id = hour.create(rows(100))
    hour.advance(HOUR / 2)
    answer = hour.call("POST", f"{BATCHES}/{batch_id}/cancel").json
    assert answer["processing_status"] == "canceling"
    assert counts(answer) == (100, 0, 0, 0, 0)
    assert answer["cancel_initiated_at"] is not None
    assert answer["ended_at"] is None
    hour.advance(59)
    assert hour.batch(batch_id)["processing_status"] == "canceling"
    hour.advance(1)
    batch = hour.batch(batch_id)
    assert (batch["processing_status"], counts(batch)) == ("ended", (0, 55, 0, 45, 0))
    kinds = [line["result"]["type"] for line in hour.results(batch_id)]
    assert (kinds.count("succeeded"), kinds.count("canceled")) == (55, 45)
    assert batch["cancel_initiated_at"] == answer["cancel_initiated_at"]


def test_cancel_at_once_cancels_nearly_all(hour: Probe, rows: Rows) -> None:
    """A second cancel changes nothing."""
    batch_id = hour.create(rows(100))
    path = f"{BATCHES}/{batch_id}/cancel"
    first = hour.call("POST", path).json
    hour.advance(10)
    assert hour.call("POST", path).json == first
    hour.advance(60)
    assert counts(hour.batch(batch_id)) == (0, 5, 0, 95, 0)


def test_cancel_after_the_end(start: Start, rows: Rows) -> None:
    """The object unchanged by default, 400 by choice."""
    lenient, strict = start().probe, start(unknowns=Unknowns(cancel_after_end="error")).probe
    batch_id = lenient.create(rows(1))
    answer = lenient.call("POST", f"{BATCHES}/{batch_id}/cancel")
    assert answer.json == lenient.batch(batch_id)
    assert answer.json["cancel_initiated_at"] is None
    batch_id = strict.create(rows(1))
    assert strict.call("POST", f"{BATCHES}/{batch_id}/cancel").status == 400


def test_expiry_ends_a_batch_after_a_day(start: Start, rows: Rows) -> None:
    """What is not done 24 hours after creation is expired, and the batch has ended."""
    probe = start(stepped=True, delay_seconds=4 * DAY).probe
    batch_id = probe.create(rows(100))
    probe.advance(DAY)
    batch = probe.batch(batch_id)
    assert (batch["processing_status"], counts(batch)) == ("ended", (0, 25, 0, 0, 75))
    assert batch["ended_at"] == batch["expires_at"]
    kinds = [line["result"] for line in probe.results(batch_id)]
    assert kinds.count({"type": "expired"}) == 75


def test_archive_takes_results_away(hour: Probe, rows: Rows) -> None:
    """29 days after creation the object is still there, its results are not."""
    batch_id = hour.create(rows(1))
    hour.advance(29 * DAY - 1)
    assert len(hour.results(batch_id)) == 1
    assert hour.batch(batch_id)["archived_at"] is None
    hour.advance(1)
    batch = hour.batch(batch_id)
    assert batch["archived_at"][10:] == batch["created_at"][10:]
    assert batch["results_url"] is None
    assert counts(batch) == (0, 1, 0, 0, 0)
    assert hour.call("GET", f"{BATCHES}/{batch_id}/results").status == 404


def test_archive_by_choice(start: Start, rows: Rows) -> None:
    """The url can be kept, and the status of the results chosen."""
    unknowns = Unknowns(archived_results_url="kept", results_after_archive_status=410)
    probe = start(stepped=True, unknowns=unknowns).probe
    batch_id = probe.create(rows(1))
    probe.advance(30 * DAY)
    assert probe.batch(batch_id)["results_url"] is not None
    assert probe.call("GET", f"{BATCHES}/{batch_id}/results").status == 410


@pytest.mark.parametrize("status", [400, 409])
def test_delete_only_after_the_end(start: Start, rows: Rows, status: int) -> None:
    """A premature delete is refused; after the end the batch is gone for every call."""
    unknowns = Unknowns(premature_delete_status=status)  # type: ignore[arg-type]  # one of the two
    probe = start(stepped=True, delay_seconds=60, unknowns=unknowns).probe
    batch_id = probe.create(rows(1))
    path = f"{BATCHES}/{batch_id}"
    refused = probe.call("DELETE", path)
    assert refused.status == status
    assert refused.error["type"] == {400: "invalid_request_error", 409: "conflict_error"}[status]
    probe.advance(60)
    assert probe.call("DELETE", path).json == {"id": batch_id, "type": "message_batch_deleted"}
    assert probe.call("GET", path).status == 404
    assert probe.call("DELETE", path).status == 404
    assert probe.call("GET", f"{path}/results").status == 404
    assert probe.call("POST", f"{path}/cancel").status == 404
    assert probe.call("GET", BATCHES).json["data"] == []


def test_unknown_batch_is_404_everywhere(probe: Probe) -> None:
    """Retrieve, cancel, delete and results of an id nobody made."""
    path = f"{BATCHES}/msgbatch_01nobody"
    calls = [
        ("GET", path),
        ("DELETE", path),
        ("POST", f"{path}/cancel"),
        ("GET", f"{path}/results"),
    ]
    for method, where in calls:
        answer = probe.call(method, where)
        assert (answer.status, answer.error["type"]) == (404, "not_found_error")


def test_time_can_run_fast(start: Start, rows: Rows) -> None:
    """With a speed an hour passes in a fraction of a second."""
    probe = start(speed=100_000.0, delay_seconds=HOUR).probe
    batch_id = probe.create(rows(1))
    for _ in range(200):
        if probe.batch(batch_id)["processing_status"] == "ended":
            break
    assert probe.batch(batch_id)["processing_status"] == "ended"


def test_clock_endpoint_sets_the_speed(start: Start) -> None:
    """Time stands still, then runs, then stands still again."""
    probe = start(stepped=True).probe
    before = probe.call("GET", "/_emulator/clock").json
    assert before["speed"] == 0
    assert probe.call("GET", "/_emulator/clock").json == before
    assert probe.call("POST", "/_emulator/clock", {"speed": 5}).json["speed"] == 5
    wrong: Any
    for wrong in ({}, {"speed": -1}, {"advance_seconds": "1"}, [], {"other": 1}):
        assert probe.call("POST", "/_emulator/clock", wrong).status == 400
    assert probe.call("POST", "/_emulator/clock", b"{").status == 400


def test_date_header_follows_the_clock(hour: Probe) -> None:
    """Server time is one thing: created_at and Date agree."""
    before = hour.call("GET", BATCHES).headers["date"]
    hour.advance(400 * DAY)
    after = hour.call("GET", BATCHES).headers["date"]
    assert int(after.split()[3]) > int(before.split()[3])
