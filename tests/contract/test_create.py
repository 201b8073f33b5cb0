"""What create takes and refuses (fact sheet §2.1, §2.3)."""

from __future__ import annotations

import gzip
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from batchspec.emulator.probe import BATCHES
from batchspec.emulator.settings import Limits, Unknowns

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchspec.emulator.probe import Answer, Probe
    from batchspec.emulator.server import RunningEmulator

    Rows = Callable[[int], list[dict[str, Any]]]
    Start = Callable[..., RunningEmulator]

KEYS = [
    "id", "type", "processing_status", "request_counts", "created_at", "expires_at", "ended_at",
    "cancel_initiated_at", "archived_at", "results_url",
]  # fmt: skip


def post(probe: Probe, body: Any, **headers: str) -> Answer:
    """Send a create call."""
    return probe.call("POST", BATCHES, body, {**probe.headers, **headers})


def test_created_batch_is_in_progress(probe: Probe, rows: Rows) -> None:
    """All ten keys, all requests in processing, expiry 24 hours after creation."""
    batch = post(probe, {"requests": rows(3)}).json
    assert list(batch) == KEYS
    assert batch["id"].startswith("msgbatch_01")
    assert len(batch["id"]) == len("msgbatch_") + 24
    assert batch["type"] == "message_batch"
    assert batch["processing_status"] == "in_progress"
    assert batch["request_counts"] == {
        "processing": 3, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0,
    }  # fmt: skip
    day, clock = batch["created_at"].split("T")
    assert batch["expires_at"].split("T")[1] == clock
    assert batch["expires_at"].split("T")[0] > day
    assert clock.endswith("Z")
    assert len(clock) == len("18:37:24.100435Z")
    assert [batch[key] for key in KEYS[6:]] == [None] * 4


ROW = {"custom_id": "a", "params": {"model": "m"}}
BAD_BODIES: list[tuple[Any, str]] = [
    (b"", "not valid JSON"),
    (b"{", "not valid JSON"),
    (b'{"requests": [', "not valid JSON"),
    (b'{"requests": [{"custom_id": "a"', "not valid JSON"),
    (b'{"requests": []} x', "not valid JSON"),
    (b'{"requests": [{"custom_id": "a", "params": {}},]}', "not valid JSON"),
    (b'{"requests": [{"custom_id": "a", "params": {}} {"custom_id": "b"}]}', "not valid JSON"),
    (b'{"requests": [{"custom_id": "a", "params": {"x": tru}}]}', "not valid JSON"),
    (b'{"requests": [{"custom_id": "a", "params": {"x": NaN}}]}', "not valid JSON"),
    ([], "valid dictionary"),
    ({}, "requests: Field required"),
    ({"requests": None}, "valid list"),
    ({"requests": {}}, "valid list"),
    ({"requests": []}, "at least 1 item"),
    ({"requests": [1]}, "requests.0: Input should be a valid dictionary"),
    ({"requests": [ROW, []]}, "requests.1: Input should be a valid dictionary"),
    ({"other": 1, "requests": [ROW]}, "other: Extra inputs"),
    ({"requests": [ROW], "other": 1}, "other: Extra inputs"),
    ({"requests": [{**ROW, "other": 1}]}, "requests.0.other: Extra inputs"),
    ({"requests": [{"params": {}}]}, "requests.0.custom_id: Field required"),
    ({"requests": [{"custom_id": 1, "params": {}}]}, "valid string"),
    ({"requests": [{"custom_id": "", "params": {}}]}, "should match pattern"),
    ({"requests": [{"custom_id": "a" * 65, "params": {}}]}, "at most 64 characters"),
    ({"requests": [{"custom_id": "a.b", "params": {}}]}, "should match pattern"),
    ({"requests": [{"custom_id": "a\n", "params": {}}]}, "should match pattern"),
    ({"requests": [{"custom_id": "ä", "params": {}}]}, "should match pattern"),
    ({"requests": [ROW, ROW]}, "requests.1.custom_id: 'a' is not unique"),
    ({"requests": [{"custom_id": "a"}]}, "requests.0.params: Field required"),
    ({"requests": [{"custom_id": "a", "params": []}]}, "requests.0.params: Input should be"),
    ({"requests": [{"custom_id": "a", "params": {"stream": True}}]}, "params.stream"),
    ({"requests": [{"custom_id": "a", "params": {"speed": "fast"}}]}, "params.speed"),
    ({"requests": [{"custom_id": "a", "params": {"max_tokens": 0}}]}, "params.max_tokens"),
]


@pytest.mark.parametrize(("body", "message"), BAD_BODIES)
def test_bad_bodies_are_refused_whole(probe: Probe, body: Any, message: str) -> None:
    """400 with a message that names the place, and nothing is paid."""
    answer = post(probe, body)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
    assert message in answer.error["message"]
    assert probe.paid() == []


def test_deep_nesting_is_refused(probe: Probe) -> None:
    """A body nested deeper than any JSON library takes is a 400, never a 500."""
    for depth in (300, 2000):
        deep = b'{"requests":[{"custom_id":"a","params":' + b'{"a":' * depth + b"1"
        assert post(probe, deep + b"}" * depth + b"}]}").status == 400


def test_size_limits(start: Start, rows: Rows) -> None:
    """413 above the body and row limits, 400 above the number of requests."""
    probe = start(limits=Limits(max_body_bytes=2000, max_row_bytes=500, max_requests=4)).probe
    assert post(probe, {"requests": rows(4)}).status == 200
    assert "at most 4 items" in post(probe, {"requests": rows(5)}).error["message"]
    long_row = rows(1)
    long_row[0]["params"]["messages"][0]["content"] = "x" * 900
    answer = post(probe, {"requests": long_row})
    assert (answer.status, answer.error["type"]) == (413, "request_too_large")
    answer = post(probe, b" " * 3_000_000)
    assert (answer.status, answer.error["type"]) == (413, "request_too_large")


def test_encodings(start: Start, rows: Rows) -> None:
    """Gzip is refused with its code by default, and read when it is switched on."""
    body = gzip.compress(json.dumps({"requests": rows(3)}).encode())
    strict, lenient = start().probe, start(unknowns=Unknowns(gzip_create="accept")).probe
    answer = post(strict, body, **{"content-encoding": "gzip"})
    assert answer.status == 400
    assert answer.error["details"] == {"error_code": "request_body_encoding_unsupported"}
    assert post(lenient, body, **{"content-encoding": "gzip"}).status == 200
    broken = post(lenient, body[:-20], **{"content-encoding": "gzip"})
    assert broken.error["details"] == {"error_code": "request_body_encoding_invalid"}
    broken = post(lenient, b"plain", **{"content-encoding": "gzip"})
    assert broken.error["details"] == {"error_code": "request_body_encoding_invalid"}


def test_unpacked_size_counts(start: Start) -> None:
    """A gzip bomb is a 413 with its own code."""
    limits, unknowns = Limits(max_body_bytes=100_000), Unknowns(gzip_create="accept")
    probe = start(limits=limits, unknowns=unknowns).probe
    answer = post(probe, gzip.compress(b" " * 1_000_000), **{"content-encoding": "gzip"})
    assert answer.status == 413
    assert answer.error["details"] == {"error_code": "request_body_too_large_after_decoding"}


def test_row_faults_can_refuse_the_batch(start: Start, row: Any) -> None:
    """By choice, faults inside params are a 400 that names the row."""
    probe = start(unknowns=Unknowns(row_errors="create")).probe
    answer = post(probe, {"requests": [row("a"), row("b", max_tokens=10**9)]})
    assert answer.status == 400
    assert answer.error["message"].startswith("requests.1.params.max_tokens: 1000000000 > 64000")


def test_stream_can_be_an_errored_row(start: Start, row: Any) -> None:
    """By choice, stream, speed and max_tokens 0 are errored lines."""
    probe = start(unknowns=Unknowns(stream_refusal="row")).probe
    batch_id = probe.create([row("a", stream=True), row("b", max_tokens=0), row("c")])
    kinds = {line["custom_id"]: line["result"]["type"] for line in probe.results(batch_id)}
    assert kinds == {"a": "errored", "b": "errored", "c": "succeeded"}


def test_paid_log_names_every_request(probe: Probe, rows: Rows) -> None:
    """One entry per request of each committed batch, in order; deleting removes none."""
    first, second = probe.create(rows(2)), probe.create(rows(1))
    probe.call("DELETE", f"{BATCHES}/{first}")
    paid = [(entry.batch_id, entry.custom_id) for entry in probe.paid()]
    assert paid == [(first, "row-0"), (first, "row-1"), (second, "row-0")]
    assert probe.paid()[0].params_sha256 == probe.paid()[2].params_sha256
    assert [batch["deleted"] for batch in probe.batches()] == [True, False]


def send_without_last_byte(probe: Probe, body: bytes) -> socket.socket:
    """Send a create call up to its last byte and return the open connection."""
    host, _, port = probe.base_url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=5)
    head = (
        f"POST {BATCHES} HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nanthropic-version: 2026-10-21\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body[:-1])
    return connection


def test_a_body_without_its_last_byte_makes_no_batch(probe: Probe, rows: Rows) -> None:
    """A client that dies before the last byte has paid nothing, and leaves nothing behind."""
    body = json.dumps({"requests": rows(3)}).encode()
    connection = send_without_last_byte(probe, body)
    time.sleep(0.05)
    assert probe.batches() == []
    connection.close()
    time.sleep(0.05)
    assert probe.batches() == []
    assert probe.calls("create")[0]["status"] == "disconnected"


def test_a_client_that_dies_after_the_last_byte_has_paid(probe: Probe, rows: Rows) -> None:
    """With the last byte the batch exists, whether or not anybody reads the answer."""
    body = json.dumps({"requests": rows(3)}).encode()
    with send_without_last_byte(probe, body) as connection:
        connection.sendall(body[-1:])
    deadline = time.monotonic() + 5
    while not probe.batches() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(probe.paid()) == 3
