"""Calls: whom the key is shown to, what is read, and what is sent."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from batchspec.api.models import LIFECYCLES
from batchspec.api.port import ApiFailure, Batch, FailureKind, ProcessingStatus, RequestCounts
from batchspec.api.transport import CUSTOM_HEADERS, custom_headers

if TYPE_CHECKING:
    from tests.unit.api.conftest import Connect, Script

    from batchspec.api.client import ApiClient


FILE = json.dumps(
    {
        "id": "file_1",
        "type": "file",
        "filename": "a.txt",
        "mime_type": "text/plain",
        "size_bytes": 1,
        "created_at": "2026-11-23T12:00:00Z",
    }
).encode()


def batch(results_url: str | None) -> Batch:
    """Return an ended batch."""
    now = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    return Batch(
        id="msgbatch_1",
        status=ProcessingStatus.ENDED,
        counts=RequestCounts(processing=0, succeeded=1, errored=0, canceled=0, expired=0),
        created_at=now,
        expires_at=now,
        ended_at=now,
        archived_at=None,
        results_url=results_url,
    )


def failed(call: Callable[[], Any]) -> ApiFailure:
    """Return the failure of a call."""
    with pytest.raises(ApiFailure) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    ("results_url", "path"),
    [
        ("https://api.anthropic.com/v1/messages/batches/msgbatch_1/results", "same"),
        ("https://evil.example/v1/messages/batches/msgbatch_1/results", "same"),
        ("/v1/messages/batches/msgbatch_1/results", "same"),
        ("https://api.anthropic.com/v2/results/msgbatch_1?part=1", "/v2/results/msgbatch_1?part=1"),
        (None, "same"),
        ("/" + "x" * 70_000, "same"),
    ],
    ids=["official", "foreign", "relative", "moved", "absent", "endless"],
)
def test_results_come_from_the_configured_host(
    client: ApiClient, script: Script, results_url: str | None, path: str
) -> None:
    """Whatever host `results_url` names, the key goes to the one that was configured."""
    script.answer = b'{"a":1}\n'
    with client.results(batch(results_url)) as stream:
        assert stream.framed
        assert b"".join(stream.pieces) == b'{"a":1}\n'
    (seen,) = script.seen
    wanted = "/v1/messages/batches/msgbatch_1/results" if path == "same" else path
    assert seen.path == wanted
    assert seen.headers["authorization"] == f"Bearer {script.key}"


def test_results_are_read_where_they_were_when_the_named_path_is_refused(
    client: ApiClient, script: Script
) -> None:
    """A signed address of another host means nothing on the configured one."""
    script.answer, script.forbidden = b'{"a":1}\n', "/signed?x=1"
    with client.results(batch("https://storage.example/signed?x=1")) as stream:
        assert b"".join(stream.pieces) == b'{"a":1}\n'
    assert script.seen[-1].path == "/v1/messages/batches/msgbatch_1/results"


def test_a_path_prefix_of_a_relay_is_kept(script: Script, connect: Connect) -> None:
    """Behind a relay below a path, results are read below that path."""
    client = connect(f"{script.url}/relay", workspace="wrkspc_1")
    script.answer = b""
    for url in (f"{script.url}/relay/v1/x/results", "https://api.anthropic.com/v1/x/results"):
        with client.results(batch(url)) as stream:
            assert list(stream.pieces) == []
    assert [seen.path for seen in script.seen] == ["/relay/v1/x/results"] * 2
    assert script.seen[0].headers["anthropic-workspace-id"] == "wrkspc_1"
    client.close()


def test_results_that_are_gone_are_not_found(client: ApiClient, script: Script) -> None:
    """404 on results is its own kind."""
    script.status = 404
    script.answer = b'{"type":"error","error":{"type":"not_found_error","message":"m"}}'

    def read() -> None:
        with client.results(batch(None)):
            pass

    assert failed(read).kind is FailureKind.NOT_FOUND


def test_a_page_tells_time_and_kind(client: ApiClient, script: Script) -> None:
    """The Date header is the server's clock; an emulator says that it is one."""
    script.answer = json.dumps(
        {"data": [script.made], "has_more": True, "first_id": "x", "last_id": "x"}
    ).encode()
    script.headers = {"x-batchspec-emulator": "1", "anthropic-workspace-id": "wrkspc_9"}
    page = client.page(after_id="msgbatch_0")
    assert page.emulated
    assert page.has_more
    assert page.workspace == "wrkspc_9"
    assert page.server_time is not None
    assert [b.id for b in page.batches] == ["msgbatch_1"]
    assert "after_id=msgbatch_0" in script.seen[0].path


def test_a_key_that_is_no_header_value_is_not_told(script: Script, connect: Connect) -> None:
    """The transport quotes the header it refuses; the failure does not."""
    client = connect(script.url, key=f"{script.key}\nsecond line")
    assert script.key not in failed(client.page).message
    client.close()


def test_calls_carry_the_headers_of_the_sdk(
    script: Script, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls without the SDK carry its headers, but for those that speak of the SDK itself."""
    monkeypatch.setenv(CUSTOM_HEADERS, "x-relay: all, of it\n X-Cost-Center : 7 \nno header")
    client = connect(
        f"{script.url}/relay/",
        workspace="wrkspc_1",
        headers=custom_headers(os.environ) | {"x-own": "1"},
    )
    client.retrieve("msgbatch_1")
    client.cancel("msgbatch_1")
    script.answer = FILE
    client.upload("a.txt", "text/plain", b"a", seconds=3600)
    client.close()
    read, changed, by_sdk = (
        {
            name: value
            for name, value in seen.headers.items()
            if not name.startswith(("x-stainless-", "content-", "user-agent"))
        }
        for seen in script.seen
    )
    assert read == changed == by_sdk
    assert (read["x-relay"], read["x-cost-center"], read["x-own"]) == ("all, of it", "7", "1")
    assert [seen.path for seen in script.seen] == [
        "/relay/v1/messages/batches/msgbatch_1",
        "/relay/v1/messages/batches/msgbatch_1/cancel",
        "/relay/v1/files",
    ]


def test_lists_are_asked_for_as_the_api_reads_them(client: ApiClient, script: Script) -> None:
    """One ``name[]`` for each value (fact sheet §8)."""
    script.answer = json.dumps({"data": [], "has_more": False}).encode()
    client.models()
    client.files(["file_1", "file_2"])
    models, files = (parse_qs(urlsplit(seen.path).query) for seen in script.seen)
    assert models == {"limit": ["1000"], "lifecycle[]": list(LIFECYCLES)}
    assert files == {"ids[]": ["file_1", "file_2"]}
