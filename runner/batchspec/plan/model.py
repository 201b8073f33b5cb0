"""The plan as closed, frozen records. Bytes are in `plan.planfile`, words in `report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

from batchspec.plan.wording import Rewording
from batchspec.records import frozen
from batchspec.spec.environments import Environment

JsonKey = str
"""An item's key as canonical JSON text: ``"T-17"``, ``17`` or ``["a",1]`` (quotes included)."""


class Outcome(IntEnum):
    """What is known of one question. Stored as a small integer in the ledger and in Parquet."""

    IN_FLIGHT = 0
    """Claimed by a submission that is not collected yet."""
    SUCCEEDED = 1
    INVALID = 2
    """Answered, but the answer does not satisfy ``response.schema``."""
    REFUSED = 3
    """Answered with ``stop_reason: refusal``."""
    TRUNCATED = 4
    """Cut by ``max_tokens``, the context window, or an unfinished server-tool turn."""
    ERRORED = 5
    """Errored in a way that may pass: overloaded, api_error, rate limit, timeout, unknown."""
    BAD_REQUEST = 6
    """Errored in a way that will not pass: invalid_request_error and its kin; also a result of a
    type that is not known here, which may have been paid."""
    EXPIRED = 7
    CANCELED = 8
    MISSING = 9
    """The batch ended and its results, read repeatedly, had no line for this question."""
    LOST = 10
    """Paid, perhaps, but the results can no longer be read: a person decides."""
    UNCHECKED = 11
    """An adopted answer (`recover`) that no spec has validated yet."""


class Action(StrEnum):
    """What a plan does with an item. Drives behaviour; reasons do not."""

    SUBMIT = "submit"
    UNCHANGED = "unchanged"
    IN_FLIGHT = "in_flight"
    FAILED = "failed"
    REMOVED = "removed"


class Reason(StrEnum):
    """Why an item is submitted. For people; drives nothing."""

    NEW = "new"
    INPUT = "input"
    PROMPT = "prompt"
    MODEL = "model"
    PARAMS = "params"
    SCHEMA = "schema"
    VARS = "vars"
    FILES = "files"
    CACHE = "cache"
    RETRY = "retry"


@frozen
class Counts:
    """Items by action; ``submit + unchanged + in_flight + failed`` is the number of items."""

    submit: int = 0
    unchanged: int = 0
    in_flight: int = 0
    failed: int = 0
    removed: int = 0
    """Keys of the last applied items that the inputs no longer have; not part of the sum."""
    duplicate: int = 0
    """Items to submit whose question another item asks, of this spec or of another one in the plan:
    submit minus requests."""


@frozen
class Estimate:
    """Tokens and USD of what would be submitted. Money in decimal USD; None: price unknown."""

    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal | None = None
    """Expected, at batch price."""
    usd_min: Decimal | None = None
    usd_max: Decimal | None = None
    """Every answer as long as max_tokens allows and no cache hit."""
    usd_without_batch: Decimal | None = None
    """Expected, at the price of the same requests sent one by one."""
    primer: bool = False
    """One request goes first, alone, so that the others can read its prefix from the cache; the
    expected price counts on it."""
    notes: tuple[str, ...] = ()
    """What the reader should know of the estimate, e.g. why no cache breakpoint was placed."""
    answers: int = 0
    """So many collected answers of the spec calibrated it."""
    counted: int = 0
    """Of so many requests the API counted the input tokens."""


@frozen
class Change:
    """One item that a plan names."""

    key: JsonKey
    action: Action
    reason: Reason | None
    request_hash: str
    """64 hex digits; for a removed item, the hash it last had."""
    outcome: Outcome | None = None
    """The last outcome, for failed and retried items."""


@frozen
class Share:
    """For how many items the requests of a batch ask."""

    items: int
    """Items that get their answers from them; more than requests where items are alike."""
    again: Mapping[str, int] = field(default_factory=dict)
    """Those of them that submissions asked for before, by the tag of the last one."""


@frozen
class Reworded:
    """How the request of one item that was asked before differs now; an example for people."""

    key: JsonKey
    reason: Reason
    rewording: Rewording


@frozen
class SpecPlan:
    """What would be done for one spec."""

    name: str
    model: str
    items: int
    counts: Counts
    reasons: dict[Reason, int]
    requests: int
    """Distinct questions to submit; without those that another spec of the plan submits."""
    batches: int
    bytes: int
    """Size of the create bodies, in bytes."""
    estimate: Estimate
    changes: Sequence[Change]
    """Every submitted, failed and removed item, in key order, removed ones last."""
    digests: dict[str, str] = field(default_factory=dict)
    """``spec``, ``inputs`` (Merkle over key and request hash): what a saved plan is bound to."""
    changed_files: tuple[str, ...] = ()
    """Files that the prompt reads and whose content changed, sorted; for the reason ``files``."""
    reworded: tuple[Reworded, ...] = ()
    """How a few of the changed requests differ from what was asked before."""
    elsewhere: bool = False
    """Some of its questions another spec of the plan submits. Not kept in a saved plan."""
    after: tuple[str, ...] = ()
    """Specs it needs whose outputs are not there yet: nothing else is known of it before."""

    @property
    def only_again(self) -> bool:
        """Whether every question of an item to submit was asked before."""
        return self.counts.submit == self.reasons.get(Reason.RETRY, 0)


@frozen
class Plan:
    """What would be done for all selected specs."""

    specs: tuple[SpecPlan, ...]
    state: dict[str, Any] = field(default_factory=dict)
    """``lineage`` and ``serial`` of the state the plan was made against."""
    environment: Environment | None = None
    """The environment it was made for."""
    digest: str = field(default="", compare=False)
    """Digest of the file that it was read from; empty: it was not saved."""
