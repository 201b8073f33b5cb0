"""Every fault of the menu, seen from the client's side of the connection."""

from __future__ import annotations

import http.client
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from batchspec.emulator.faults import KINDS
from batchspec.emulator.probe import BATCHES, Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchspec.emulator.server import RunningEmulator

    Rows = Callable[[int], list[dict[str, Any]]]
    Start = Callable[..., RunningEmulator]

TESTED: set[str] = {
    "status", "status_after_commit", "not_found", "cut_before", "cut_after", "hang_before",
    "hang_after", "slow_commit", "torn_response", "truncate_content_length", "truncate_chunked",
    "truncate_at_line", "truncate_mid_line", "drop_every", "duplicate_every", "blank_lines",
    "unknown_ids", "unknown_result_type", "unknown_error_type", "garbage_line",
    "line_separators", "byte_order_mark", "results_404", "foreign_results_url",
    "relative_results_url", "list_lag", "list_ignores_cursor", "frozen_date",
}  # fmt: skip


def test_no_fault_of_the_menu_is_untested() -> None:
    """A kind that joins the menu needs a test here."""
    assert set(KINDS) == TESTED


def post(probe: Probe, rows: Rows, count: int = 3) -> Any:
    """Send a create call and return the raw answer."""
    return probe.call("POST", BATCHES, {"requests": rows(count)})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"), (401, "authentication_error"), (402, "billing_error"),
        (403, "permission_error"), (404, "not_found_error"), (409, "conflict_error"),
        (413, "request_too_large"), (429, "rate_limit_error"), (500, "api_error"),
        (503, "api_error"), (504, "timeout_error"), (529, "overloaded_error"),
    ],
)  # fmt: skip
def test_status_answers_the_matching_envelope(
    probe: Probe, rows: Rows, status: int, kind: str
) -> None:
    """A status fault answers once, in the API's envelope, and nothing is paid."""
    probe.fault("status", "create", status=status)
    answer = post(probe, rows)
    assert (answer.status, answer.error["type"]) == (status, kind)
    assert answer.json["request_id"] == answer.headers["request-id"]
    assert probe.paid() == []
    assert post(probe, rows).status == 200


def test_status_carries_what_it_is_told(probe: Probe) -> None:
    """retry-after, x-should-retry, error code, type and message come as given."""
    probe.fault(
        "status", "list", status=429, retry_after=7, should_retry=False, message="slow down",
        error_code="ramp_limit_exceeded", error_type="rate_limit_error",
    )  # fmt: skip
    answer = probe.call("GET", BATCHES)
    assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("7", "false")
    assert answer.error == {
        "type": "rate_limit_error",
        "message": "slow down",
        "details": {"error_code": "ramp_limit_exceeded"},
    }


def test_status_without_retry_after_by_default(probe: Probe) -> None:
    """The spend-cap 429 has no retry-after; neither has ours unless asked."""
    probe.fault("status", "list", status=429, error_code="enforced_spend_limit_reached")
    assert "retry-after" not in probe.call("GET", BATCHES).headers


def test_status_can_look_like_a_proxy(probe: Probe) -> None:
    """Without envelope and request id the answer cannot come from the API."""
    probe.fault("status", "list", status=502, envelope=False, request_id=False)
    answer = probe.call("GET", BATCHES)
    assert (answer.status, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert "request-id" not in answer.headers


def test_status_after_commit_pays(probe: Probe, rows: Rows) -> None:
    """The batch exists although the client reads a 500."""
    probe.fault("status_after_commit", "create", status=500)
    assert post(probe, rows).status == 500
    assert len(probe.paid()) == 3


def test_not_found_is_intermittent(probe: Probe, rows: Rows) -> None:
    """A batch that exists answers 404 as often as the fault says, then 200."""
    batch_id = probe.create(rows(1))
    probe.fault("not_found", "retrieve", times=2)
    seen = [probe.call("GET", f"{BATCHES}/{batch_id}").status for _ in range(3)]
    assert seen == [404, 404, 200]


@pytest.mark.parametrize(("kind", "paid"), [("cut_before", 0), ("cut_after", 3)])
def test_cut_gives_no_answer(probe: Probe, rows: Rows, kind: str, paid: int) -> None:
    """The connection closes without an answer, before or after the commit."""
    probe.fault(kind, "create")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        post(probe, rows)
    assert len(probe.paid()) == paid


@pytest.mark.parametrize(("kind", "paid"), [("hang_before", 0), ("hang_after", 3)])
def test_hang_outlasts_the_client(start: Start, rows: Rows, kind: str, paid: int) -> None:
    """A client that gives up learns nothing; the commit comes before or after the wait."""
    emulator = start()
    emulator.probe.fault(kind, "create", seconds=0.4)
    hasty = Probe(emulator.base_url, timeout=0.15)
    with pytest.raises(TimeoutError):
        post(hasty, rows)
    assert len(emulator.probe.paid()) == paid
    time.sleep(0.4)
    assert len(emulator.probe.paid()) == 3


def test_slow_commit_creates_after_its_answer(probe: Probe, rows: Rows) -> None:
    """The client reads 504 at once; the batch appears later."""
    probe.fault("slow_commit", "create", seconds=0.2)
    answer = post(probe, rows)
    assert (answer.status, answer.error["type"]) == (504, "timeout_error")
    assert probe.paid() == []
    time.sleep(0.4)
    assert len(probe.paid()) == 3
    assert len(probe.call("GET", BATCHES).json["data"]) == 1


def test_torn_response_is_cut_json(probe: Probe, rows: Rows) -> None:
    """HTTP is complete, the JSON is not, and the batch exists."""
    probe.fault("torn_response", "create")
    answer = post(probe, rows)
    assert answer.status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body)
    assert len(probe.paid()) == 3


def test_torn_response_can_break_the_framing(probe: Probe, rows: Rows) -> None:
    """With `framing: cut` the body ends before its announced length."""
    probe.fault("torn_response", "create", framing="cut", at=0.3)
    with pytest.raises(http.client.IncompleteRead):
        post(probe, rows)


def test_torn_response_leaves_results_alone(probe: Probe, rows: Rows) -> None:
    """Results have their own truncations; `any` does not reach them."""
    batch_id = probe.create(rows(2))
    probe.fault("torn_response", "any", times=0)
    assert len(probe.results(batch_id)) == 2
    assert probe.call("GET", BATCHES).body.count(b"msgbatch") == 1


@pytest.mark.parametrize("kind", ["truncate_content_length", "truncate_chunked"])
def test_framed_truncation_is_visible(probe: Probe, rows: Rows, kind: str) -> None:
    """Content-Length and chunked framing tell the client that something is missing."""
    batch_id = probe.create(rows(10))
    probe.fault(kind, "results", lines=4)
    with pytest.raises(http.client.IncompleteRead) as caught:
        probe.call("GET", f"{BATCHES}/{batch_id}/results")
    if kind == "truncate_content_length":
        assert caught.value.partial.count(b"\n") == 4
    assert len(probe.results(batch_id)) == 10


def test_truncate_at_line_looks_complete(probe: Probe, rows: Rows) -> None:
    """A close-delimited body cut at a line end shows no error at all."""
    batch_id = probe.create(rows(10))
    probe.fault("truncate_at_line", "results", lines=4)
    answer = probe.call("GET", f"{BATCHES}/{batch_id}/results")
    assert "content-length" not in answer.headers
    assert "transfer-encoding" not in answer.headers
    assert answer.body.count(b"\n") == 4
    assert answer.body.endswith(b"\n")
    assert answer.headers["x-batchspec-emulator"] == "1"


def test_truncate_mid_line_ends_inside_a_line(probe: Probe, rows: Rows) -> None:
    """The last line is no JSON; by default half of the lines come before it."""
    batch_id = probe.create(rows(10))
    probe.fault("truncate_mid_line", "results")
    lines = probe.call("GET", f"{BATCHES}/{batch_id}/results").body.split(b"\n")
    assert len(lines) == 6
    with pytest.raises(json.JSONDecodeError):
        json.loads(lines[-1])


def lines_with(probe: Probe, rows: Rows, kind: str, **options: Any) -> tuple[list[bytes], bytes]:
    """Return the lines of a batch of ten with a line fault, and the body without it."""
    batch_id = probe.create(rows(10))
    path = f"{BATCHES}/{batch_id}/results"
    whole = probe.call("GET", path).body
    probe.fault(kind, "results", **options)
    return probe.call("GET", path).body.split(b"\n")[:-1], whole


def test_drop_every_leaves_lines_out(probe: Probe, rows: Rows) -> None:
    """Every third line of ten is missing, the others are unchanged."""
    lines, whole = lines_with(probe, rows, "drop_every", every=3)
    kept = [line for n, line in enumerate(whole.splitlines(), 1) if n % 3]
    assert lines == kept


def test_duplicate_every_sends_lines_twice(probe: Probe, rows: Rows) -> None:
    """Every fifth line comes twice in a row."""
    lines, whole = lines_with(probe, rows, "duplicate_every", every=5)
    assert len(lines) == 12
    assert lines[4] == lines[5] == whole.splitlines()[4]


def test_blank_lines_stand_between(probe: Probe, rows: Rows) -> None:
    """An empty line follows every second line."""
    lines, whole = lines_with(probe, rows, "blank_lines", every=2)
    assert lines.count(b"") == 5
    assert [line for line in lines if line] == whole.splitlines()


def test_unknown_ids_join_the_lines(probe: Probe, rows: Rows) -> None:
    """Lines for ids that were never asked come at the end."""
    lines, whole = lines_with(probe, rows, "unknown_ids", count=2)
    assert lines[:-2] == whole.splitlines()
    assert [json.loads(line)["custom_id"] for line in lines[-2:]] == ["unknown-0", "unknown-1"]


def test_unknown_result_type_passes_through(probe: Probe, rows: Rows) -> None:
    """Every second line has a result type of the future."""
    lines, _ = lines_with(probe, rows, "unknown_result_type", every=2)
    kinds = [json.loads(line)["result"]["type"] for line in lines]
    assert kinds == ["succeeded", "emulated_future_result"] * 5


def test_unknown_error_type_is_nested_twice(probe: Probe, rows: Rows) -> None:
    """The unknown error keeps the shape of an error."""
    lines, _ = lines_with(probe, rows, "unknown_error_type", every=10)
    error = json.loads(lines[-1])["result"]["error"]
    assert error["type"] == "error"
    assert error["error"]["type"] == "emulated_future_error"


def test_garbage_line_is_no_json(probe: Probe, rows: Rows) -> None:
    """A line that cannot be parsed follows every fifth line."""
    lines, whole = lines_with(probe, rows, "garbage_line", every=5)
    assert len(lines) == 12
    assert [line for line in lines if b"<html>" not in line] == whole.splitlines()


def test_line_separators_are_inside_strings(probe: Probe, rows: Rows) -> None:
    """U+2028 and U+0085 come unescaped; only a newline ends a line."""
    lines, _ = lines_with(probe, rows, "line_separators")
    assert len(lines) == 10
    assert all("\u2028\u0085" in json.loads(line)["result"]["message"]["content"][0]["text"]
               for line in lines)  # fmt: skip


def test_byte_order_mark_comes_first(probe: Probe, rows: Rows) -> None:
    """The body begins with a BOM and is otherwise unchanged."""
    lines, whole = lines_with(probe, rows, "byte_order_mark")
    assert lines[0].startswith(b"\xef\xbb\xbf{")
    assert b"\n".join(lines)[3:] + b"\n" == whole


def test_results_404_once(probe: Probe, rows: Rows) -> None:
    """Results that exist answer 404 once."""
    batch_id = probe.create(rows(1))
    probe.fault("results_404", "results")
    assert probe.call("GET", f"{BATCHES}/{batch_id}/results").status == 404
    assert len(probe.results(batch_id)) == 1


def test_foreign_results_url(probe: Probe, rows: Rows) -> None:
    """results_url names another host, in retrieve and in the listing, until it is cleared."""
    batch_id = probe.create(rows(1))
    probe.fault("foreign_results_url", url="http://192.0.2.1:9")
    url = f"http://192.0.2.1:9{BATCHES}/{batch_id}/results"
    assert probe.batch(batch_id)["results_url"] == url
    assert probe.call("GET", BATCHES).json["data"][0]["results_url"] == url
    probe.clear_faults()
    assert probe.batch(batch_id)["results_url"].startswith(probe.base_url)


def test_relative_results_url(probe: Probe, rows: Rows) -> None:
    """results_url comes without scheme and host."""
    batch_id = probe.create(rows(1))
    probe.fault("relative_results_url", "retrieve")
    assert probe.batch(batch_id)["results_url"] == f"{BATCHES}/{batch_id}/results"


def test_list_lag_hides_new_batches(start: Start, rows: Rows) -> None:
    """A batch is in the listing only after the lag; retrieve knows it at once."""
    probe = start(stepped=True).probe
    probe.fault("list_lag", "list", seconds=60)
    batch_id = probe.create(rows(1))
    assert probe.batch(batch_id)["id"] == batch_id
    assert probe.call("GET", BATCHES).json["data"] == []
    probe.advance(61)
    assert [b["id"] for b in probe.call("GET", BATCHES).json["data"]] == [batch_id]


def test_after_lets_calls_pass(probe: Probe) -> None:
    """`after: 2` spares two calls, `times: 2` strikes two."""
    probe.fault("status", "list", status=500, after=2, times=2)
    assert [probe.call("GET", BATCHES).status for _ in range(5)] == [200, 200, 500, 500, 200]


def test_rate_strikes_a_share_of_the_calls(probe: Probe) -> None:
    """A rate strikes some calls, decided by hash."""
    probe.fault("status", "models", status=529, rate=0.5)
    seen = [probe.call("GET", "/v1/models").status for _ in range(40)]
    assert 8 <= seen.count(529) <= 32


def test_times_zero_strikes_always(probe: Probe) -> None:
    """`times: 0` never ends."""
    probe.fault("status", "list", status=500, times=0)
    assert {probe.call("GET", BATCHES).status for _ in range(5)} == {500}


def test_batch_limits_a_fault(probe: Probe, rows: Rows) -> None:
    """A fault for one batch leaves the others alone."""
    first, second = probe.create(rows(1)), probe.create(rows(1))
    probe.fault("status", "any", status=500, batch=first)
    assert probe.call("GET", f"{BATCHES}/{second}").status == 200
    assert probe.call("GET", f"{BATCHES}/{first}").status == 500


def test_faults_file_is_loaded(start: Start, tmp_path: Any) -> None:
    """A YAML file sets faults before the first call."""
    path = tmp_path / "faults.yaml"
    path.write_text("faults:\n  - {endpoint: list, kind: status, status: 529, times: 1}\n")
    probe = start(faults=path).probe
    assert [probe.call("GET", BATCHES).status for _ in range(2)] == [529, 200]


def test_admin_endpoint_shows_and_refuses(probe: Probe) -> None:
    """What is set can be read; a wrong fault is refused with everything that is wrong."""
    probe.fault("status", "list", status=500)
    probe.call("GET", BATCHES)
    shown = probe.call("GET", "/_emulator/faults").json["data"]
    assert [(f["kind"], f["seen"], f["struck"]) for f in shown] == [("status", 1, 1)]
    wrong = [{"kind": "statsu"}, {"kind": "status", "endpoint": "lost", "stauts": 500}]
    answer = probe.call("POST", "/_emulator/faults", wrong)
    assert answer.status == 400
    assert len(answer.error["message"].splitlines()) == 4
    assert len(probe.call("GET", "/_emulator/faults").json["data"]) == 1
