"""What every call passes: key, version, faults, and the error envelope around it all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from batchspec.emulator.clock import http_date
from batchspec.emulator.errors import ApiError, error_response
from batchspec.emulator.faults import Firing
from batchspec.emulator.params import Terms
from batchspec.emulator.settings import VERSIONS
from batchspec.emulator.wire import Cut, Unfinished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from batchspec.emulator.core import Emulator
    from batchspec.emulator.faults import Fault

EMULATOR_HEADER = "x-batchspec-emulator"
"""Sent with every answer, so that nobody can take an emulated answer for a real one."""


@dataclass(slots=True, kw_only=True)
class Call:
    """One call to an API endpoint, after it has shown its key."""

    emulator: Emulator
    """Who answers."""
    request: Request
    """What came."""
    workspace: str
    """Workspace of the key."""
    terms: Terms
    """What the headers say."""
    firing: Firing = field(default_factory=Firing)
    """The faults that strike this call."""

    @property
    def batch_id(self) -> str | None:
        """The batch that the path names."""
        value = self.request.path_params.get("batch_id")
        return None if value is None else str(value)


def _nothing() -> None:
    """Stand in for a ``discard`` where nothing was put aside."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call that was read and checked, and can now happen."""

    act: Callable[[], Awaitable[Response]]
    """Does what was asked."""
    discard: Callable[[], None] = _nothing
    """Removes what was put aside for it; does no harm after :attr:`act`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint of the API."""

    name: str
    """Its name in the fault menu."""
    prepare: Callable[[Call], Awaitable[Prepared]]
    """Reads and checks the call; nothing has happened before :attr:`Prepared.act`."""

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        emulator: Emulator = request.app.state.emulator
        request_id: str | None = request.scope["state"]["request_id"]
        entry: dict[str, Any] = {"endpoint": self.name, "request_id": request_id}
        emulator.calls.append(entry)
        try:
            response = await self._answer(emulator, request)
        except ApiError as error:
            response = error_response(error, request_id)
        except ClientDisconnect:
            entry["status"] = "disconnected"
            return Cut()
        entry["status"] = response.status_code if not isinstance(response, Cut) else "cut"
        return response

    async def _answer(self, emulator: Emulator, request: Request) -> Response:
        call = admitted(emulator, request)
        request.scope["state"]["headers"] |= emulator.admit(self.name)
        prepared = await self.prepare(call)
        call.firing = emulator.faults.take(self.name, call.batch_id)
        _freeze_date(call)
        slow = next(call.firing.of("slow_commit"), None)
        if slow is not None:
            emulator.later(slow.options["seconds"], prepared.act)
            raise ApiError(slow.options["status"])
        try:
            refusal = await _before(call)
            if refusal is not None:
                return refusal
            return await _after(call, await prepared.act())
        finally:
            prepared.discard()


def admitted(emulator: Emulator, request: Request) -> Call:
    """Check key and version of a request (fact sheet §1.2).

    Raises:
        ApiError: 400, 401 or 403.
    """
    headers = request.headers
    key = headers.get("x-api-key") or _bearer(headers.get("authorization", ""))
    if not key:
        raise ApiError(401, "x-api-key header is required")
    workspace = _workspace(emulator, key, headers.get("anthropic-workspace-id"))
    request.scope["state"]["headers"]["anthropic-workspace-id"] = workspace
    _check_charset(headers.get("content-type", ""))
    version = headers.get("anthropic-version")
    if version is None:
        raise ApiError(400, "anthropic-version: header is required")
    if version not in VERSIONS:
        raise ApiError(400, f"anthropic-version: '{version}' is not a valid version")
    betas = ",".join(headers.getlist("anthropic-beta"))
    terms = Terms(
        version=version,
        betas=tuple(beta.strip() for beta in betas.split(",") if beta.strip()),
        profile=headers.get("anthropic-user-profile-id"),
        any_model=emulator.settings.unknowns.unknown_model == "accept",
    )
    return Call(emulator=emulator, request=request, workspace=workspace, terms=terms)


def _check_charset(content_type: str) -> None:
    """Refuse JSON in another encoding than UTF-8 (fact sheet §2.5).

    Raises:
        ApiError: 400.
    """
    kind, *options = (part.strip().lower() for part in content_type.split(";"))
    for option in options if kind == "application/json" else ():
        name, _, value = option.partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise ApiError(400, f"charset '{value}' is not supported", code="unsupported_charset")


def _workspace(emulator: Emulator, key: str, named: str | None) -> str:
    """Return the workspace of a call.

    A key of the settings is bound to its workspace. Without such keys every key can act on all
    workspaces, and the header selects one.
    """
    own = emulator.workspace_of(key)
    if own is None:
        raise ApiError(401)
    if named is None or named == own:
        return own
    if emulator.settings.keys is not None:
        raise ApiError(403, "anthropic-workspace-id does not match the workspace of the key")
    return named


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _freeze_date(call: Call) -> None:
    headers = call.request.scope["state"]["headers"]
    for fault in call.firing.of("frozen_date"):
        fault.kept = fault.kept or fault.options["date"] or headers["date"]
        headers["date"] = fault.kept


async def _before(call: Call) -> Response | None:
    """Apply the faults that come before anything happens."""
    for fault in call.firing.faults:
        if fault.kind == "hang_before":
            await call.emulator.pause(fault.options["seconds"])
        elif fault.kind in ("not_found", "results_404"):
            raise ApiError(404)
        elif fault.kind == "status":
            return _status(call, fault)
        elif fault.kind == "cut_before":
            return Cut()
    return None


async def _after(call: Call, response: Response) -> Response:
    """Apply the faults that come after it has happened."""
    for fault in call.firing.faults:
        if fault.kind == "hang_after":
            await call.emulator.pause(fault.options["seconds"])
        elif fault.kind == "status_after_commit":
            return _status(call, fault)
        elif fault.kind == "cut_after":
            return Cut()
        elif fault.kind == "torn_response":
            return _torn(response, fault)
    return response


def _status(call: Call, fault: Fault) -> Response:
    options = fault.options
    headers = {}
    if options["retry_after"] is not None:
        headers["retry-after"] = str(options["retry_after"])
    if options["should_retry"] is not None:
        headers["x-should-retry"] = str(options["should_retry"]).lower()
    error = ApiError(
        options["status"],
        options["message"],
        kind=options["error_type"],
        code=options["error_code"],
        headers=headers,
    )
    state = call.request.scope["state"]
    if not options["request_id"]:
        state["request_id"] = None
    if not options["envelope"]:
        page = "<html><body>emulated gateway error</body></html>"
        return Response(page, options["status"], headers, media_type="text/html")
    return error_response(error, state["request_id"])


def _torn(response: Response, fault: Fault) -> Response:
    if isinstance(response, StreamingResponse):
        return response
    body = bytes(response.body)
    part = body[: int(len(body) * fault.options["at"])]
    if fault.options["framing"] == "complete":
        return Response(part, response.status_code, media_type=response.media_type)

    async def pieces() -> AsyncIterator[bytes]:
        yield part

    headers = {"content-type": "application/json", "content-length": str(len(body))}
    return Unfinished(pieces(), headers)


class Identity:
    """Middleware: cuts a path prefix off, and puts the standing headers on every answer.

    Args:
        app: what it wraps.
        emulator: whose headers they are.
    """

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self._app = app
        self._emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        path: str = scope["path"]
        position = path.find("/v1/")
        state["prefix"] = path[: max(position, 0)]
        scope = {**scope, "path": path[max(position, 0) :]}
        state["request_id"] = self._emulator.next_request_id()
        state["headers"] = {
            EMULATOR_HEADER: "1",
            "anthropic-organization-id": self._emulator.organization,
            "date": http_date(self._emulator.clock.now()),
        }

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *standing_headers(state)]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def standing_headers(state: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """Return the headers that every answer carries."""
    headers: dict[str, str] = dict(state["headers"])
    if state["request_id"] is not None:
        headers["request-id"] = state["request_id"]
    return [(name.encode(), value.encode()) for name, value in headers.items()]
