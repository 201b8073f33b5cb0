"""The API: what changes something there goes through the anthropic SDK, the rest is only read.

The SDK's retries are off: repeating a create that may have happened is how a batch gets paid twice
(fact sheet §3.4). Redirects are not followed, and results are read from the configured host only,
so the key and the prompts go nowhere else (fact sheet §12.1).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from batchspec.api.answers import (
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
from batchspec.api.transport import Connection, Transport
from batchspec.crashpoints import reached
from batchspec.spec.headers import Headers

if TYPE_CHECKING:
    import anthropic

BATCHES = "/v1/messages/batches"
MODELS = "/v1/models"
FILES = "/v1/files"
COUNT_TOKENS = "/v1/messages/count_tokens"
RESULTS_TYPE = "application/binary"
LONGEST_PATH = 8192
"""Of a ``results_url``; the transport refuses addresses that are longer still."""
NOT_THERE = frozenset((FailureKind.NOT_FOUND, FailureKind.REJECTED, FailureKind.AUTH))
"""Refusals after which results are read where they were so far, not at the path that was named."""
TOO_LARGE = 413
"""Comes from in front of the API, perhaps without its error body (fact sheet §2.1)."""
T = TypeVar("T")


def warm_up() -> threading.Thread:
    """Import the SDK on a second thread; it costs over a second and planning needs none of it."""

    def load() -> None:
        import anthropic  # noqa: F401, PLC0415 - the import is the work

    thread = threading.Thread(target=load, name="import-sdk", daemon=True)
    thread.start()
    return thread


class _Sdk:
    """The SDK's client: its auth, its version header, its timeouts; no retries, no redirects."""

    def __init__(self, connection: Connection, transport: Transport) -> None:
        import anthropic  # noqa: PLC0415 - heavy: only what changes something there pays for it
        import httpx2  # noqa: PLC0415 - comes with it

        self._errors = anthropic
        self._transport = transport
        self.response = httpx2.Response
        self.client: anthropic.Anthropic = anthropic.Anthropic(
            api_key=connection.key,
            base_url=connection.base,
            max_retries=0,
            http_client=anthropic.DefaultHttpxClient(
                follow_redirects=False, trust_env=connection.trusts_environment
            ),
            default_headers=connection.all_headers,
            open_telemetry=False,
            timeout=httpx2.Timeout(60.0, connect=10.0),
        )
        self.create_timeout = httpx2.Timeout(connection.answer_seconds, connect=10.0)

    def post(self, path: str, *, create: bool = False, **said: Any) -> Any:
        """Return the response to a POST.

        Raises:
            ApiFailure: the server refuses, or does not answer.
        """
        with self.translated(create=create):
            answer: Any = self.client.post(path, cast_to=self.response, **said)
        return self._transport.accepted(answer, create=create)

    @contextlib.contextmanager
    def translated(self, *, create: bool = False) -> Iterator[None]:
        """Turn the SDK's errors into `ApiFailure`, without headers or key."""
        try:
            with self._transport.translated():
                yield
        except self._errors.APIStatusError as error:
            raise self._transport.failure(error.response, create=create) from None
        except self._errors.APIConnectionError as error:
            raise self._transport.unanswered(error.__cause__ or error) from None


class ApiClient:
    """`api.port.BatchApi`, and what else is asked of the API, over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transport = Transport(connection)
        self._opened_sdk = False

    @cached_property
    def _sdk(self) -> _Sdk:
        self._opened_sdk = True
        return _Sdk(self._connection, self._transport)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
        if self._opened_sdk:
            self._sdk.client.close()

    def create(
        self, body: CreateBody, *, before_last_byte: Callable[[], None], headers: Headers
    ) -> Batch:
        """Make one batch, once; see `BatchApi.create`."""
        gate = _Gate(body, before_last_byte)
        sent = _sent(headers) | {"Content-Length": str(body.length)}
        options = {"headers": sent, "timeout": self._sdk.create_timeout}
        try:
            answer = self._sdk.post(BATCHES, create=True, content=gate.pieces(), options=options)
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
        return _parsed(parse_batch, self._transport.get(f"{BATCHES}/{batch_id}", {}).content)

    def page(
        self, *, limit: int = 1000, after_id: str | None = None, before_id: str | None = None
    ) -> Page:
        """Return one page of the workspace's batches, newest first."""
        query = {"limit": limit, "after_id": after_id, "before_id": before_id}
        answer = self._transport.get(BATCHES, {k: v for k, v in query.items() if v is not None})
        return _parsed(lambda body: parse_page(body, answer.headers), answer.content)

    def cancel(self, batch_id: str) -> Batch:
        """Ask for a batch to be canceled; repeating it is harmless."""
        answer = self._sdk.post(f"{BATCHES}/{batch_id}/cancel")
        return _parsed(parse_batch, answer.content)

    def count_tokens(self, body: bytes, *, headers: Headers) -> int:
        """Return the input tokens of a request; see `FactsApi.count_tokens`."""
        answer = self._sdk.post(COUNT_TOKENS, content=body, options={"headers": _sent(headers)})
        return _parsed(parse_count, answer.content)

    def upload(self, name: str, media_type: str, data: bytes, *, seconds: int) -> UploadedFile:
        """Make a file; see `FilesApi.upload`."""
        with self._sdk.translated():
            raw = self._sdk.client.files.with_raw_response.upload(
                file=(name, data, media_type),
                expires_in_seconds=seconds,
                timeout=self._sdk.create_timeout,
            )
        return _parsed(parse_file, raw.read())

    def files(self, ids: Sequence[str]) -> tuple[UploadedFile, ...]:
        """Return those of the files that exist; see `FilesApi.files`."""
        return _parsed(parse_files, self._transport.get(FILES, {"ids[]": list(ids)}).content).files

    def file_page(self, cursor: str | None = None) -> FilePage:
        """Return one page of all files; see `FilesApi.file_page`."""
        query: dict[str, object] = {"limit": 1000}
        if cursor is not None:
            query["page"] = cursor
        return _parsed(parse_files, self._transport.get(FILES, query).content)

    def models(self, *, after_id: str | None = None) -> ModelPage:
        """Return one page of all models; see `FactsApi.models`."""
        query: dict[str, object] = {"limit": 1000, "lifecycle[]": list(LIFECYCLES)}
        if after_id is not None:
            query["after_id"] = after_id
        return _parsed(parse_models, self._transport.get(MODELS, query).content)

    @contextlib.contextmanager
    def results(self, batch: Batch) -> Iterator[ResultStream]:
        """Open the results as a stream of byte chunks, from the configured host only."""
        first, *others = self._results_urls(batch)
        with contextlib.ExitStack() as stack:
            try:
                response = stack.enter_context(self._transport.stream(first, RESULTS_TYPE))
            except ApiFailure as failure:
                if failure.kind not in NOT_THERE or not others:
                    raise
                response = stack.enter_context(self._transport.stream(others[0], RESULTS_TYPE))
            framed = not {"content-length", "transfer-encoding"}.isdisjoint(response.headers)
            yield ResultStream(pieces=self._transport.pieces(response), framed=framed)

    def _results_urls(self, batch: Batch) -> tuple[str, ...]:
        """Return where to read results, always on the host we were told to use.

        First the path that the API names, then the one it had so far (fact sheet §1.1).
        """
        base = self._transport.base
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


def _sent(headers: Headers) -> dict[str, str]:
    """Return the headers of a call with a JSON body."""
    sent = {
        "Content-Type": "application/json",
        "anthropic-version": headers.anthropic_version,
    }
    if headers.betas:
        sent["anthropic-beta"] = ",".join(headers.betas)
    return sent


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
