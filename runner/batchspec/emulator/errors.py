"""The API's error envelope and the statuses it comes with (fact sheet §3.1 and §3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

ERROR_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "conflict_error",
    410: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_SERVER_ERRORS = 500

MESSAGES: Mapping[int, str] = {
    401: "invalid x-api-key",
    402: "Your credit balance is too low to access the Anthropic API.",
    403: "Your API key does not have permission to use the specified resource.",
    404: "Not found.",
    409: "The request conflicts with the current state of the resource.",
    413: "Request exceeds the maximum size",
    429: "This request would exceed your organization's rate limit.",
    500: "Internal server error",
    503: "Service temporarily unavailable",
    504: "The request timed out while waiting for a response.",
    529: "Overloaded",
}


def error_type(status: int) -> str:
    """Return the ``error.type`` that goes with an HTTP status."""
    fallback = "api_error" if status >= _SERVER_ERRORS else "invalid_request_error"
    return ERROR_TYPES.get(status, fallback)


class ApiError(Exception):
    """An answer in the API's error envelope.

    Args:
        status: HTTP status.
        message: the text of ``error.message``; the status gives a default.
        kind: ``error.type``; the status gives a default.
        code: ``error.details.error_code`` (fact sheet §3.2).
        headers: further response headers.
    """

    def __init__(
        self,
        status: int,
        message: str | None = None,
        *,
        kind: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.message = message or MESSAGES.get(status, "The request could not be processed.")
        self.kind = kind or error_type(status)
        self.code = code
        self.headers = dict(headers or {})
        super().__init__(f"{status} {self.kind}: {self.message}")


def envelope(error: ApiError, request_id: str | None) -> dict[str, Any]:
    """Return the JSON body of an error answer."""
    inner: dict[str, Any] = {"type": error.kind, "message": error.message}
    if error.code is not None:
        inner["details"] = {"error_code": error.code}
    body: dict[str, Any] = {"type": "error", "error": inner}
    if request_id is not None:
        body["request_id"] = request_id
    return body


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return ``value`` as a JSON answer."""
    return Response(
        orjson.dumps(value),
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/json",
    )


def error_response(error: ApiError, request_id: str | None) -> Response:
    """Return the answer for an error."""
    return json_response(envelope(error, request_id), error.status, error.headers)
