"""What the program needs of the Message Batches API, as a Protocol and plain records.

`api.client` fills it through the anthropic SDK. Nothing here, and nothing above, retries a create.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

from batchspec.records import frozen
from batchspec.spec.headers import Headers
from batchspec.spec.listed import ListedModel

RETENTION = dt.timedelta(days=29)
"""Results can be read for so long after a batch's creation (fact sheet §1.9)."""


class ProcessingStatus(StrEnum):
    """Fact sheet §1.4."""

    IN_PROGRESS = "in_progress"
    CANCELING = "canceling"
    ENDED = "ended"


@frozen
class RequestCounts:
    """All requests sit in ``processing`` until the whole batch ends (fact sheet §1.4)."""

    processing: int
    succeeded: int
    errored: int
    canceled: int
    expired: int

    @property
    def total(self) -> int:
        """The number of requests in the batch, at any time."""
        return self.processing + self.succeeded + self.errored + self.canceled + self.expired

    def may_be(self, requests: int) -> bool:
        """Tell whether a batch of so many requests may show these counts.

        The sum is documented to hold at any time, and no batch is empty: a server, or a relay, that
        shows 0 does not tell the number yet, so such a batch may have any.
        """
        return self.total in (0, requests)


@frozen
class Batch:
    """The server's object (fact sheet §1.4)."""

    id: str
    status: ProcessingStatus
    counts: RequestCounts
    created_at: dt.datetime
    expires_at: dt.datetime | None
    ended_at: dt.datetime | None
    archived_at: dt.datetime | None
    results_url: str | None


@frozen
class Page:
    """One page of the listing, newest first."""

    batches: tuple[Batch, ...]
    has_more: bool
    server_time: dt.datetime | None
    """The response's Date header; None when the server sent none."""
    emulated: bool
    """The server says that it is an emulator."""
    workspace: str | None
    """The response's anthropic-workspace-id header."""


class FailureKind(StrEnum):
    """What a failed call means for the caller; fact sheet §3.1 and §3.2."""

    AMBIGUOUS = "ambiguous"
    """It may have happened: timeout, cut, 5xx, 408, 409, an answer that is not the API's."""
    NOT_SENT = "not_sent"
    """Provably nothing was done: no connection, or the body never became complete."""
    RATE_LIMITED = "rate_limited"
    """429 that passes with time; ``retry_after`` may be known."""
    SPEND_LIMIT = "spend_limit"
    """429/400/402 that does not pass until a person or a month changes it."""
    AUTH = "auth"
    """401, 403."""
    TOO_LARGE = "too_large"
    """413."""
    REJECTED = "rejected"
    """400, 404, 422 with the API's envelope: the request itself is refused."""
    NOT_FOUND = "not_found"
    """404 on a retrieve or results call."""


class ApiFailure(Exception):  # noqa: N818 - it is the kind that matters
    """A call that did not return what was asked. Carries no headers and no key."""

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after

    def without(self, secret: str) -> ApiFailure:
        """Return the same failure, its message without a secret that a server sent back."""
        return ApiFailure(
            self.kind,
            self.message.replace(secret, "[redacted]"),
            status=self.status,
            request_id=self.request_id,
            retry_after=self.retry_after,
        )


@frozen
class CreateBody:
    """A create call's body, streamed: ``length`` bytes in pieces of about 1 MB."""

    length: int
    pieces: Callable[[], Iterator[bytes]]

    def watched(self, sent: Callable[[], None]) -> CreateBody:
        """Return the same body, which calls ``sent`` whenever a piece was handed over."""

        def pieces() -> Iterator[bytes]:
            for piece in self.pieces():
                yield piece
                sent()

        return CreateBody(length=self.length, pieces=pieces)


@frozen
class ResultStream:
    """The bytes of a results file on their way."""

    pieces: Iterator[bytes]
    framed: bool
    """Length or chunks say where it ends; without either a cut looks like the end."""


class BatchApi(Protocol):
    """The calls of fact sheet §1.1 that the program makes."""

    def create(
        self, body: CreateBody, *, before_last_byte: Callable[[], None], headers: Headers
    ) -> Batch:
        """Make one batch, once.

        ``before_last_byte`` runs when all but the last byte was handed to the socket; if it raises,
        the connection is dropped, the batch cannot exist, and the exception passes through.

        Raises:
            ApiFailure: AMBIGUOUS only after ``before_last_byte`` returned.
        """
        ...

    def retrieve(self, batch_id: str) -> Batch:
        """Return the batch as it is now."""
        ...

    def page(
        self, *, limit: int = 1000, after_id: str | None = None, before_id: str | None = None
    ) -> Page:
        """Return one page of the workspace's batches, newest first."""
        ...

    def cancel(self, batch_id: str) -> Batch:
        """Ask for a batch to be canceled."""
        ...

    def results(self, batch: Batch) -> AbstractContextManager[ResultStream]:
        """Open the results as a stream of byte chunks, from the configured host only.

        Raises:
            ApiFailure: while opening or while iterating.
        """
        ...


@frozen
class UploadedFile:
    """A file of the workspace, as the Files API describes it (fact sheet §6.5)."""

    id: str
    name: str
    size: int
    """Bytes."""
    expires_at: dt.datetime | None
    """When its bytes become unavailable; None: never."""


@frozen
class FilePage:
    """One page of the workspace's files, newest first."""

    files: tuple[UploadedFile, ...]
    next_page: str | None
    """The cursor of the page after it; None: it is the last one."""


class FilesApi(Protocol):
    """The calls of the Files API that the program makes. All of them are free."""

    def upload(self, name: str, media_type: str, data: bytes, *, seconds: int) -> UploadedFile:
        """Make a file that lives for so many seconds; repeating it makes another one.

        Raises:
            ApiFailure: the call did not succeed, or may have.
        """
        ...

    def files(self, ids: Sequence[str]) -> tuple[UploadedFile, ...]:
        """Return those of at most 100 files that still exist. Raises ApiFailure."""
        ...

    def file_page(self, cursor: str | None = None) -> FilePage:
        """Return one page of all files. Raises ApiFailure."""
        ...


@frozen
class ModelPage:
    """One page of the models."""

    models: tuple[ListedModel, ...]
    has_more: bool
    last_id: str | None
    """What the next page comes after."""


class FactsApi(Protocol):
    """Calls that are free and change nothing: what the API knows of requests and models."""

    def count_tokens(self, body: bytes, *, headers: Headers) -> int:
        """Return the input tokens of a request (fact sheet §7).

        Raises:
            ApiFailure: the call did not succeed.
        """
        ...

    def models(self, *, after_id: str | None = None) -> ModelPage:
        """Return one page of all models, the retired ones included (fact sheet §8).

        Raises:
            ApiFailure: the call did not succeed.
        """
        ...
