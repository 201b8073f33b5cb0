"""Endpoints below ``/_emulator``: what was paid, the faults, the clock. They need no key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from batchspec.emulator.clock import rfc3339
from batchspec.emulator.errors import ApiError, error_response, json_response
from batchspec.emulator.faults import FaultsError
from batchspec.emulator.rowindex import RowIndex

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request

    from batchspec.emulator.core import Emulator

_LINES_AT_ONCE = 2000


def _emulator(request: Request) -> Emulator:
    emulator: Emulator = request.app.state.emulator
    return emulator


async def _paid(request: Request) -> Response:
    """Every request of every batch that was ever committed, as JSON lines, oldest first."""
    emulator = _emulator(request)

    async def lines() -> AsyncIterator[bytes]:
        for record in emulator.store.every_batch():
            with RowIndex(emulator.store.files_of(record) / "rows.bin") as rows:
                for start in range(0, len(rows), _LINES_AT_ONCE):
                    stop = min(start + _LINES_AT_ONCE, len(rows))
                    yield b"".join(
                        orjson.dumps(
                            {
                                "batch_id": record.id,
                                "custom_id": rows[number].custom_id,
                                "params_sha256": rows[number].sha256.hex(),
                            },
                            option=orjson.OPT_APPEND_NEWLINE,
                        )
                        for number in range(start, stop)
                    )
                    await asyncio.sleep(0)

    return StreamingResponse(lines(), media_type="application/x-jsonl")


async def _batches(request: Request) -> Response:
    """Every batch of every workspace, deleted ones too, oldest first."""
    emulator = _emulator(request)
    now = emulator.clock.now()
    data = [
        {
            "id": record.id,
            "workspace_id": record.workspace,
            "processing_status": record.status(now),
            "requests": record.total,
            "created_at": rfc3339(record.created),
            "anthropic_version": record.version,
            "anthropic_beta": list(record.betas),
            "cancel_initiated": record.cancelled is not None,
            "deleted": record.deleted,
        }
        for record in emulator.store.every_batch()
    ]
    return json_response({"data": data})


async def _calls(request: Request) -> Response:
    """The calls since the start, oldest first; the last 20,000 of them."""
    return json_response({"data": list(_emulator(request).calls)})


async def _faults(request: Request) -> Response:
    """The faults that are set, with how often each has struck."""
    return json_response({"data": [fault.as_json() for fault in _emulator(request).faults.faults]})


async def _set_faults(request: Request) -> Response:
    """Set more faults."""
    try:
        added = _emulator(request).faults.add(orjson.loads(await request.body()))
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"The request body is not valid JSON: {error}") from error
    except FaultsError as error:
        raise ApiError(400, str(error)) from error
    return json_response({"data": [fault.as_json() for fault in added]})


async def _clear_faults(request: Request) -> Response:
    """Take all faults away."""
    _emulator(request).faults.faults.clear()
    return json_response({"data": []})


async def _clock(request: Request) -> Response:
    """The emulated time."""
    return _time(_emulator(request))


async def _set_clock(request: Request) -> Response:
    """Move time forward by ``advance_seconds``, or let it run at ``speed``."""
    emulator = _emulator(request)
    advance, speed = _clock_change(await request.body())
    if speed is not None:
        emulator.clock.set_speed(speed)
    emulator.clock.advance(advance)
    emulator.remember_time()
    return _time(emulator)


def _clock_change(body: bytes) -> tuple[float, float | None]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"The request body is not valid JSON: {error}") from error
    if not isinstance(value, dict) or not value or set(value) - {"advance_seconds", "speed"}:
        raise ApiError(400, "Expected {'advance_seconds': number} or {'speed': number}.")
    for name, number in value.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)) or number < 0:
            raise ApiError(400, f"{name}: expected a number that is not negative.")
    return value.get("advance_seconds", 0.0), value.get("speed")


def _time(emulator: Emulator) -> Response:
    now = emulator.clock.now()
    return json_response({"now": rfc3339(now), "speed": emulator.clock.speed})


def _route(path: str, method: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except ApiError as error:
            return error_response(error, request.scope["state"]["request_id"])

    return Route(f"/_emulator/{path}", answer, methods=[method])


ADMIN_ROUTES: list[Any] = [
    _route("paid", "GET", _paid),
    _route("batches", "GET", _batches),
    _route("calls", "GET", _calls),
    _route("faults", "GET", _faults),
    _route("faults", "POST", _set_faults),
    _route("faults", "DELETE", _clear_faults),
    _route("clock", "GET", _clock),
    _route("clock", "POST", _set_clock),
]
