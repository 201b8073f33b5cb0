"""HTTP to the configured host, and what its errors mean.

Calls go through httpx2, the library that the SDK itself sends with. The SDK's import takes longer
than submitting twenty thousand requests, mostly for the types of endpoints that batchspec never
calls.

Nothing is retried and redirects are not followed, so the key and the prompts go nowhere else (fact
sheet §12.1).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from batchspec.api.answers import failure_of
from batchspec.api.port import ApiFailure, FailureKind

OFFICIAL = "https://api.anthropic.com"
CUSTOM_HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
RESULT_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How the API is reached."""

    base_url: str | None
    key: str
    anthropic_version: str
    workspace: str | None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers of every call."""
    secrets: tuple[str, ...] = ()
    """Values among them that no message may hold."""
    answer_seconds: float = 600.0
    """How long to wait for the answer to a create once its last byte has left."""

    @property
    def base(self) -> str:
        """The base URL, the official one by default."""
        return self.base_url or OFFICIAL

    @property
    def trusts_environment(self) -> bool:
        """Whether proxy variables hold: not for servers on this machine."""
        return urlsplit(self.base).hostname not in ("127.0.0.1", "localhost", "::1")

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers of every call besides the key's."""
        version = {"anthropic-version": self.anthropic_version}
        workspace = {"anthropic-workspace-id": self.workspace} if self.workspace else {}
        return {**self.headers, **version, **workspace}


def custom_headers(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that ``ANTHROPIC_CUSTOM_HEADERS`` names, read as the SDK reads them."""
    lines = (line.partition(":") for line in environ.get(CUSTOM_HEADERS, "").split("\n"))
    return {name.strip(): value.strip() for name, colon, value in lines if colon}


class Transport:
    """Speaks with one host."""

    def __init__(self, connection: Connection) -> None:
        import httpx2  # noqa: PLC0415 - only commands that talk to the API pay for it

        self._http = httpx2
        self._secrets = (connection.key, *connection.secrets)
        self._client = httpx2.Client(
            follow_redirects=False,
            trust_env=connection.trusts_environment,
            timeout=httpx2.Timeout(60.0, connect=10.0),
            headers={
                "Accept": "application/json",
                "User-Agent": "batchspec",
                "Authorization": f"Bearer {connection.key}",
            },
        )
        self._client.headers.update(connection.all_headers)
        self._answer_timeout = httpx2.Timeout(connection.answer_seconds, connect=10.0)
        url = httpx2.URL(connection.base)
        self.base = str(url).rstrip("/")
        """The base URL without a slash at its end."""
        self._host = url.host

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, query: Mapping[str, Any]) -> Any:
        """Return the response to a call that changes nothing.

        Raises:
            ApiFailure: the server refuses, or does not answer.
        """
        with self.translated():
            response = self._client.get(self.base + path, params=query)
        return self.accepted(response, create=False)

    def post(
        self,
        path: str,
        body: bytes | Iterator[bytes] = b"",
        *,
        headers: Mapping[str, str] | None = None,
        create: bool = False,
    ) -> Any:
        """Return the response to a POST, which is made once.

        Args:
            path: Below the base URL.
            body: A body that comes piece by piece needs its Content-Length among the headers. Each
                piece is taken when the one before it was handed to the connection, and what taking
                one raises goes through: the connection is given up.
            headers: Of this call.
            create: It makes a batch: its answer may take long, and errors leave it in doubt.

        Raises:
            ApiFailure: the server refuses, or does not answer.
        """
        timeout = self._answer_timeout if create else self._client.timeout
        with self.translated():
            response = self._client.post(
                self.base + path, content=body, headers=headers, timeout=timeout
            )
        return self.accepted(response, create=create)

    @contextlib.contextmanager
    def stream(self, url: str, accept: str) -> Iterator[Any]:
        """Open a response as a stream. Raises as `get` does."""
        with contextlib.ExitStack() as stack:
            with self.translated():
                opened = self._client.stream("GET", url, headers={"Accept": accept})
                response = stack.enter_context(opened)
                if not response.is_success:
                    response.read()
            yield self.accepted(response, create=False)

    def pieces(self, response: Any) -> Iterator[bytes]:
        """Yield the body of a stream. Raises as `get` does."""
        with self.translated():
            yield from response.iter_bytes(RESULT_PIECE)

    def accepted(self, response: Any, *, create: bool) -> Any:
        """Return a response that is no error; a redirect, which is not followed, is one."""
        if not response.is_success:
            raise self.failure(response, create=create)
        return response

    def failure(self, response: Any, *, create: bool) -> ApiFailure:
        """Return what an error response means, without secrets."""
        failure = failure_of(
            response.status_code, response.content, response.headers, create=create
        )
        for secret in self._secrets:
            failure = failure.without(secret)
        return failure

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the transport's errors into `ApiFailure`, without headers or key."""
        try:
            yield
        except self._http.HTTPError as error:
            raise self.unanswered(error) from None

    def unanswered(self, cause: BaseException) -> ApiFailure:
        """Return what it means that no answer came."""
        kind = FailureKind.AMBIGUOUS
        if isinstance(cause, (self._http.ConnectError, self._http.ConnectTimeout)):
            kind = FailureKind.NOT_SENT
        return ApiFailure(kind, f"no answer from {self._host} ({_reason(cause)})")


def _reason(cause: BaseException) -> str:
    """Return a transport error in words; a protocol error may quote a header, and so the key."""
    name = type(cause).__name__
    return name if name == "LocalProtocolError" else f"{name}: {cause}".rstrip(": ")
