"""The fault menu: what can be made to go wrong, where, and how often.

A faults file is YAML; ``POST /_emulator/faults`` takes the same as JSON, and adds to what is set.

.. code-block:: yaml

    faults:
      - {endpoint: create, kind: status, status: 529, times: 2}
      - {endpoint: create, kind: cut_after}
      - {endpoint: results, kind: truncate_mid_line, lines: 10, after: 1}
      - {endpoint: retrieve, kind: not_found, rate: 0.1}
      - {endpoint: results, kind: drop_every, every: 100, batch: msgbatch_01…}

Each fault has an ``endpoint`` (create, retrieve, list, cancel, delete, results, count_tokens,
models, files, or any), a ``kind``, and says how often it strikes: ``times`` (how many calls,
1 unless the kind's default is otherwise; ``times: 0`` means always), or ``rate`` (share of calls,
decided by hash of seed and call number); ``after`` lets that many fitting calls pass before;
``batch`` limits it to one batch. ``KINDS`` lists the kinds with their options.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from batchspec.emulator.draws import unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ENDPOINTS = (
    "create", "retrieve", "list", "cancel", "delete", "results", "count_tokens", "models",
    "files", "any",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a kind of fault takes."""

    says: str
    """What it does, in one sentence; the reference page prints it."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Its options with their defaults; ``...`` marks one that must be given."""
    times: int | None = 1
    """Default number of calls it strikes; ``None`` is always."""
    endpoints: tuple[str, ...] = ENDPOINTS
    """Where it makes sense."""


_STATUS = {
    "message": None, "error_type": None, "retry_after": None, "error_code": None,
    "should_retry": None, "envelope": True, "request_id": True,
}  # fmt: skip
_RESULTS = ("results", "any")
_OBJECTS = ("retrieve", "list", "cancel", "any")

KINDS: Mapping[str, Kind] = {
    "status": Kind(
        says="Answers an HTTP status instead of doing anything.",
        options={"status": ..., **_STATUS},
    ),
    "status_after_commit": Kind(
        says="Does what was asked, then answers an HTTP status as if it had not.",
        options={"status": ..., **_STATUS},
    ),
    "not_found": Kind(says="Answers 404 although the thing exists."),
    "cut_before": Kind(says="Closes the connection without an answer; nothing was done."),
    "cut_after": Kind(says="Does what was asked, then closes the connection without an answer."),
    "hang_before": Kind(
        says="Waits some real seconds, then does what was asked.", options={"seconds": ...}
    ),
    "hang_after": Kind(
        says="Does what was asked, then waits some real seconds before it answers.",
        options={"seconds": ...},
    ),
    "slow_commit": Kind(
        says="Answers an error at once and creates the batch some real seconds later.",
        options={"seconds": ..., "status": 504},
        endpoints=("create",),
    ),
    "torn_response": Kind(
        says="Cuts a JSON answer in its middle; `framing: cut` also breaks the HTTP framing.",
        options={"at": 0.5, "framing": "complete"},
        endpoints=tuple(name for name in ENDPOINTS if name != "results"),
    ),
    "truncate_content_length": Kind(
        says="Ends the results before the announced Content-Length.",
        options={"lines": None},
        endpoints=_RESULTS,
    ),
    "truncate_chunked": Kind(
        says="Ends chunked results without the closing chunk.",
        options={"lines": None},
        endpoints=_RESULTS,
    ),
    "truncate_at_line": Kind(
        says="Ends close-delimited results after a complete line: nothing looks wrong.",
        options={"lines": None},
        endpoints=_RESULTS,
    ),
    "truncate_mid_line": Kind(
        says="Ends close-delimited results in the middle of a line.",
        options={"lines": None},
        endpoints=_RESULTS,
    ),
    "drop_every": Kind(
        says="Leaves out every n-th line.", options={"every": ...}, endpoints=_RESULTS
    ),
    "duplicate_every": Kind(
        says="Sends every n-th line twice.", options={"every": ...}, endpoints=_RESULTS
    ),
    "blank_lines": Kind(
        says="Puts an empty line after every n-th line.",
        options={"every": 1},
        endpoints=_RESULTS,
    ),
    "unknown_ids": Kind(
        says="Adds lines with custom_ids that are not in the batch.",
        options={"count": 1},
        endpoints=_RESULTS,
    ),
    "unknown_result_type": Kind(
        says="Gives every n-th line a result type that does not exist.",
        options={"every": 1},
        endpoints=_RESULTS,
    ),
    "unknown_error_type": Kind(
        says="Turns every n-th line into an error of a type that does not exist.",
        options={"every": 1},
        endpoints=_RESULTS,
    ),
    "garbage_line": Kind(
        says="Puts a line that is not JSON after every n-th line.",
        options={"every": 1},
        endpoints=_RESULTS,
    ),
    "line_separators": Kind(
        says="Puts U+2028 and U+0085, unescaped, into the text of every message.",
        endpoints=_RESULTS,
    ),
    "byte_order_mark": Kind(says="Puts a UTF-8 BOM before the first line.", endpoints=_RESULTS),
    "results_404": Kind(says="Answers 404 to results that exist.", endpoints=_RESULTS),
    "foreign_results_url": Kind(
        says="Sends results_url with another host; `url` is that host's base.",
        options={"url": "https://results.example.com"},
        times=None,
        endpoints=_OBJECTS,
    ),
    "relative_results_url": Kind(
        says="Sends results_url without scheme and host.", times=None, endpoints=_OBJECTS
    ),
    "list_ignores_cursor": Kind(
        says="Answers the first page whatever `after_id` and `before_id` say.",
        times=None,
        endpoints=("list", "any"),
    ),
    "frozen_date": Kind(
        says="Sends one and the same `Date` header: `date`, or that of the first call it strikes.",
        options={"date": None},
        times=None,
    ),
    "list_lag": Kind(
        says="Leaves batches out of the listing for some emulated seconds after creation.",
        options={"seconds": ...},
        times=None,
        endpoints=("list", "any"),
    ),
}
_LOWEST, _HIGHEST = 200, 599
_COMMON = ("endpoint", "kind", "times", "rate", "after", "batch")
_NUMBERS = ("seconds", "at", "lines", "every", "count", "status", "times", "rate", "after")


class FaultsError(ValueError):
    """A list of faults is not as it must be; the message lists everything that is wrong."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault that is set; it counts the calls it has seen."""

    id: int
    """Number by which the admin endpoint names it."""
    endpoint: str
    """Where it strikes."""
    kind: str
    """What it does."""
    options: dict[str, Any]
    """The kind's options, defaults filled in."""
    times: int | None = None
    """How many calls it strikes; ``None`` is all."""
    rate: float | None = None
    """Share of calls it strikes."""
    after: int = 0
    """Fitting calls it lets pass first."""
    batch: str | None = None
    """The only batch it strikes."""
    seen: int = 0
    """Fitting calls so far."""
    struck: int = 0
    """Calls it has struck."""
    kept: str | None = None
    """What it remembers of the first call it struck."""

    def fires(self, endpoint: str, batch: str | None, seed: int) -> bool:
        """Return whether it strikes this call, and count the call."""
        if self.endpoint not in (endpoint, "any") or self.batch not in (None, batch):
            return False
        if endpoint not in KINDS[self.kind].endpoints:
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        if self.times is not None and self.struck >= self.times:
            return False
        if self.rate is not None and unit("fault", seed, self.id, self.seen) >= self.rate:
            return False
        self.struck += 1
        return True

    def as_json(self) -> dict[str, Any]:
        """Return it as the admin endpoint shows it."""
        return {
            "id": self.id, "endpoint": self.endpoint, "kind": self.kind, **self.options,
            "times": self.times, "rate": self.rate, "after": self.after, "batch": self.batch,
            "seen": self.seen, "struck": self.struck,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Firing:
    """The faults that strike one call."""

    faults: tuple[Fault, ...] = ()
    """In the order they were set."""

    def option(self, kind: str, name: str) -> Any:
        """Return an option of the first fault of a kind, or ``None`` when none strikes."""
        for fault in self.faults:
            if fault.kind == kind:
                return fault.options[name]
        return None

    def has(self, kind: str) -> bool:
        """Return whether a fault of this kind strikes."""
        return any(fault.kind == kind for fault in self.faults)

    def of(self, *kinds: str) -> Iterator[Fault]:
        """Yield the faults of these kinds."""
        return (fault for fault in self.faults if fault.kind in kinds)


class FaultDesk:
    """All faults that are set.

    Args:
        seed: decides what strikes by rate.
    """

    def __init__(self, seed: int) -> None:
        self.faults: list[Fault] = []
        self._seed = seed
        self._ids = itertools.count(1)

    def add(self, value: Any) -> list[Fault]:
        """Set more faults: one, a list, or a mapping with ``faults``.

        Raises:
            FaultsError: when any of them is not as described; none is set then.
        """
        entries = value.get("faults", [value]) if isinstance(value, dict) else value
        if not isinstance(entries, list):
            raise FaultsError("expected a fault, a list of faults, or {'faults': […]}.")
        problems = [
            f"fault {number + 1}: {problem}"
            for number, entry in enumerate(entries)
            for problem in _problems(entry)
        ]
        if problems:
            raise FaultsError("\n".join(problems))
        added = [self._fault(entry) for entry in entries]
        self.faults += added
        return added

    def load(self, path: Path) -> None:
        """Set the faults of a YAML file.

        Raises:
            FaultsError: when the file is not as described.
        """
        try:
            value = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        except YAMLError as error:
            raise FaultsError(f"The faults file {path.name} is not valid YAML: {error}") from error
        self.add(value)

    def take(self, endpoint: str, batch: str | None) -> Firing:
        """Return the faults that strike a call, and count it."""
        return Firing(
            tuple(fault for fault in self.faults if fault.fires(endpoint, batch, self._seed))
        )

    def _fault(self, entry: dict[str, Any]) -> Fault:
        kind = KINDS[entry["kind"]]
        rate = entry.get("rate")
        default = None if rate is not None else kind.times
        times = entry.get("times", default)
        return Fault(
            id=next(self._ids),
            endpoint=entry.get("endpoint", "any"),
            kind=entry["kind"],
            options={name: entry.get(name, default) for name, default in kind.options.items()},
            times=None if times == 0 else times,
            rate=rate,
            after=entry.get("after", 0),
            batch=entry.get("batch"),
        )


def _problems(entry: Any) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield "a fault is a mapping with 'endpoint' and 'kind'."
        return
    kind = KINDS.get(entry["kind"]) if isinstance(entry.get("kind"), str) else None
    if kind is None:
        yield f"kind {entry.get('kind')!r} is none of {', '.join(KINDS)}."
        return
    endpoint = entry.get("endpoint", "any")
    if endpoint not in kind.endpoints:
        yield f"endpoint {endpoint!r} is none of {', '.join(kind.endpoints)} for {entry['kind']}."
    for key in entry:
        if key not in _COMMON and key not in kind.options:
            known = ", ".join((*_COMMON, *kind.options))
            yield f"unknown key {key!r} for {entry['kind']}; known are {known}."
    for name, default in kind.options.items():
        if default is ... and name not in entry:
            yield f"{entry['kind']} needs {name!r}."
    yield from _number_problems(entry)


def _number_problems(entry: dict[str, Any]) -> Iterator[str]:
    for name in _NUMBERS:
        value = entry.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            yield f"{name!r} is a number that is not negative."
        elif name in ("every", "status") and (not isinstance(value, int) or value < 1):
            yield f"{name!r} is a whole number from 1 on."
    status = entry.get("status")
    if (
        isinstance(status, int)
        and not isinstance(status, bool)
        and not _LOWEST <= status <= _HIGHEST
    ):
        yield "'status' lies between 200 and 599."
