"""What an HTTP answer of the API means: batches, pages and failures out of status and bytes."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import fields
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from batchspec.api.port import (
    ApiFailure,
    Batch,
    FailureKind,
    FilePage,
    Page,
    ProcessingStatus,
    RequestCounts,
    UploadedFile,
)

SPEND_CODES = frozenset(
    (
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
        "linked_organization_billing_unavailable",
        "linked_organization_spend_limit_reached",
    )
)
"""Fact sheet §3.2: no wait helps; a person or the next month does."""
REDIRECTS = 3
"""Hundreds of the statuses that are not followed (fact sheet §12.1)."""
DEFINITE = frozenset((400, 401, 402, 403, 404, 413, 422, 429))
"""Statuses that prove nothing was made, when they carry the API's envelope (protocol §3.3)."""


UNDATED = dt.datetime.max.replace(tzinfo=dt.UTC)
"""Stands in for a ``created_at`` that is missing: never old enough to end a walk."""


_ID = re.compile(r"[A-Za-z0-9_.~:-]{1,200}")
"""A batch id is opaque (fact sheet §1.4), but it has to stand in a path and in a line of text."""


def _id(value: object) -> str:
    if not isinstance(value, str) or _ID.fullmatch(value) is None or value in (".", ".."):
        raise TypeError("its id is not one that can stand in a path")
    return value


def _status(text: object) -> ProcessingStatus:
    """Return the status; one that this version does not know is not an end."""
    known = {status.value: status for status in ProcessingStatus}
    return known.get(str(text), ProcessingStatus.IN_PROGRESS)


def parse_batch(body: bytes) -> Batch:
    """Return the batch of a 2xx answer.

    Raises:
        ValueError: when the body is not a MessageBatch; the caller decides what that means.
    """
    raw = orjson.loads(body)
    if not isinstance(raw, dict):
        raise ValueError("the answer is not a JSON object")  # noqa: TRY004 - a wrong value, not a wrong type of ours
    return batch_of(raw)


def batch_of(raw: Mapping[str, Any]) -> Batch:
    """Return the record of a MessageBatch object (fact sheet §1.4).

    Raises:
        ValueError: when a field that matters is missing or of another type.
    """
    try:
        counts = raw.get("request_counts") or {}
        results_url = raw.get("results_url")
        return Batch(
            id=_id(raw["id"]),
            status=_status(raw["processing_status"]),
            counts=RequestCounts(
                **{one.name: int(counts.get(one.name) or 0) for one in fields(RequestCounts)}
            ),
            created_at=_time(raw.get("created_at")) or UNDATED,
            expires_at=_time(raw.get("expires_at")),
            ended_at=_time(raw.get("ended_at")),
            archived_at=_time(raw.get("archived_at")),
            results_url=results_url if isinstance(results_url, str) else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the answer is not a message batch: {error!r}") from error


def parse_page(body: bytes, headers: Mapping[str, str]) -> Page:
    """Return the page of a 2xx answer to list.

    Raises:
        ValueError: when the body is not a page.
    """
    raw = orjson.loads(body)
    try:
        batches = tuple(batch_of(item) for item in raw["data"])
        more = bool(raw.get("has_more", False))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the answer is not a page of batches: {error!r}") from error
    return Page(
        batches=batches,
        has_more=more,
        server_time=_http_date(headers.get("date")),
        emulated=headers.get("x-batchspec-emulator") == "1",
        workspace=headers.get("anthropic-workspace-id"),
    )


def file_of(raw: Mapping[str, Any]) -> UploadedFile:
    """Return the record of a file's metadata.

    Raises:
        ValueError: when a field that matters is missing or of another type.
    """
    try:
        return UploadedFile(
            id=str(raw["id"]),
            name=str(raw["filename"]),
            size=int(raw["size_bytes"]),
            expires_at=_time(raw.get("expires_at")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the answer is not a file: {error!r}") from error


def parse_file(body: bytes) -> UploadedFile:
    """Return the file of a 2xx answer to an upload. Raises ValueError."""
    return file_of(orjson.loads(body))


def parse_files(body: bytes) -> FilePage:
    """Return the page of a 2xx answer to a list of files. Raises ValueError."""
    raw = orjson.loads(body)
    try:
        files = tuple(file_of(item) for item in raw["data"])
        following = raw.get("next_page")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the answer is not a page of files: {error!r}") from error
    return FilePage(files=files, next_page=following if isinstance(following, str) else None)


def parse_count(body: bytes) -> int:
    """Return the number of a 2xx answer to count_tokens.

    Raises:
        ValueError: when the body has no such number.
    """
    raw = orjson.loads(body)
    tokens = raw.get("input_tokens") if isinstance(raw, dict) else None
    if type(tokens) is not int or tokens < 0:
        raise ValueError("the answer has no input_tokens")
    return tokens


def failure_of(status: int, body: bytes, headers: Mapping[str, str], *, create: bool) -> ApiFailure:
    """Return what a non-2xx answer means; fact sheet §3.1, protocol §3.3."""
    error, request_id = _envelope(body)
    request_id = headers.get("request-id") or request_id
    ours = bool(error) and request_id is not None
    message = f"{status} {error.get('type', 'without an error body of the API')}"
    if error.get("message"):
        message += f": {error['message']}"
    return ApiFailure(
        _kind(status, error, ours=ours, create=create),
        message,
        status=status,
        request_id=request_id,
        retry_after=retry_after(headers),
    )


def _kind(status: int, error: Mapping[str, Any], *, ours: bool, create: bool) -> FailureKind:
    if status // 100 == REDIRECTS and not create:
        return FailureKind.REJECTED
    if status not in DEFINITE or (create and not ours):
        return FailureKind.AMBIGUOUS
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    if status == 402 or code in SPEND_CODES:  # noqa: PLR2004 - fact sheet §3.1
        return FailureKind.SPEND_LIMIT
    kinds = {
        401: FailureKind.AUTH,
        403: FailureKind.AUTH,
        413: FailureKind.TOO_LARGE,
        429: FailureKind.RATE_LIMITED,
    }
    if status == 404 and not create:  # noqa: PLR2004 - fact sheet §3.1
        return FailureKind.NOT_FOUND
    return kinds.get(status, FailureKind.REJECTED)


def _envelope(body: bytes) -> tuple[dict[str, Any], str | None]:
    try:
        raw = orjson.loads(body)
        error = raw["error"]
        if raw["type"] == "error" and isinstance(error["type"], str):
            return error, raw.get("request_id")
    except (ValueError, KeyError, TypeError):
        pass
    return {}, None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a ``retry-after`` header asks to wait, in either of its forms."""
    text = headers.get("retry-after")
    try:
        seconds = None if text is None else float(text)
    except ValueError:
        until, now = _http_date(text), _http_date(headers.get("date"))
        return None if until is None or now is None else max(0.0, (until - now).total_seconds())
    return None if seconds is None or not math.isfinite(seconds) else max(0.0, seconds)


def _http_date(text: str | None) -> dt.datetime | None:
    try:
        moment = None if text is None else parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else _required(text)


def _required(text: object) -> dt.datetime:
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not a time")
    value = dt.datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)
