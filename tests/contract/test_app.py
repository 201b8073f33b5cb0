"""The ASGI app alone, under a server that is not this package's."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from batchspec.emulator.server import EmulatorSettings, create_app

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.applications import Starlette

HEADERS = [(b"x-api-key", b"k"), (b"anthropic-version", b"2026-10-21"), (b"host", b"testhost")]


async def call(app: Starlette, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """Send one request to the app and return status and body."""
    sent: list[Any] = []
    received: list[bool] = []
    data = b"" if body is None else json.dumps(body).encode()

    async def receive() -> Any:
        if received:
            await asyncio.Event().wait()  # the client stays connected
        received.append(True)
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": HEADERS,
        "scheme": "https",
        "server": ("testhost", 443),
        "client": ("client", 1),
        "http_version": "1.1",
        "root_path": "",
        "asgi": {"version": "3.0"},
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_app_serves_under_any_server(tmp_path: Path, rows: Any) -> None:
    """Batches work; results_url names the host and scheme of the request."""

    async def run() -> None:
        app = create_app(EmulatorSettings(data_dir=tmp_path))
        batches = "/v1/messages/batches"
        status, body = await call(app, "POST", batches, {"requests": rows(2)})
        assert status == 200
        batch_id = json.loads(body)["id"]
        _, body = await call(app, "GET", f"{batches}/{batch_id}")
        url = json.loads(body)["results_url"]
        assert url == f"https://testhost{batches}/{batch_id}/results"
        _, body = await call(app, "GET", f"{batches}/{batch_id}/results")
        assert body.count(b"\n") == 2
        await app.state.emulator.close()

    asyncio.run(run())


def test_close_drops_what_was_to_happen_later(tmp_path: Path, rows: Any) -> None:
    """A slow commit that is still waiting when the emulator closes never happens."""

    async def run() -> None:
        app = create_app(EmulatorSettings(data_dir=tmp_path))
        fault = {"endpoint": "create", "kind": "slow_commit", "seconds": 30}
        assert (await call(app, "POST", "/_emulator/faults", fault))[0] == 200
        created = await call(app, "POST", "/v1/messages/batches", {"requests": rows(1)})
        assert created[0] == 504
        await app.state.emulator.close()
        again = create_app(EmulatorSettings(data_dir=tmp_path))
        assert (await call(again, "GET", "/_emulator/paid"))[1] == b""
        await again.state.emulator.close()

    asyncio.run(run())
