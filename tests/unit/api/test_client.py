"""Calls that change something: the last-byte gate, and what failures mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from batchspec.api.port import ApiFailure, CreateBody, FailureKind
from batchspec.spec.headers import Headers

if TYPE_CHECKING:
    from tests.unit.api.conftest import Connect, Script

    from batchspec.api.client import ApiClient

PLAIN = Headers(anthropic_version="2026-10-21", betas=())
BODY = b'{"requests":[' + b"x" * 3_000_000 + b"]}"


def body() -> CreateBody:
    """Return a body in three pieces."""
    step = 1_000_000
    return CreateBody(
        length=len(BODY),
        pieces=lambda: (BODY[start : start + step] for start in range(0, len(BODY), step)),
    )


def failed(call: Callable[[], Any]) -> ApiFailure:
    """Return the failure of a call."""
    with pytest.raises(ApiFailure) as caught:
        call()
    return caught.value


def test_the_gate_opens_when_one_byte_is_left(client: ApiClient, script: Script) -> None:
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
    assert seen.headers["authorization"] == f"Bearer {script.key}"
    assert seen.headers["anthropic-version"] == "2026-10-21"
    assert "anthropic-beta" not in seen.headers


def test_an_exception_at_the_gate_makes_nothing(client: ApiClient, script: Script) -> None:
    """It passes through as it is, and the server never gets a complete body."""

    def refuse() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        client.create(body(), before_last_byte=refuse, headers=PLAIN)
    assert not any(seen.complete for seen in script.seen)


def test_a_body_that_cannot_be_read_makes_nothing(client: ApiClient, script: Script) -> None:
    """What its pieces raise is told as it is, not as a broken connection."""

    def pieces() -> Iterator[bytes]:
        yield BODY[:1_000_000]
        raise OSError("a damaged segment")

    gates: list[None] = []
    broken = CreateBody(length=len(BODY), pieces=pieces)
    with pytest.raises(OSError, match="a damaged segment"):
        client.create(broken, before_last_byte=lambda: gates.append(None), headers=PLAIN)
    assert gates == []
    assert not any(seen.complete for seen in script.seen)


def test_version_and_betas_travel_in_their_headers(client: ApiClient, script: Script) -> None:
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
    client: ApiClient, script: Script, status: int, error: dict[str, Any], kind: FailureKind
) -> None:
    """Only the API's own envelope with a definite status proves that nothing was made."""
    script.status = status
    script.answer = json.dumps(
        {"type": "error", "error": {"message": f"m {script.key}", **error}}
    ).encode()
    failure = failed(lambda: client.create(body(), before_last_byte=lambda: None, headers=PLAIN))
    assert (failure.kind, failure.status) == (kind, status)
    assert len(script.seen) == 1
    assert script.key not in failure.message


@pytest.mark.parametrize("status", [400, 403, 404, 413, 429])
def test_a_proxys_refusal_proves_nothing(client: ApiClient, script: Script, status: int) -> None:
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
        "msgbatch_1\x1b[2J",
        "../msgbatch_1",
    ],
)
def test_a_2xx_that_cannot_be_read_is_ambiguous(
    client: ApiClient, script: Script, answer: bytes | str
) -> None:
    """The batch may have been made, also when what should be its id cannot be one."""
    if isinstance(answer, str):
        answer = json.dumps(script.made | {"id": answer}).encode()
    script.answer = answer
    failure = failed(lambda: client.create(body(), before_last_byte=lambda: None, headers=PLAIN))
    assert failure.kind is FailureKind.AMBIGUOUS


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("-1", 0), ("inf", None), ("nan", None), ("soon", None)]
)
def test_retry_after_is_read(
    client: ApiClient, script: Script, header: str, seconds: float | None
) -> None:
    """In seconds; what is no number of seconds is as good as none."""
    script.status, script.headers = 429, {"retry-after": header, "request-id": "req_1"}
    script.answer = b'{"type":"error","error":{"type":"rate_limit_error","message":"m"}}'
    failure = failed(lambda: client.create(body(), before_last_byte=lambda: None, headers=PLAIN))
    assert failure.retry_after == seconds


def test_no_connection_means_not_sent(connect: Connect) -> None:
    """Nobody listens: nothing was done, for sure."""
    client = connect("http://127.0.0.1:9")
    failure = failed(lambda: client.create(body(), before_last_byte=lambda: None, headers=PLAIN))
    assert failure.kind is FailureKind.NOT_SENT
    client.close()


def test_a_redirect_is_not_followed(client: ApiClient, script: Script) -> None:
    """Neither prompts nor key go where a redirect points."""
    script.status, script.headers = 307, {"location": f"{script.url}/elsewhere"}
    script.answer = b""
    failure = failed(lambda: client.create(body(), before_last_byte=lambda: None, headers=PLAIN))
    assert failure.kind is FailureKind.AMBIGUOUS
    assert [seen.path for seen in script.seen] == ["/v1/messages/batches"]


def test_tokens_are_counted_or_the_answer_is_refused(client: ApiClient, script: Script) -> None:
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
