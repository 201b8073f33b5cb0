"""Keys, versions, headers and routes: what every call has in common (fact sheet §1.2, §1.3)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from batchspec.emulator.probe import BATCHES

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchspec.emulator.probe import Probe
    from batchspec.emulator.server import RunningEmulator

    Rows = Callable[[int], list[dict[str, Any]]]
    Start = Callable[..., RunningEmulator]

VERSION = {"anthropic-version": "2026-10-21"}


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "k", **VERSION},
        {"authorization": "Bearer k", **VERSION},
        {"x-api-key": "k", "authorization": "Bearer other", **VERSION},
        {"x-api-key": "k", "anthropic-version": "2023-06-01"},
        {"x-api-key": "k", "anthropic-beta": "never-heard-of-2031-01-01", **VERSION},
    ],
)
def test_both_generations_of_headers_are_taken(probe: Probe, headers: dict[str, str]) -> None:
    """Either key header, either version, and any beta value."""
    assert probe.call("GET", BATCHES, headers=headers).status == 200


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        (VERSION, 401, "authentication_error"),
        ({"x-api-key": "", **VERSION}, 401, "authentication_error"),
        ({"authorization": "Basic k", **VERSION}, 401, "authentication_error"),
        ({"x-api-key": "k"}, 400, "invalid_request_error"),
        ({"x-api-key": "k", "anthropic-version": "2020-01-01"}, 400, "invalid_request_error"),
    ],
)
def test_calls_without_their_headers_are_refused(
    probe: Probe, headers: dict[str, str], status: int, kind: str
) -> None:
    """No key, no version, a wrong version."""
    answer = probe.call("GET", BATCHES, headers=headers)
    assert (answer.status, answer.error["type"]) == (status, kind)


def test_every_answer_has_its_headers(probe: Probe) -> None:
    """request-id, organisation, workspace, Date and the emulator's mark; ids do not repeat."""
    answers = [probe.call("GET", path) for path in (BATCHES, "/v1/models", "/v1/unknown")]
    ids = {answer.headers["request-id"] for answer in answers}
    assert len(ids) == 3
    assert all(name.startswith("req_01") for name in ids)
    for answer in answers:
        assert answer.headers["x-batchspec-emulator"] == "1"
        assert len(answer.headers["anthropic-organization-id"]) == 36
        assert parsedate_to_datetime(answer.headers["date"]).year >= 2026
    assert answers[0].headers["anthropic-workspace-id"].startswith("wrkspc_01")
    assert answers[2].json["request_id"] == answers[2].headers["request-id"]


def test_a_bound_key_may_name_its_own_workspace_only(start: Start) -> None:
    """A workspace header that matches is taken, another is a 403."""
    probe = start(keys={"k": "team"}).probe
    headers = {"x-api-key": "k", **VERSION}
    own = probe.call("GET", BATCHES, headers=headers).headers["anthropic-workspace-id"]
    named = {**headers, "anthropic-workspace-id": own}
    assert probe.call("GET", BATCHES, headers=named).status == 200
    other = {**headers, "anthropic-workspace-id": "wrkspc_other"}
    answer = probe.call("GET", BATCHES, headers=other)
    assert (answer.status, answer.error["type"]) == (403, "permission_error")


def test_an_open_emulator_has_the_workspace_that_is_named(probe: Probe, rows: Rows) -> None:
    """Any key can act on all workspaces; the header selects one."""
    batch_id = probe.create(rows(1))
    other = {**probe.headers, "anthropic-workspace-id": "wrkspc_other"}
    answer = probe.call("GET", BATCHES, headers=other)
    assert (answer.json["data"], answer.headers["anthropic-workspace-id"]) == ([], "wrkspc_other")
    assert probe.call("GET", f"{BATCHES}/{batch_id}", headers=other).status == 404


def test_unknown_routes_answer_loudly(probe: Probe) -> None:
    """A path nobody serves is a 404 that names it; a wrong method is a 405."""
    answer = probe.call("POST", "/v1/messages", {})
    assert (answer.status, answer.error["type"]) == (404, "not_found_error")
    assert "POST /v1/messages" in answer.error["message"]
    assert probe.call("PUT", BATCHES, {}).status == 405


def test_path_prefix_and_beta_query_are_ignored(probe: Probe, rows: Rows) -> None:
    """A relay's prefix works, stays in results_url, and `?beta=true` changes nothing."""
    made = probe.call("POST", f"/relay/a{BATCHES}?beta=true", {"requests": rows(1)})
    batch = probe.call("GET", f"/relay/a{BATCHES}/{made.json['id']}?beta=true").json
    assert batch["results_url"] == f"{probe.base_url}/relay/a{BATCHES}/{batch['id']}/results"
    path = batch["results_url"].removeprefix(probe.base_url)
    assert probe.call("GET", path).body.count(b"\n") == 1


def test_workspaces_do_not_see_each_other(start: Start, rows: Rows) -> None:
    """Keys of one workspace share batches; another workspace gets 404 and an empty list."""
    probe = start(keys={"one": "a", "two": "a", "three": "b"}).probe
    one, two, three = ({"x-api-key": key, **VERSION} for key in ("one", "two", "three"))
    made = probe.call("POST", BATCHES, {"requests": rows(1)}, headers=one).json
    path = f"{BATCHES}/{made['id']}"
    assert probe.call("GET", path, headers=two).status == 200
    assert probe.call("GET", path, headers=three).status == 404
    assert probe.call("GET", BATCHES, headers=three).json["data"] == []
    assert probe.call("GET", BATCHES).status == 401


def test_two_emulators_give_different_ids(start: Start, rows: Rows) -> None:
    """Ids of one emulator are unknown to another, as those of two workspaces are."""
    first, second = start().probe, start().probe
    assert first.create(rows(1)) != second.create(rows(1))


def test_the_date_can_stand_still(start: Start) -> None:
    """The fault sends one Date header, whatever the time is; other answers keep theirs."""
    probe = start(stepped=True).probe
    probe.fault("frozen_date", "list")
    dates = []
    for _ in range(2):
        dates.append(probe.call("GET", BATCHES).headers["date"])
        probe.advance(3600)
    assert dates[0] == dates[1] != probe.call("GET", "/v1/models").headers["date"]
    probe.clear_faults()
    probe.fault("frozen_date", "list", date="Mon, 23 Nov 2026 00:00:00 GMT")
    assert probe.call("GET", BATCHES).headers["date"] == "Mon, 23 Nov 2026 00:00:00 GMT"


@pytest.mark.parametrize(("charset", "status"), [("utf-8", 200), ("latin-1", 400)])
def test_json_is_utf_8(probe: Probe, rows: Rows, charset: str, status: int) -> None:
    """Another charset is refused with its code."""
    headers = {**probe.headers, "content-type": f"application/json; charset={charset}"}
    answer = probe.call("POST", BATCHES, {"requests": rows(1)}, headers=headers)
    assert answer.status == status
    if status != 200:
        assert answer.error["details"] == {"error_code": "unsupported_charset"}
