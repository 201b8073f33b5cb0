"""A relay with a path of its own that wants a header: nothing else ever sees the keys."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

PREFIX = "/gateway/anthropic"
KEY = "canary-key-that-the-relay-knows"
TOKEN = "canary-token-of-the-relay"
UPSTREAM_KEY = "canary-key-of-the-real-account"
PASSED = ("anthropic-version", "anthropic-beta", "content-type")
SPEC = """\
version: 1
name: papers
inputs: {rows: [{id: 1, file: docs/a.pdf}, {id: 2, file: docs/b.pdf}], key: id}
model: claude-haiku-4-5
max_tokens: 40
files_api: true
prompt:
  user:
    - {document: "{{ file }}"}
    - {text: "Number {{ id }}"}
outputs: {path: out/papers.jsonl}
"""
PROJECT = """\
version: 1
name: papers
api:
  base_url: URL
  key_env: RELAY_KEY
  key_label: team-search
  headers:
    x-team: search
    x-relay-token: {env: RELAY_TOKEN}
"""


@dataclass
class Seen:
    """A request that a server got."""

    path: str
    headers: dict[str, str]


@dataclass
class Relay:
    """An ASGI app in front of the API: it holds the real key, and writes its own host into answers.

    Attributes:
        upstream: The API.
        url: Its own address, with its path.
        results_host: Which host it names in ``results_url``; None: its own.
        redirect: What paths end with that it sends elsewhere, and to which host.
    """

    upstream: str
    url: str = ""
    results_host: str | None = None
    redirect: tuple[str, str] | None = None
    seen: list[Seen] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        path = scope["path"] + (
            f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        )
        self.seen.append(Seen(path=path, headers=headers))
        status, found, content = await asyncio.to_thread(
            self._answer, scope["method"], path, headers, body
        )
        found.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": found})
        await send({"type": "http.response.body", "body": content})

    def _answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        if headers.get("x-relay-token") != TOKEN or not path.startswith(f"{PREFIX}/v1/"):
            said = f"not with {headers.get('x-relay-token')}"
            error = {"type": "error", "error": {"type": "permission_error", "message": said}}
            return 403, [(b"content-type", b"application/json")], json.dumps(error).encode()
        if self.redirect is not None and path.endswith(self.redirect[0]):
            return 307, [(b"location", f"{self.redirect[1]}{path}".encode())], b""
        kept = {name: headers[name] for name in PASSED if name in headers}
        request = urllib.request.Request(  # noqa: S310 - loopback
            self.upstream + path.removeprefix(PREFIX),
            data=body or None,
            headers={**kept, "authorization": f"Bearer {UPSTREAM_KEY}"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
                status, raw, content = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            status, raw, content = error.code, error.headers, error.read()
        named = self.results_host or self.url
        content = content.replace(self.upstream.encode(), named.encode())
        found = [
            (name.lower().encode(), value.encode())
            for name, value in raw.items()
            if name.lower() in ("content-type", "request-id", "date", "retry-after")
        ]
        return status, found, content


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an ASGI app on loopback."""
    config = uvicorn.Config(
        app, port=0, lifespan="off", log_config=None, date_header=False, server_header=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def relay(emulator: MakeEmulator) -> Iterator[Relay]:
    """Serve a relay to an emulator."""
    made = Relay(upstream=emulator().base_url)
    with serving(made) as address:
        made.url = address + PREFIX
        yield made


@pytest.fixture
def foreign() -> Iterator[Relay]:
    """Serve what must never be asked."""
    made = Relay(upstream="http://127.0.0.1:9")
    with serving(made) as address:
        made.url = address
        yield made


@pytest.fixture
def folder(project: MakeProject, relay: Relay) -> Folder:
    """Return a project that works through the relay."""
    pdf = "%PDF-1.4\n1 0 obj <</Type/Pages/Count {}>> endobj\n"
    made = project(
        {
            "batchspec.yaml": PROJECT.replace("URL", relay.url),
            "specs/papers.yaml": SPEC,
            "docs/a.pdf": pdf.format(1),
            "docs/b.pdf": pdf.format(2),
        }
    )
    made.environ.update(RELAY_KEY=KEY, RELAY_TOKEN=TOKEN)
    return made


def test_everything_goes_through_the_relay(folder: Folder, relay: Relay, foreign: Relay) -> None:
    """Batches, listing, files and results, although the answers name another host."""
    relay.results_host = foreign.url
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    assert [row["status"] for row in folder.rows("out/papers.jsonl")] == ["succeeded"] * 2
    assert foreign.seen == []
    for seen in relay.seen:
        assert seen.path.startswith(f"{PREFIX}/v1/")
        assert (seen.headers["x-team"], seen.headers["x-relay-token"]) == ("search", TOKEN)
        assert seen.headers["authorization"] == f"Bearer {KEY}"
    called = {seen.path.removeprefix(f"{PREFIX}/v1/").partition("?")[0] for seen in relay.seen}
    assert {"files", "messages/batches"} <= called
    assert any(path.endswith("/results") for path in called)
    groups = folder.batchspec("cost", "--format", "json").json()
    assert "team-search" in json.dumps(groups)
    for path in folder.root.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert TOKEN.encode() not in content, path
        assert KEY.encode() not in content, path


@pytest.mark.parametrize("call", ["/results", "/v1/files", "batches?limit=1000"])
def test_no_redirect_takes_the_keys_along(
    folder: Folder, relay: Relay, foreign: Relay, call: str
) -> None:
    """A relay, or who has taken its place, cannot send a call elsewhere."""
    relay.redirect = (call, foreign.url)
    process = folder.start("run", env={"BATCHSPEC_POLL_SECONDS": "0.02"})
    while not any(seen.path.endswith(call) for seen in relay.seen) and process.poll() is None:
        threading.Event().wait(0.02)
    relay.redirect = None
    out, err = process.communicate(timeout=120)
    assert any(seen.path.endswith(call) for seen in relay.seen), out + err
    assert foreign.seen == []


def test_what_the_relay_refuses_is_told_without_secrets(folder: Folder, relay: Relay) -> None:
    """5: a missing variable is named before any call; an answer that echoes the value is masked."""
    done = folder.batchspec("run", env={"RELAY_TOKEN": ""})
    assert done.code == 5
    assert "The header x-relay-token takes its value from the environment variable" in done.err
    assert relay.seen == []
    wrong = "canary-token-that-is-wrong"
    done = folder.batchspec("run", env={"RELAY_TOKEN": wrong})
    assert done.code == 5
    assert wrong not in done.out + done.err
    assert "not with [redacted]" in done.err


def test_emulated_work_needs_no_header(folder: Folder, relay: Relay) -> None:
    """`--emulate` speaks to nobody else."""
    del folder.environ["RELAY_TOKEN"]
    assert folder.batchspec("run", "--emulate").code == 0
    assert relay.seen == []
