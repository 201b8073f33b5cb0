"""HTTP to the code host: JSON calls and downloads, with the token sent to that host alone."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from batchspec.clock import Clock
from batchspec.errors import EnvironmentFailure
from batchspec.records import frozen

TIMEOUT = 30.0
TRIES = 4
"""A call that changes nothing, or the same again, is tried so often when the host fails."""
_MOST_JSON = 32 << 20
_PIECE = 1 << 20
_TOO_MANY = 429
_SERVER = 500
_NOT_ALLOWED = (401, 403, 404)
_FOUND = (301, 302, 303, 307, 308)
PAGE = 100


class ForgeFailure(EnvironmentFailure):
    """The code host could not be reached, or refused."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects are answers: what follows them decides what is sent along."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none."""


@frozen
class Host:
    """The code host's REST API."""

    url: str
    """Address of the API, without a final slash."""
    headers: Mapping[str, str] = field(repr=False)
    """Sent with every call to this host, the token among them."""
    clock: Clock

    def call(self, method: str, path: str, body: Any = None, **query: str | int) -> Any:
        """Make a call and return its JSON.

        Raises:
            ForgeFailure: the host cannot be reached, refuses, or answers something else.
        """
        with self._answer(method, path, body, query) as answer:
            data = answer.read(_MOST_JSON)
        try:
            return json.loads(data)
        except ValueError as error:
            raise ForgeFailure(f"{self.url}{path} answered something that is not JSON.") from error

    def every(self, path: str, **query: str | int) -> list[Any]:
        """Return the entries of all pages of a list.

        Raises:
            ForgeFailure: as for `call`.
        """
        entries: list[Any] = []
        while True:
            number = len(entries) // PAGE + 1
            page = self.call("GET", path, **query, per_page=PAGE, page=number)
            entries += page
            if len(page) < PAGE:
                return entries

    def download(self, path: str, target: Path, *, most: int) -> None:
        """Write what an address answers to a file; where it redirects to gets no token.

        Raises:
            ForgeFailure: as for `call`, or there are more than ``most`` bytes.
        """
        with self._answer("GET", path, None, {}) as first:
            elsewhere = first.headers["Location"] if first.status in _FOUND else None
            if elsewhere is None:
                _write(first, target, most)
                return
        _require_safe(elsewhere)
        request = urllib.request.Request(elsewhere)  # noqa: S310 - the scheme was checked
        try:
            with _opened(request) as answer:
                _write(answer, target, most)
        except (OSError, http.client.HTTPException) as error:
            raise ForgeFailure(f"A file of the CI job cannot be downloaded: {error}.") from error

    def _answer(
        self, method: str, path: str, body: Any, query: Mapping[str, str | int]
    ) -> http.client.HTTPResponse:
        _require_safe(self.url)
        address = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {**self.headers, "User-Agent": "batchspec"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(address, data, headers, method=method)  # noqa: S310 - as above
        tries = 1 if method == "POST" else TRIES  # a second comment is worse than a failed step
        for left in reversed(range(tries)):
            try:
                return _opened(request)
            except urllib.error.HTTPError as error:
                if error.code in _FOUND:
                    return error  # type: ignore[return-value]  # it is the answer, status and all
                if not left or (error.code < _SERVER and error.code != _TOO_MANY):
                    raise _refused(method, path, error) from error
            except (OSError, http.client.HTTPException) as error:
                if not left:
                    raise ForgeFailure(f"{self.url} cannot be reached: {error}.") from error
            self.clock.sleep(2.0 ** (tries - left - 1))
        raise AssertionError


def _opened(request: urllib.request.Request) -> http.client.HTTPResponse:
    answer = urllib.request.build_opener(_NoRedirects).open(request, timeout=TIMEOUT)
    if not isinstance(answer, http.client.HTTPResponse):
        raise ForgeFailure(f"{request.host} gave no answer of HTTP.")
    return answer


def _refused(method: str, path: str, error: urllib.error.HTTPError) -> ForgeFailure:
    try:
        said = json.loads(error.read(_PIECE)).get("message", "")
    except (OSError, ValueError, AttributeError):
        said = ""
    hint = ""
    if error.code in _NOT_ALLOWED:
        hint = (
            "The token may not do this. Give the job the permissions that "
            "docs/how-to/run-in-ci.md lists; a fork's pull request never has them."
        )
    told = f": {str(said)[:200]}" if said else ""
    return ForgeFailure(f"{method} {path} was answered {error.code}{told}.", hint=hint)


def _write(answer: http.client.HTTPResponse, target: Path, most: int) -> None:
    size = 0
    with target.open("wb") as file:
        while piece := answer.read(_PIECE):
            size += len(piece)
            if size > most:
                raise ForgeFailure(f"A file of the CI job is larger than {most:,} bytes.")
            file.write(piece)


def _require_safe(url: str) -> None:
    """Make sure that nothing is sent in the clear, but to this machine.

    Raises:
        ForgeFailure: it would be.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _loopback(parts.hostname or "")):
        return
    raise ForgeFailure(f"{parts.scheme}://{parts.hostname} is not https, so nothing is sent there.")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
