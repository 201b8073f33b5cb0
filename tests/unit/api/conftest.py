"""A scripted server, and clients of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import pytest

from batchspec.api.client import ApiClient
from batchspec.api.transport import Connection

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
    key: str = "canary-key-of-the-client-tests"
    made: dict[str, Any] = field(default_factory=lambda: dict(MADE))


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


class Connect(Protocol):
    """Makes a client of a server."""

    def __call__(self, url: str, **further: Any) -> ApiClient:
        """Return a client; ``further`` are fields of `Connection`."""
        ...


@pytest.fixture
def connect(script: Script) -> Connect:
    """Return what makes clients that have the script's key."""

    def made(url: str, **further: Any) -> ApiClient:
        given = {"key": script.key, "workspace": None, "answer_seconds": 5, **further}
        return ApiClient(Connection(base_url=url, anthropic_version="2026-10-21", **given))

    return made


@pytest.fixture
def client(script: Script, connect: Connect) -> Iterator[ApiClient]:
    """Return a client of the scripted server."""
    made = connect(script.url)
    yield made
    made.close()
