"""Runs an emulator: as an ASGI app, in a thread of this process, or in the foreground.

.. code-block:: python

    with start_emulator(EmulatorSettings(data_dir=folder)) as emulator:
        client = Anthropic(api_key="any", base_url=emulator.base_url)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING, Self

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from batchspec.emulator.admin import ADMIN_ROUTES
from batchspec.emulator.core import Emulator
from batchspec.emulator.endpoints import ROUTES
from batchspec.emulator.errors import ApiError, error_response
from batchspec.emulator.gate import Identity, standing_headers
from batchspec.emulator.page import PAGE_ROUTES
from batchspec.emulator.probe import Probe
from batchspec.emulator.settings import EmulatorSettings
from batchspec.emulator.wire import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["EmulatorSettings", "RunningEmulator", "create_app", "serve", "start_emulator"]

_START_SECONDS = 30.0
_STOP_SECONDS = 2.0
_TICK_SECONDS = 0.1
_CLOSING_TICK_SECONDS = 0.002


def create_app(settings: EmulatorSettings) -> Starlette:
    """Return the ASGI app of an emulator.

    Faults that cut connections work only under :func:`start_emulator` and :func:`serve`.

    Raises:
        AnswersError: when the answers file is wrong.
        FaultsError: when the faults file is wrong.
        RecordingError: when a recording is wrong.
    """
    emulator = Emulator(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await emulator.close()

    app = Starlette(
        routes=[*ROUTES, *ADMIN_ROUTES, *PAGE_ROUTES],
        middleware=[Middleware(Identity, emulator=emulator)],
        exception_handlers={HTTPException: _no_route, Exception: _bug},
        lifespan=lifespan,
    )
    app.state.emulator = emulator
    return app


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    what = f"{request.method} {request.url.path}"
    message = f"The emulator does not serve {what}."
    return error_response(ApiError(status, message), request.scope["state"]["request_id"])


async def _bug(request: Request, error: Exception) -> Response:
    message = f"The emulator failed: {type(error).__name__}: {error}"
    response = error_response(ApiError(500, message), request.scope["state"]["request_id"])
    # The last line of defence stands outside of the middleware that adds these.
    response.raw_headers.extend(standing_headers(request.scope["state"]))
    return response


class _Server(uvicorn.Server):
    """A uvicorn server that says when it is ready, and stops without waiting for ticks."""

    def __init__(self, app: Starlette, on_start: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=60,
            )
        )
        self._app = app
        self._on_start = on_start
        self._stop = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    async def main_loop(self) -> None:
        counter = 0
        while not self._stop.is_set() and not await self.on_tick(counter):
            counter += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for sock in sockets or []:
            sock.close()
        self._app.state.emulator.stopping.set()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _STOP_SECONDS
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections and loop.time() < deadline:  # noqa: ASYNC110  (uvicorn has no event)
            await asyncio.sleep(_CLOSING_TICK_SECONDS)
        for task in list(self.server_state.tasks):
            task.cancel()
        await self.lifespan.shutdown()

    def stop(self) -> None:
        """Make the server end; called in its own loop."""
        self._stop.set()


class RunningEmulator:
    """An emulator that runs in a thread of this process; a context manager.

    Args:
        settings: what it was started with.
        host: address it listens on.
        port: port it listens on; 0 takes a free one.
    """

    def __init__(self, settings: EmulatorSettings, host: str, port: int) -> None:
        self.settings = settings
        app = create_app(settings)
        self._socket = _listening(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.base_url = f"http://{host}:{self.port}"
        """What a client takes as its base URL."""
        self.probe = Probe(self.base_url)
        """Plain HTTP to it: what was paid, faults, the clock."""
        self._ready = threading.Event()
        self._server: _Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(
            target=self._run, args=(app,), name="batchspec-emulator", daemon=True
        )
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise RuntimeError(f"The emulator did not start within {_START_SECONDS:g} seconds.")

    def close(self) -> None:
        """Stop it and wait until its thread has ended. A second call does nothing."""
        if self._thread.is_alive() and self._loop is not None and self._server is not None:
            self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, app: Starlette) -> None:
        asyncio.run(self._serve(app))

    async def _serve(self, app: Starlette) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = _Server(app, self._ready.set)
        await self._server.serve(sockets=[self._socket])


def start_emulator(
    settings: EmulatorSettings, host: str = "127.0.0.1", port: int = 0
) -> RunningEmulator:
    """Start an emulator in a thread of this process; it is ready when this returns.

    Raises:
        AnswersError: when the answers file is wrong.
        FaultsError: when the faults file is wrong.
        RecordingError: when a recording is wrong.
        OSError: when the port is taken.
    """
    return RunningEmulator(settings, host, port)


def serve(
    settings: EmulatorSettings, host: str, port: int, announce: Callable[[str], None]
) -> None:
    """Run an emulator in the foreground until SIGINT or SIGTERM.

    Args:
        settings: what it is started with.
        host: address it listens on.
        port: port it listens on; 0 takes a free one.
        announce: called with the base URL as soon as it is ready.
    """
    # A client that leaves amid its answer is no news: the next write says so once per piece.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    app = create_app(settings)
    sock = _listening(host, port)
    base_url = f"http://{host}:{sock.getsockname()[1]}"

    async def run() -> None:
        await _Server(app, lambda: announce(base_url)).serve(sockets=[sock])

    asyncio.run(run())


def _listening(host: str, port: int) -> socket.socket:
    sock = socket.create_server((host, port), backlog=512)
    # Connections inherit it. asyncio would set it on sockets that name their protocol, which this
    # one does not; without it each answer's body waits 40 ms for the client to confirm its head.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock
