"""Answers that HTTP does not provide for: no answer at all, and answers that stop half-way.

They write to the connection below the HTTP layer, so they work under the server of this package
only; :class:`Connection` hands the transport on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import Receive, Scope, Send

_HIGH_WATER = 1 << 20
_PAUSE = 0.002


class Connection(H11Protocol):
    """An HTTP connection whose requests can reach their transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own signature
        """Remember the transport in the state that every request of the connection gets."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class Cut(Response):
    """No answer: the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection and wait until it is closed."""
        del send
        transport_of(scope).close()
        await _closed(receive)


class Unfinished(Response):
    """An answer that stops before its end, and the connection with it.

    Args:
        pieces: the bytes that are sent.
        headers: response headers; without a length the end of the connection ends the body.
        chunked: whether the pieces are framed as chunks; the closing chunk is never sent.
    """

    def __init__(
        self, pieces: AsyncIterator[bytes], headers: Mapping[str, str], *, chunked: bool = False
    ) -> None:
        super().__init__(headers=dict(headers))
        self._pieces = pieces
        self._sent_headers = dict(headers)
        self._chunked = chunked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what there is to send and close the connection."""
        del send
        transport = transport_of(scope)
        headers = {**self._sent_headers, **scope["state"].get("headers", {})}
        framing = {"transfer-encoding": "chunked"} if self._chunked else {"connection": "close"}
        lines = [f"{name}: {value}" for name, value in {**headers, **framing}.items()]
        transport.write("\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode())
        async for piece in self._pieces:
            transport.write(b"%x\r\n%s\r\n" % (len(piece), piece) if self._chunked else piece)
            await _drained(transport)
        transport.close()
        await _closed(receive)


def transport_of(scope: Scope) -> asyncio.Transport:
    """Return the transport of a request.

    Raises:
        RuntimeError: under another server than this package's.
    """
    transport: Any = scope.get("state", {}).get("transport")
    if transport is None:
        raise RuntimeError("Faults that cut connections need batchspec.emulator.server.")
    return transport  # type: ignore[no-any-return]  # the state is untyped by ASGI


async def _drained(transport: asyncio.Transport) -> None:
    """Wait until the client has taken most of what was written."""
    while transport.get_write_buffer_size() > _HIGH_WATER and not transport.is_closing():  # noqa: ASYNC110  (flow events belong to the protocol)
        await asyncio.sleep(_PAUSE)


async def _closed(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
