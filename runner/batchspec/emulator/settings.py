"""Settings of an emulator: limits, behaviours the API facts leave open, time, and answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSIONS = ("2023-06-01", "2026-10-21")
"""Values of the ``anthropic-version`` header that the API accepts (fact sheet §1.2)."""

HOUR = 3600.0
DAY = 24 * HOUR
EXPIRY_SECONDS = DAY
"""A batch expires this long after its creation (fact sheet §1.9)."""
ARCHIVE_SECONDS = 29 * DAY
"""Results are kept this long, counted from creation and not from the end (fact sheet §1.9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes and rates that the emulator enforces. ``None`` switches a limit off."""

    max_requests: int = 100_000
    """Requests in one batch (fact sheet §2.1)."""
    max_body_bytes: int = 256_000_000
    """Bytes of a create body. The sheet says 256 MB and leaves open MB or MiB: the smaller."""
    max_row_bytes: int | None = 32_000_000
    """Bytes of one request inside a batch. Unknown on the service (fact sheet §2.1)."""
    max_message_bytes: int = 32_000_000
    """Bytes of a count_tokens body (fact sheet §2.1)."""
    max_file_bytes: int = 500_000_000
    """Bytes of one uploaded file (fact sheet §2.1)."""
    requests_per_minute: int | None = None
    """HTTP requests per minute over all batch endpoints, a token bucket (fact sheet §2.2)."""
    count_tokens_per_minute: int | None = None
    """HTTP requests per minute to count_tokens, counted apart (fact sheet §7)."""
    queue_requests: int | None = None
    """Requests that may wait in the processing queue over all batches (fact sheet §2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknowns:
    """What the fact sheet lists as not known (§15). Each is a choice; the default is the guess."""

    premature_delete_status: Literal[400, 409] = 400
    """Answer to deleting a batch that has not ended."""
    cancel_after_end: Literal["unchanged", "error"] = "unchanged"
    """Cancelling an ended batch: 200 with the object as it is, or 400."""
    results_before_end_status: Literal[400, 404] = 404
    """Answer to reading results before the batch has ended."""
    results_after_archive_status: Literal[400, 404, 410] = 404
    """Answer to reading results after 29 days."""
    archived_results_url: Literal["null", "kept"] = "null"
    """Whether ``results_url`` turns null when the batch is archived."""
    unknown_cursor: Literal["error", "empty"] = "error"
    """A list cursor that names no batch: 404, or an empty page."""
    row_errors: Literal["row", "create"] = "row"
    """Faults inside ``params``: errored lines after the end, or 400 for the whole batch."""
    stream_refusal: Literal["row", "create"] = "create"
    """The same choice for ``stream: true``, ``speed`` and ``max_tokens: 0``."""
    gzip_create: Literal["refuse", "accept"] = "refuse"
    """Whether a gzip request body is taken on create."""
    results_url: Literal["absolute", "relative"] = "absolute"
    """The form of ``results_url``. Every official sample is absolute."""
    rate_limit_headers: bool = False
    """Whether batch endpoints send ``anthropic-ratelimit-*`` while a limit is switched on."""
    downloadable_uploads: bool = False
    """Whether uploaded files can be downloaded; the service says that only generated ones can."""
    unknown_model: Literal["errored", "accept"] = "errored"
    """Rows that name a model outside the catalogue."""

    @classmethod
    def of(cls, entries: Sequence[str]) -> Self:
        """Return the choices that ``name=value`` entries make, as a command line gives them.

        Raises:
            ValueError: when a name or a value is not known; the message lists what is.
        """
        hints = get_type_hints(cls)
        chosen: dict[str, Any] = {}
        for entry in entries:
            name, _, text = entry.partition("=")
            if name not in hints:
                raise ValueError(f"unknown choice {name!r}; known are {', '.join(hints)}.")
            options = {str(option).lower(): option for option in get_args(hints[name])}
            options = options or {"true": True, "false": False}
            if text.lower() not in options:
                raise ValueError(f"{name} is one of {', '.join(options)}, not {text!r}.")
            chosen[name] = options[text.lower()]
        return cls(**chosen)


def keys_of(entries: Sequence[str]) -> dict[str, str]:
    """Return API keys and their workspaces from ``KEY`` or ``KEY=WORKSPACE`` entries."""
    pairs = (entry.partition("=") for entry in entries)
    return {key: workspace or "default" for key, _, workspace in pairs}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorSettings:
    """Everything an emulator needs to know before it starts."""

    data_dir: Path
    """Folder of the store; made when missing. A second start finds the batches of the first."""
    answers: Path | None = None
    """YAML of rules and answers; its format is in ``batchspec.emulator.rules``."""
    faults: Path | None = None
    """YAML of faults to start with; its format is in ``batchspec.emulator.faults``."""
    replay: tuple[Path, ...] = ()
    """Recorded results to answer from; the format is in ``batchspec.emulator.replay``."""
    replay_only: bool = False
    """Whether a question outside the recordings is an errored line, and no generated answer."""
    delay_seconds: float = 0.0
    """Emulated seconds from creation to the end of a batch."""
    cancel_seconds: float = 0.0
    """Emulated seconds a cancelled batch stays ``canceling`` at most."""
    cache_warm_seconds: float = 2.0
    """Emulated seconds after which a cache entry that was written can be read."""
    seed: int = 0
    """Varies answers, their order and every choice by rate; equal seeds give equal results."""
    speed: float = 1.0
    """Emulated seconds per real second."""
    stepped: bool = False
    """True: time stands still and moves only through ``POST /_emulator/clock``."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Files that every workspace holds from the start, by id."""
    placeholders: bool = False
    """Whether the placeholder ids and cursors of the SDKs' own test suites name something."""
    keys: Mapping[str, str] | None = None
    """API key to workspace id. ``None`` takes any key; then all is in one workspace, unless the
    ``anthropic-workspace-id`` header names another."""
    limits: Limits = field(default_factory=Limits)
    """Sizes and rates."""
    unknowns: Unknowns = field(default_factory=Unknowns)
    """Choices where the real behaviour is not known."""
