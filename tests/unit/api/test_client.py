"""The client on the wire: the last-byte gate, whom the key is shown to, what failures mean."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from batchspec.api.client import Connection, SdkClient
from batchspec.api.port import (
    ApiFailure,
    Batch,
    CreateBody,
    FailureKind,
    ProcessingStatus,
    RequestCounts,
)
from batchspec.spec.headers import Headers

PLAIN = Headers(anthropic_version="2026-10-21", betas=())
KEY = "canary-key-of-the-client-tests"
BODY = b'{"requests":[' + b"x" * 3_000_000 + b"]}"
NOW = "2026-11-23T12:00:00.000000Z"
MADE = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "in_progress",
    "request_counts": {"processing": 3, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
    "created_at": NOW,
    "expires_at": NOW,
    "ended_at": None,
    "archived_at": None,
    "cancel_initiated_at": None,
    "results_url": None,
}


@dataclass(slots=True)
class Seen:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    complete: bool


@dataclass(slots=True)
class Script:
    """What the server answers, and what it saw."""

    status: int = 200
    answer: bytes = json.dumps(MADE).encode()
    headers: dict[str, str] = field(default_factory=lambda: {"request-id": "req_1"})
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    forbidden: str = ""
    """A path that is answered with 403."""


@pytest.fixture
def script() -> Iterator[Script]:
    """Serve a script on loopback."""
    played = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

        def answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            complete = len(body) == length
            headers = {name.lower(): value for name, value in self.headers.items()}
            played.seen.append(Seen(self.command, self.path, headers, body, complete))
            if not complete:
                self.close_connection = True
                return
            self.send_response(403 if self.path == played.forbidden else played.status)
            for name, value in {
                **played.headers,
                "content-length": str(len(played.answer)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(played.answer)

        do_GET = do_POST = answer  # noqa: N815 - the names the library calls

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    played.url = f"http://127.0.0.1:{server.server_port}"
    yield played
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(script: Script) -> Iterator[SdkClient]:
    """Return a client of the scripted server."""
    made = connect(script.url)
    yield made
    made.close()


def connect(url: str, workspace: str | None = None) -> SdkClient:
    """Return a client of a server."""
    return SdkClient(
        Connection(
            base_url=url,
            key=KEY,
            anthropic_version="2026-10-21",
            workspace=workspace,
            answer_seconds=5,
        )
    )


def body() -> CreateBody:
    """Return a body in three pieces."""
    step = 1_000_000
    return CreateBody(
        length=len(BODY),
        pieces=lambda: (BODY[start : start + step] for start in range(0, len(BODY), step)),
    )


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


def test_the_gate_opens_when_one_byte_is_left(client: SdkClient, script: Script) -> None:
    """The server has no complete request before the callback returns, and the whole one after."""
    at_gate: list[int] = []
    made = client.create(
        body(), before_last_byte=lambda: at_gate.append(len(script.seen)), headers=PLAIN
    )
    assert at_gate == [0]
    assert made.id == "msgbatch_1"
    assert made.counts.total == 3
    (seen,) = script.seen
    assert seen.body == BODY
    assert seen.headers["content-length"] == str(len(BODY))
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["anthropic-version"] == "2026-10-21"
    assert "anthropic-beta" not in seen.headers


def test_an_exception_at_the_gate_makes_nothing(client: SdkClient, script: Script) -> None:
    """It passes through as it is, and the server never gets a complete body."""

    def refuse() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        client.create(body(), before_last_byte=refuse, headers=PLAIN)
    assert not any(seen.complete for seen in script.seen)


def test_version_and_betas_travel_in_their_headers(client: SdkClient, script: Script) -> None:
    """They are per batch, never per request (fact sheet §1.2)."""
    headers = Headers(anthropic_version="2023-06-01", betas=("one", "two"))
    client.create(body(), before_last_byte=lambda: None, headers=headers)
    assert script.seen[0].headers["anthropic-beta"] == "one,two"
    assert script.seen[0].headers["anthropic-version"] == "2023-06-01"


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"type": "invalid_request_error"}, FailureKind.REJECTED),
        (401, {"type": "authentication_error"}, FailureKind.AUTH),
        (402, {"type": "billing_error"}, FailureKind.SPEND_LIMIT),
        (403, {"type": "permission_error"}, FailureKind.AUTH),
        (404, {"type": "not_found_error"}, FailureKind.REJECTED),
        (413, {"type": "request_too_large"}, FailureKind.TOO_LARGE),
        (429, {"type": "rate_limit_error"}, FailureKind.RATE_LIMITED),
        (
            429,
            {
                "type": "rate_limit_error",
                "details": {"error_code": "enforced_spend_limit_reached"},
            },
            FailureKind.SPEND_LIMIT,
        ),
        (408, {"type": "timeout_error"}, FailureKind.AMBIGUOUS),
        (409, {"type": "conflict_error"}, FailureKind.AMBIGUOUS),
        (500, {"type": "api_error"}, FailureKind.AMBIGUOUS),
        (503, {"type": "api_error"}, FailureKind.AMBIGUOUS),
        (529, {"type": "overloaded_error"}, FailureKind.AMBIGUOUS),
    ],
)
def test_what_a_refused_create_means(
    client: SdkClient, script: Script, status: int, error: dict[str, Any], kind: FailureKind
) -> None:
    """Only the API's own envelope with a definite status proves that nothing was made."""
    script.status = status
    script.answer = json.dumps(
        {"type": "error", "error": {"message": f"m {KEY}", **error}}
    ).encode()
    failure = failed(lambda: client.create(body(), before_last_byte=lambda: None, headers=PLAIN))
    assert (failure.kind, failure.status) == (kind, status)
    assert len(script.seen) == 1
    assert KEY not in failure.message


@pytest.mark.parametrize("status", [400, 403, 404, 413, 429])
def test_a_proxys_refusal_proves_nothing(client: SdkClient, script: Script, status: int) -> None:
    """Without the envelope or a request id the outcome stays open."""
    script.status, script.answer, script.headers = status, b"<html>no</html>", {}
    failure = failed(lambda: client.create(body(), before_last_byte=lambda: None, headers=PLAIN))
    assert failure.kind is FailureKind.AMBIGUOUS


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b'{"id": "msgbatch_1"',
        b"[]",
        b'{"id": "x"}',
        json.dumps(MADE | {"id": "msgbatch_1\x1b[2J"}).encode(),
        json.dumps(MADE | {"id": "../msgbatch_1"}).encode(),
    ],
)
def test_a_2xx_that_cannot_be_read_is_ambiguous(
    client: SdkClient, script: Script, answer: bytes
) -> None:
    """The batch may have been made."""
    script.answer = answer
    failure = failed(lambda: client.create(body(), before_last_byte=lambda: None, headers=PLAIN))
    assert failure.kind is FailureKind.AMBIGUOUS


def test_retry_after_is_read(client: SdkClient, script: Script) -> None:
    """In seconds."""
    script.status, script.headers = 429, {"retry-after": "7", "request-id": "req_1"}
    script.answer = b'{"type":"error","error":{"type":"rate_limit_error","message":"m"}}'
    failure = failed(lambda: client.create(body(), before_last_byte=lambda: None, headers=PLAIN))
    assert failure.retry_after == 7


def test_no_connection_means_not_sent() -> None:
    """Nobody listens: nothing was done, for sure."""
    client = connect("http://127.0.0.1:9")
    failure = failed(lambda: client.create(body(), before_last_byte=lambda: None, headers=PLAIN))
    assert failure.kind is FailureKind.NOT_SENT
    client.close()


def test_a_redirect_is_not_followed(client: SdkClient, script: Script) -> None:
    """Neither prompts nor key go where a redirect points."""
    script.status, script.headers = 307, {"location": f"{script.url}/elsewhere"}
    script.answer = b""
    failure = failed(lambda: client.create(body(), before_last_byte=lambda: None, headers=PLAIN))
    assert failure.kind is FailureKind.AMBIGUOUS
    assert [seen.path for seen in script.seen] == ["/v1/messages/batches"]


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
    client: SdkClient, script: Script, results_url: str | None, path: str
) -> None:
    """Whatever host `results_url` names, the key goes to the one that was configured."""
    script.answer = b'{"a":1}\n'
    with client.results(batch(results_url)) as stream:
        assert stream.framed
        assert b"".join(stream.pieces) == b'{"a":1}\n'
    (seen,) = script.seen
    wanted = "/v1/messages/batches/msgbatch_1/results" if path == "same" else path
    assert seen.path == wanted
    assert seen.headers["authorization"] == f"Bearer {KEY}"


def test_results_are_read_where_they_were_when_the_named_path_is_refused(
    client: SdkClient, script: Script
) -> None:
    """A signed address of another host means nothing on the configured one."""
    script.answer, script.forbidden = b'{"a":1}\n', "/signed?x=1"
    with client.results(batch("https://storage.example/signed?x=1")) as stream:
        assert b"".join(stream.pieces) == b'{"a":1}\n'
    assert script.seen[-1].path == "/v1/messages/batches/msgbatch_1/results"


def test_a_path_prefix_of_a_relay_is_kept(script: Script) -> None:
    """Behind a relay below a path, results are read below that path."""
    client = connect(f"{script.url}/relay", workspace="wrkspc_1")
    script.answer = b""
    for url in (f"{script.url}/relay/v1/x/results", "https://api.anthropic.com/v1/x/results"):
        with client.results(batch(url)) as stream:
            assert list(stream.pieces) == []
    assert [seen.path for seen in script.seen] == ["/relay/v1/x/results"] * 2
    assert script.seen[0].headers["anthropic-workspace-id"] == "wrkspc_1"
    client.close()


def test_results_that_are_gone_are_not_found(client: SdkClient, script: Script) -> None:
    """404 on results is its own kind."""
    script.status = 404
    script.answer = b'{"type":"error","error":{"type":"not_found_error","message":"m"}}'

    def read() -> None:
        with client.results(batch(None)):
            pass

    assert failed(read).kind is FailureKind.NOT_FOUND


def test_a_page_tells_time_and_kind(client: SdkClient, script: Script) -> None:
    """The Date header is the server's clock; an emulator says that it is one."""
    script.answer = json.dumps(
        {"data": [MADE], "has_more": True, "first_id": "x", "last_id": "x"}
    ).encode()
    script.headers = {"x-batchspec-emulator": "1", "anthropic-workspace-id": "wrkspc_9"}
    page = client.page(after_id="msgbatch_0")
    assert page.emulated
    assert page.has_more
    assert page.workspace == "wrkspc_9"
    assert page.server_time is not None
    assert [b.id for b in page.batches] == ["msgbatch_1"]
    assert "after_id=msgbatch_0" in script.seen[0].path


def test_a_key_that_is_no_header_value_is_not_told(script: Script) -> None:
    """The transport quotes the header it refuses; the failure does not."""
    client = SdkClient(
        Connection(
            base_url=script.url,
            key=f"{KEY}\nsecond line",
            anthropic_version="2026-10-21",
            workspace=None,
        )
    )
    assert KEY not in failed(client.page).message
    client.close()


def test_tokens_are_counted_or_the_answer_is_refused(client: SdkClient, script: Script) -> None:
    """The body goes out as it is, with betas; an answer without a number is no number."""
    script.answer = b'{"input_tokens": 12}'
    assert (
        client.count_tokens(
            b'{"model":"m"}', headers=Headers(anthropic_version="2023-06-01", betas=("b1", "b2"))
        )
        == 12
    )
    (seen,) = script.seen
    assert (seen.path, seen.body) == ("/v1/messages/count_tokens", b'{"model":"m"}')
    assert seen.headers["anthropic-beta"] == "b1,b2"
    for wrong in (b"[]", b'{"input_tokens": "12"}', b'{"input_tokens": -1}', b"{}"):
        script.answer = wrong
        assert (
            failed(lambda: client.count_tokens(b"{}", headers=PLAIN)).kind is FailureKind.AMBIGUOUS
        )
