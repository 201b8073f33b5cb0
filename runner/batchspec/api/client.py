"""The API's calls; each is made once.

Repeating a create that may have happened is how a batch gets paid twice (fact sheet §3.4), so
nothing here retries. Redirects are not followed, and results are read from the configured host
only, so the key and the prompts go nowhere else (fact sheet §12.1). Files are uploaded through the
anthropic SDK; every other call goes over the library that the SDK sends with (`api.transport`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar
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


class _Uploader:
    """The SDK's client, for forms with a file in them; no retries, no redirects."""

    def __init__(self, connection: Connection, transport: Transport) -> None:
        import anthropic  # noqa: PLC0415 - heavy: only who uploads files pays for it
        import httpx2  # noqa: PLC0415 - comes with it

        self._errors = anthropic
        self._transport = transport
        self._client: anthropic.Anthropic = anthropic.Anthropic(
            api_key=connection.key,
            base_url=connection.base,
            max_retries=0,
            http_client=anthropic.DefaultHttpxClient(
                follow_redirects=False, trust_env=connection.trusts_environment
            ),
            default_headers=connection.all_headers,
            open_telemetry=False,
            timeout=httpx2.Timeout(connection.answer_seconds, connect=10.0),
        )

    def upload(self, name: str, media_type: str, data: bytes, *, seconds: int) -> bytes:
        """Return the body of the answer.

        Raises:
            ApiFailure: the server refuses, or does not answer; without headers or key.
        """
        try:
            with self._transport.translated():
                answer = self._client.files.with_raw_response.upload(
                    file=(name, data, media_type), expires_in_seconds=seconds
                )
        except self._errors.APIStatusError as error:
            raise self._transport.failure(error.response, create=False) from None
        except self._errors.APIConnectionError as error:
            raise self._transport.unanswered(error.__cause__ or error) from None
        return answer.read()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class ApiClient:
    """`api.port.BatchApi`, and what else is asked of the API, over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transport = Transport(connection)
        self._opened_uploader = False

    @cached_property
    def _uploader(self) -> _Uploader:
        self._opened_uploader = True
        return _Uploader(self._connection, self._transport)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
        if self._opened_uploader:
            self._uploader.close()

    def create(
        self, body: CreateBody, *, before_last_byte: Callable[[], None], headers: Headers
    ) -> Batch:
        """Make one batch, once; see `BatchApi.create`."""
        gate = _Gate(body, before_last_byte)
        sent = _sent(headers) | {"Content-Length": str(body.length)}
        try:
            answer = self._transport.post(BATCHES, gate.pieces(), headers=sent, create=True)
        except ApiFailure as failure:
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
        answer = self._transport.post(f"{BATCHES}/{batch_id}/cancel")
        return _parsed(parse_batch, answer.content)

    def count_tokens(self, body: bytes, *, headers: Headers) -> int:
        """Return the input tokens of a request; see `FactsApi.count_tokens`."""
        answer = self._transport.post(COUNT_TOKENS, body, headers=_sent(headers))
        return _parsed(parse_count, answer.content)

    def upload(self, name: str, media_type: str, data: bytes, *, seconds: int) -> UploadedFile:
        """Make a file; see `FilesApi.upload`."""
        return _parsed(parse_file, self._uploader.upload(name, media_type, data, seconds=seconds))

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

    def pieces(self) -> Iterator[bytes]:
        held = b""
        for piece in self._body.pieces():
            if held:
                yield held
            held = piece
        if len(held) > 1:
            yield held[:-1]
        self._before()
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
