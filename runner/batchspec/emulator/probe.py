"""Plain HTTP to an emulator, for tests: raw calls, and shortcuts to the admin endpoints."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BATCHES = "/v1/messages/batches"
"""Path of the batch endpoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer, read to its end."""

    status: int
    """HTTP status."""
    headers: Mapping[str, str]
    """Headers by lower-case name."""
    body: bytes
    """The body."""

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return orjson.loads(self.body)

    @property
    def error(self) -> Any:
        """The inner error of an error answer."""
        return self.json["error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """One request of the paid log."""

    batch_id: str
    """The batch it came with."""
    custom_id: str
    """Its custom_id."""
    params_sha256: str
    """Hex SHA-256 of its params as compact JSON with sorted keys."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Calls an emulator without any client library in between."""

    base_url: str
    """Where it listens."""
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"x-api-key": "probe", "anthropic-version": "2026-10-21"}
    )
    """Sent with every call that brings none of its own."""
    timeout: float = 30.0
    """Seconds to wait for anything."""

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; a body that is not bytes is sent as JSON.

        Raises:
            OSError: when there is no answer.
            http.client.HTTPException: when the answer is not complete.
        """
        connection = http.client.HTTPConnection(
            urlsplit(self.base_url).netloc, timeout=self.timeout
        )
        data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        sent = dict(self.headers if headers is None else headers)
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(status=response.status, headers=names, body=response.read())
        finally:
            connection.close()

    def create(self, requests: Iterable[Mapping[str, Any]]) -> str:
        """Create a batch and return its id."""
        body = {"requests": [dict(request) for request in requests]}
        return str(self._good("POST", BATCHES, body).json["id"])

    def batch(self, batch_id: str) -> Any:
        """Return a batch object."""
        return self._good("GET", f"{BATCHES}/{batch_id}").json

    def results(self, batch_id: str) -> list[Any]:
        """Return the result lines of a batch, parsed, as they come."""
        lines = self._good("GET", f"{BATCHES}/{batch_id}/results").body.split(b"\n")
        return [orjson.loads(line) for line in lines if line]

    def paid(self) -> list[Paid]:
        """Return every request of every batch that was ever committed, oldest first."""
        lines = self._good("GET", "/_emulator/paid").body.splitlines()
        return [Paid(**orjson.loads(line)) for line in lines]

    def batches(self) -> list[Any]:
        """Return every batch, deleted ones too, oldest first."""
        return list(self._good("GET", "/_emulator/batches").json["data"])

    def calls(self, endpoint: str | None = None) -> list[Any]:
        """Return the calls since the start, of one endpoint or of all, oldest first."""
        calls = self._good("GET", "/_emulator/calls").json["data"]
        return [call for call in calls if endpoint in (None, call["endpoint"])]

    def fault(self, kind: str, endpoint: str = "any", **options: Any) -> None:
        """Set a fault."""
        self._good("POST", "/_emulator/faults", {"kind": kind, "endpoint": endpoint, **options})

    def clear_faults(self) -> None:
        """Take all faults away."""
        self._good("DELETE", "/_emulator/faults")

    def advance(self, seconds: float) -> None:
        """Move the emulated time forward."""
        self._good("POST", "/_emulator/clock", {"advance_seconds": seconds})

    def _good(self, method: str, path: str, body: Any = None) -> Answer:
        answer = self.call(method, path, body)
        if answer.status != http.client.OK:
            text = answer.body.decode(errors="replace")
            raise RuntimeError(f"{method} {path} answered {answer.status}: {text}")
        return answer
