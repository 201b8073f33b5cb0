"""The API through the anthropic SDK's own transport: its auth, its version header, its timeouts.

The SDK's retries are off: repeating a create that may have happened is how a batch gets paid twice
(fact sheet §3.4). Redirects are not followed, and results are read from the configured host only,
so the key and the prompts go nowhere else (fact sheet §12.1).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from batchspec.api.answers import (
    failure_of,
    parse_batch,
    parse_count,
    parse_file,
    parse_files,
    parse_page,
)
from batchspec.api.models import LIFECYCLES, parse_models
from batchspec.api.port import (
    ApiFailure,
    Batch,
    CreateBody,
    FailureKind,
    FilePage,
    ModelPage,
    Page,
    ResultStream,
    UploadedFile,
)
from batchspec.crashpoints import reached
from batchspec.spec.headers import Headers

if TYPE_CHECKING:
    import anthropic

OFFICIAL = "https://api.anthropic.com"
BATCHES = "/v1/messages/batches"
MODELS = "/v1/models"
FILES = "/v1/files"
COUNT_TOKENS = "/v1/messages/count_tokens"
RESULT_PIECE = 1 << 20
LONGEST_PATH = 8192
"""Of a ``results_url``; the transport refuses addresses that are longer still."""
NOT_THERE = frozenset((FailureKind.NOT_FOUND, FailureKind.REJECTED, FailureKind.AUTH))
"""Refusals after which results are read where they were so far, not at the path that was named."""
TOO_LARGE = 413
"""Comes from in front of the API, perhaps without its error body (fact sheet §2.1)."""
T = TypeVar("T")


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


def warm_up() -> threading.Thread:
    """Import the SDK on a second thread; it costs over a second and planning needs none of it."""

    def load() -> None:
        import anthropic  # noqa: F401, PLC0415 - the import is the work

    thread = threading.Thread(target=load, name="import-sdk", daemon=True)
    thread.start()
    return thread


class SdkClient:
    """`api.port.BatchApi` through the SDK."""

    def __init__(self, connection: Connection) -> None:
        import anthropic  # noqa: PLC0415 - heavy: only commands that talk to the API pay for it
        import httpx2  # noqa: PLC0415 - comes with it

        self._secrets = (connection.key, *connection.secrets)
        self._sdk = anthropic
        self._http = httpx2
        base = connection.base_url or OFFICIAL
        loopback = urlsplit(base).hostname in ("127.0.0.1", "localhost", "::1")
        self._transport = anthropic.DefaultHttpxClient(
            follow_redirects=False, trust_env=not loopback
        )
        headers = {**connection.headers, "anthropic-version": connection.anthropic_version}
        if connection.workspace:
            headers["anthropic-workspace-id"] = connection.workspace
        self._client: anthropic.Anthropic = anthropic.Anthropic(
            api_key=connection.key,
            base_url=base,
            max_retries=0,
            http_client=self._transport,
            default_headers=headers,
            open_telemetry=False,
            timeout=httpx2.Timeout(60.0, connect=10.0),
        )
        self._create_timeout = httpx2.Timeout(connection.answer_seconds, connect=10.0)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def create(
        self, body: CreateBody, *, before_last_byte: Callable[[], None], headers: Headers
    ) -> Batch:
        """Make one batch, once; see `BatchApi.create`."""
        gate = _Gate(body, before_last_byte)
        sent = _sent(headers) | {"Content-Length": str(body.length)}
        options: Any = {"headers": sent, "timeout": self._create_timeout}
        try:
            answer = self._call(
                lambda: self._client.post(
                    BATCHES, content=gate.pieces(), cast_to=self._http.Response, options=options
                ),
                create=True,
            )
        except ApiFailure as failure:
            if gate.error is not None:
                raise gate.error from None
            if not gate.passed and failure.kind is FailureKind.AMBIGUOUS:
                kind = (
                    FailureKind.TOO_LARGE if failure.status == TOO_LARGE else FailureKind.NOT_SENT
                )
                raise ApiFailure(kind, failure.message, status=failure.status) from failure
            raise
        reached("answered")
        return _parsed(parse_batch, answer.content)

    def retrieve(self, batch_id: str) -> Batch:
        """Return the batch as it is now."""
        return _parsed(parse_batch, self._get(f"{BATCHES}/{batch_id}", {}).content)

    def page(
        self, *, limit: int = 1000, after_id: str | None = None, before_id: str | None = None
    ) -> Page:
        """Return one page of the workspace's batches, newest first."""
        query = {"limit": limit, "after_id": after_id, "before_id": before_id}
        answer = self._get(BATCHES, {k: v for k, v in query.items() if v is not None})
        return _parsed(lambda body: parse_page(body, answer.headers), answer.content)

    def cancel(self, batch_id: str) -> Batch:
        """Ask for a batch to be canceled; repeating it is harmless."""
        path = f"{BATCHES}/{batch_id}/cancel"
        answer = self._call(
            lambda: self._client.post(path, cast_to=self._http.Response), create=False
        )
        return _parsed(parse_batch, answer.content)

    def count_tokens(self, body: bytes, *, headers: Headers) -> int:
        """Return the input tokens of a request; see `FactsApi.count_tokens`."""
        options: Any = {"headers": _sent(headers)}
        answer = self._call(
            lambda: self._client.post(
                COUNT_TOKENS, content=body, cast_to=self._http.Response, options=options
            ),
            create=False,
        )
        return _parsed(parse_count, answer.content)

    def upload(self, name: str, media_type: str, data: bytes, *, seconds: int) -> UploadedFile:
        """Make a file; see `FilesApi.upload`."""
        with self._translated():
            raw = self._client.files.with_raw_response.upload(
                file=(name, data, media_type),
                expires_in_seconds=seconds,
                timeout=self._create_timeout,
            )
        return _parsed(parse_file, raw.read())

    def files(self, ids: Sequence[str]) -> tuple[UploadedFile, ...]:
        """Return those of the files that exist; see `FilesApi.files`."""
        return _parsed(parse_files, self._get(FILES, {"ids[]": list(ids)}).content).files

    def file_page(self, cursor: str | None = None) -> FilePage:
        """Return one page of all files; see `FilesApi.file_page`."""
        query: dict[str, object] = {"limit": 1000}
        if cursor is not None:
            query["page"] = cursor
        return _parsed(parse_files, self._get(FILES, query).content)

    def models(self, *, after_id: str | None = None) -> ModelPage:
        """Return one page of all models; see `FactsApi.models`."""
        query: dict[str, object] = {"limit": 1000, "lifecycle[]": list(LIFECYCLES)}
        if after_id is not None:
            query["after_id"] = after_id
        return _parsed(parse_models, self._get(MODELS, query).content)

    @contextlib.contextmanager
    def results(self, batch: Batch) -> Iterator[ResultStream]:
        """Open the results as a stream of byte chunks, from the configured host only."""
        first, *others = self._results_urls(batch)
        with contextlib.ExitStack() as stack:
            try:
                response = self._opened(stack, first)
            except ApiFailure as failure:
                if failure.kind not in NOT_THERE or not others:
                    raise
                response = self._opened(stack, others[0])
            framed = not {"content-length", "transfer-encoding"}.isdisjoint(response.headers)
            yield ResultStream(pieces=self._pieces(response), framed=framed)

    def _opened(self, stack: contextlib.ExitStack, url: str) -> Any:
        headers = {k: v for k, v in self._client.default_headers.items() if isinstance(v, str)}
        headers["Accept"] = "application/binary"
        with self._translated():
            response = stack.enter_context(
                self._transport.stream("GET", url, headers=headers, timeout=60.0)
            )
            if not response.is_success:
                response.read()
                raise self._failure(response, create=False)
        return response

    def _pieces(self, response: Any) -> Iterator[bytes]:
        with self._translated():
            yield from response.iter_bytes(RESULT_PIECE)

    def _results_urls(self, batch: Batch) -> tuple[str, ...]:
        """Return where to read results, always on the host we were told to use.

        First the path that the API names, then the one it had so far (fact sheet §1.1).
        """
        base = str(self._client.base_url).rstrip("/")
        standard = f"{base}{BATCHES}/{batch.id}/results"
        try:
            named = urlsplit(batch.results_url or "")
        except ValueError:
            return (standard,)
        text = named.path + named.query
        if not named.path.startswith("/") or not text.isprintable() or len(text) > LONGEST_PATH:
            return (standard,)
        path, prefix = named.path, urlsplit(base).path.rstrip("/")
        if prefix and path.startswith(f"{prefix}/"):
            path = path.removeprefix(prefix)
        first = base + path + (f"?{named.query}" if named.query else "")
        return (first,) if first == standard else (first, standard)

    def _get(self, path: str, query: Mapping[str, object]) -> Any:
        options: Any = {"params": query}
        return self._call(
            lambda: self._client.get(path, cast_to=self._http.Response, options=options),
            create=False,
        )

    def _call(self, call: Callable[[], Any], *, create: bool) -> Any:
        with self._translated(create=create):
            answer = call()
            if not answer.is_success:  # a redirect, which is not followed
                raise self._failure(answer, create=create)
            return answer

    def _failure(self, response: Any, *, create: bool) -> ApiFailure:
        failure = failure_of(
            response.status_code, response.content, response.headers, create=create
        )
        for secret in self._secrets:
            failure = failure.without(secret)
        return failure

    @contextlib.contextmanager
    def _translated(self, *, create: bool = False) -> Iterator[None]:
        """Turn the SDK's and the transport's errors into `ApiFailure`, without headers or key."""
        try:
            yield
        except self._sdk.APIStatusError as error:
            raise self._failure(error.response, create=create) from None
        except (self._sdk.APIConnectionError, self._http.HTTPError) as error:
            cause = error.__cause__ or error
            reason = _reason(cause)
            kind = FailureKind.AMBIGUOUS
            if isinstance(cause, (self._http.ConnectError, self._http.ConnectTimeout)):
                kind = FailureKind.NOT_SENT
            raise ApiFailure(
                kind, f"no answer from {self._client.base_url.host} ({reason})"
            ) from None


def _sent(headers: Headers) -> dict[str, str]:
    """Return the headers of a call with a JSON body."""
    sent = {
        "Content-Type": "application/json",
        "anthropic-version": headers.anthropic_version,
    }
    if headers.betas:
        sent["anthropic-beta"] = ",".join(headers.betas)
    return sent


def _reason(cause: BaseException) -> str:
    """Return a transport error in words; a protocol error may quote a header, and so the key."""
    name = type(cause).__name__
    return name if name == "LocalProtocolError" else f"{name}: {cause}".rstrip(": ")


class _Gate:
    """Streams a body and runs a callback when only its last byte is left (protocol §3.3)."""

    def __init__(self, body: CreateBody, before_last_byte: Callable[[], None]) -> None:
        self._body = body
        self._before = before_last_byte
        self.passed = False
        self.error: BaseException | None = None

    def pieces(self) -> Iterator[bytes]:
        held = b""
        for piece in self._body.pieces():
            if held:
                yield held
            held = piece
        if len(held) > 1:
            yield held[:-1]
        try:
            self._before()
        except Exception as error:
            self.error = error
            raise
        self.passed = True
        reached("gate")
        yield held[-1:]


def _parsed(parse: Callable[[bytes], T], body: bytes) -> T:
    try:
        return parse(body)
    except ValueError as error:
        raise ApiFailure(
            FailureKind.AMBIGUOUS, f"the answer could not be understood ({error})"
        ) from error
