"""A relay that changes what the API says must not make a run pay twice, nor lose an answer."""

from __future__ import annotations

import json
import shutil
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

YEARS = 3 * 365 * 86400
SPEC = """\
version: 1
name: job
inputs: {rows: [{id: 1, word: one}, {id: 2, word: two}], key: id}
model: claude-haiku-4-5
max_tokens: 16
prompt: {user: "Say {{ word }}"}
outputs: {path: out/job.jsonl}
"""


@dataclass(slots=True)
class Answer:
    """What the relay is about to pass on."""

    call: str
    """``create``, ``results`` or ``read``."""
    body: bytes
    date: float
    status: int = 200
    lost: bool = False
    """Nothing is passed on; the connection is closed."""

    def edit_batches(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """Edit every batch object in the body."""
        if self.call == "results":
            return
        raw = json.loads(self.body)
        for batch in raw.get("data", [raw]):
            edit(batch)
        self.body = json.dumps(raw).encode()


@dataclass(slots=True)
class Relay:
    """A server between the program and the emulator."""

    upstream: str
    change: Callable[[Answer], None] = lambda _answer: None
    created: int = 0
    """Batches made, so far."""
    url: str = ""
    seen: list[str] = field(default_factory=list)

    def pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        """Ask the emulator, change its answer, and pass it on."""
        length = int(handler.headers.get("content-length", 0))
        kept = ("authorization", "anthropic-version", "content-type")
        headers = {name: handler.headers[name] for name in kept if handler.headers[name]}
        body = handler.rfile.read(length) if length else None
        asked = urllib.request.Request(  # noqa: S310 - loopback
            self.upstream + handler.path, data=body, headers=headers, method=handler.command
        )
        with urllib.request.urlopen(asked) as response:  # noqa: S310 - loopback
            answer = Answer(call=_call(handler), body=response.read(), date=time.time())
        self.seen.append(answer.call)
        self.created += answer.call == "create"
        self.change(answer)
        if answer.lost:
            handler.close_connection = True
            return
        handler.send_response_only(answer.status)
        handler.send_header("date", formatdate(answer.date, usegmt=True))
        handler.send_header("request-id", "req_relay")
        handler.send_header("content-length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)


def _call(handler: BaseHTTPRequestHandler) -> str:
    if handler.command == "POST":
        return "create"
    return "results" if handler.path.endswith("/results") else "read"


@pytest.fixture
def relay(emulator: MakeEmulator) -> Iterator[Relay]:
    """Serve a relay to an emulator whose batches end after a second."""
    made = Relay(upstream=emulator(delay_seconds=1.0).base_url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

        def answer(self) -> None:
            made.pass_on(self)

        do_GET = do_POST = answer  # noqa: N815 - the names the library calls

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def behind(project: MakeProject, relay: Relay) -> Folder:
    """Make a project of two items behind the relay."""
    folder = project({"batchspec.yaml": "version: 1\nname: p\n", "specs/job.yaml": SPEC})
    folder.environ.update(ANTHROPIC_BASE_URL=relay.url, ANTHROPIC_API_KEY="canary-key")
    return folder


def _lose_create(answer: Answer) -> None:
    answer.lost = answer.call == "create"


def test_a_lost_create_is_found_by_a_listing_without_counts(behind: Folder, relay: Relay) -> None:
    """A batch in progress whose number of requests is not told may be the one in doubt."""

    def hide(batch: dict[str, Any]) -> None:
        if batch["processing_status"] != "ended":
            batch["request_counts"] = dict.fromkeys(batch["request_counts"], 0)

    def change(answer: Answer) -> None:
        answer.edit_batches(hide)
        _lose_create(answer)

    relay.change = change
    finished = behind.batchspec("run")
    assert finished.code == 0, finished.err
    assert relay.created == 1
    assert len(behind.rows("out/job.jsonl")) == 2


def test_results_without_any_line_are_not_asked_again(behind: Folder, relay: Relay) -> None:
    """A page in the place of results proves no line missing: the answers are there when it ends."""

    def change(answer: Answer) -> None:
        if answer.call == "results" and relay.seen.count("results") <= 6:
            answer.body = b"<html>maintenance</html>"

    relay.change = change
    finished = behind.batchspec("run")
    assert finished.code == 0, finished.err
    assert relay.created == 1
    assert len(behind.rows("out/job.jsonl")) == 2
    assert "no line of the batch is in them" in finished.err


def test_a_lost_state_takes_in_what_an_odd_listing_shows(behind: Folder, relay: Relay) -> None:
    """A Date header years ahead hides no batch, and answers are whole where counts are absent."""

    def change(answer: Answer) -> None:
        answer.date += YEARS
        answer.edit_batches(lambda batch: batch.pop("request_counts"))

    relay.change = change
    assert behind.batchspec("run").code == 0
    shutil.rmtree(behind.root / ".batchspec")
    finished = behind.batchspec("run")
    assert finished.code == 0, finished.err
    assert relay.created == 1
    assert "0 requests submitted" in finished.out


@pytest.mark.parametrize(("status", "runs"), [(429, 1), (404, 2)])
def test_a_refusal_of_what_was_made_is_not_believed_for_long(
    behind: Folder, relay: Relay, status: int, runs: int
) -> None:
    """A batch that was made although its create was refused is found before it is asked again."""
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "later"}}

    def change(answer: Answer) -> None:
        if answer.call == "create":
            answer.status, answer.body = status, json.dumps(error).encode()

    relay.change = change
    codes = [behind.batchspec("run").code for _ in range(runs)]
    assert codes == [5] * (runs - 1) + [0]
    assert relay.created == 1
    assert len(behind.rows("out/job.jsonl")) == 2
