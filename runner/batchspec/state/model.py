"""The state's records: submissions and what is known of questions."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import NamedTuple

from batchspec.plan.model import Outcome
from batchspec.records import frozen
from batchspec.state.parts import Part


class SubmissionState(StrEnum):
    """One attempt to create one batch; the transitions are those of the submit protocol §3.3."""

    PREPARED = "PREPARED"
    """Intent durable, nothing that could become a batch has left."""
    ARMED = "ARMED"
    """The last byte may have left."""
    UNKNOWN = "UNKNOWN"
    """It left and no usable answer came; only the workspace's listing can tell."""
    BOUND = "BOUND"
    """The batch's id is known."""
    ENDED = "ENDED"
    """The batch ended; results not yet taken in."""
    COLLECTED = "COLLECTED"
    REJECTED = "REJECTED"
    """The API said no: nothing was made, the questions are free again."""
    ABANDONED = "ABANDONED"
    """Proven never made; the questions are free again."""
    LOST_RESULTS = "LOST_RESULTS"
    """Paid, but the results cannot be read any more."""


OPEN = (
    SubmissionState.PREPARED,
    SubmissionState.ARMED,
    SubmissionState.UNKNOWN,
    SubmissionState.BOUND,
    SubmissionState.ENDED,
)
"""States in which a submission holds its questions."""

UNRESOLVED = (SubmissionState.PREPARED, SubmissionState.ARMED, SubmissionState.UNKNOWN)
"""States in which no batch id is known."""


@frozen
class Submission:
    """One planned create call and what became of it."""

    tag: str
    """8 base32 characters, random; part of every custom_id of this submission."""
    spec: str
    """Name of the spec that asked; empty for an adopted batch."""
    state: SubmissionState
    requests: int
    bytes: int
    """Length of the create body."""
    segment: str | None
    """Content name of the request segment; None for an adopted batch."""
    betas: tuple[str, ...] = ()
    batch_id: str | None = None
    anchor: str | None = None
    """Newest batch id in the workspace before arming; "" when the workspace was empty."""
    armed_at: dt.datetime | None = None
    """Server time of the listing before arming."""
    workspace: str | None = None
    created_at: dt.datetime | None = None
    """The server's created_at."""
    ended_at: dt.datetime | None = None
    results: str | None = None
    """Content name of the result segment once COLLECTED."""
    prepared_at: dt.datetime | None = None
    """Local clock; for people."""
    usd_max: str | None = None
    """Ceiling of what it may cost, decimal text; counted against budgets while in flight."""
    detail: str = ""
    """Last failure in words, for `status`."""
    key_label: str | None = None
    """Which key pays, as a label that is not the key; read back with `LedgerReader.key_labels`."""
    part: Part | None = None
    """What it is of its command's work; read back with `LedgerReader.parts`."""


class Verdict(NamedTuple):
    """What a collected submission says of one question. A named tuple: there are millions."""

    digest: bytes
    """First 16 bytes of the request hash."""
    attempt: int
    outcome: Outcome
