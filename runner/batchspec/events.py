"""What happens during a run, as values. `workflow` yields them; only `cli` shows them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from batchspec.records import frozen


@frozen
class Event:
    """Something that happened. Subclasses carry what a reader needs to follow the run."""


@frozen
class PlanReady(Event):
    """A spec was planned."""

    spec: str
    items: int
    submit: int
    requests: int
    unchanged: int
    failed: int
    in_flight: int
    usd: Decimal | None
    after: tuple[str, ...] = ()
    """Specs whose outputs are not there yet: its items are known only then."""


@frozen
class Rendering(Event):
    """Prompts are being rendered."""

    spec: str
    done: int


@frozen
class Reading(Event):
    """Batches of the workspace that the state does not know are being read."""

    done: int
    total: int


@frozen
class Uploading(Event):
    """A create body is being sent."""

    spec: str
    submission: str
    requests: int
    bytes: int


@frozen
class Submitted(Event):
    """The server confirmed a batch and its id is durable."""

    spec: str
    submission: str
    batch_id: str
    requests: int
    items: int | None = None
    """For how many items they ask; None: not known."""


@frozen
class Expectation:
    """How much longer open batches should take, judged by batches like them that have ended."""

    seconds: float
    """Until the last of them ends, by the median of those that took longer than it has so far."""
    least: float
    """The same, by the shortest of those."""
    most: float
    """The same, by the longest."""
    batches: int
    """How many ended batches it stands on."""


@frozen
class Progress:
    """How far submitted work has come."""

    batches: int
    """Batches of this work, those included that are not sent yet."""
    batches_done: int
    """Those whose answers are taken in."""
    requests: int
    requests_done: int
    items: int | None = None
    """Items that these requests ask for; None: not known of one of the batches."""
    items_done: int | None = None
    """Those whose last request is among the ones that are done."""
    elapsed: float
    """Seconds since it began."""
    expected: Expectation | None = None
    """None: no batch like these has ended yet, or one takes longer than any of them did."""
    late: int = 0
    """Batches in flight that take longer than any like them did before."""
    usd: Decimal | None = None
    """What the answers taken in cost; None: a price is not known."""
    usd_open: Decimal | None = None
    """The most that the rest may cost; None: a price is not known."""
    budget: Decimal | None = None
    """The ceiling over all of it; None: there is none."""


@frozen
class Waiting(Event):
    """The run waits: for batches to end, for a rate limit, or to be sure about a lost answer."""

    why: str
    """One sentence for a person."""
    seconds: float
    """How long until the next look."""
    open_batches: int = 0
    open_requests: int = 0
    spec: str | None = None
    progress: Progress | None = None
    """How far the run has come, where it waits for batches to end."""


@frozen
class Uncertain(Event):
    """A create call's outcome is unknown and is being found out by listing the workspace."""

    spec: str
    submission: str
    why: str


@frozen
class Settled(Event):
    """An uncertain create was decided."""

    spec: str
    submission: str
    batch_id: str | None
    """The batch that was found to be ours, or None: it was never made and will be asked again."""


@frozen
class Collecting(Event):
    """A batch has ended and its results are being read."""

    spec: str
    submission: str
    batch_id: str


@frozen
class Collected(Event):
    """A batch's results are complete and durable."""

    spec: str
    submission: str
    batch_id: str
    succeeded: int
    failed: int
    missing: int
    canceled: int = 0
    items: int | None = None
    """For how many items the batch asked; None: not known."""


@frozen
class Adopted(Event):
    """A paid batch that the state did not know was recognised and its results taken in."""

    batch_id: str
    answers: int


@frozen
class RetryRound(Event):
    """Failed questions are asked again."""

    spec: str
    requests: int
    why: str
    items: int | None = None
    """For how many items; None: not known."""


@frozen
class OutputWritten(Event):
    """An output file stands complete on disk."""

    spec: str
    path: str
    rows: int
    changed: bool
    """False: the bytes were the same already."""
    emulated: bool


@frozen
class LabelScore:
    """How well one label was given."""

    label: str
    expected: int
    """Rows that should have it."""
    given: int
    """Rows that got it."""
    correct: int
    """Rows that should have it and got it."""

    @property
    def precision(self) -> float | None:
        """The part of the rows that got it which should have it; None when no row got it."""
        return self.correct / self.given if self.given else None

    @property
    def recall(self) -> float | None:
        """The part of the rows that should have it which got it; None when none should."""
        return self.correct / self.expected if self.expected else None


@frozen
class Evaluation:
    """How well answers agree with reference labels."""

    compared: int
    """Rows with a reference label."""
    agreed: int
    labels: tuple[LabelScore, ...] = ()
    """Sorted by label; empty when there are too many for a table to say anything."""
    confusion: tuple[tuple[str, str | None, int], ...] = ()
    """Expected label, label given (None: no answer), and number of rows; sorted."""


@frozen
class CheckDone(Event):
    """A check was evaluated."""

    spec: str
    name: str
    kind: str
    """``sql``, or the key of a built-in kind."""
    severity: str
    verdict: str
    """``pass``, ``warn`` or ``error``."""
    failures: int
    """Rows that fail; they may be few enough for the verdict to be ``pass``."""
    samples: tuple[str, ...]
    """The first of them as JSON objects."""
    detail: str = ""
    """The figure that was compared with a limit, in one sentence; empty for rows that fail."""
    evaluation: Evaluation | None = None
    quarantine: str | None = None
    """The file that keeps the rows which fail; None when it keeps none of this check."""


@frozen
class Notice(Event):
    """Something worth a line: a decision taken, an oddity survived, a deadline coming near."""

    message: str
    warning: bool = False
    at: dt.datetime | None = None


@frozen
class FailedItem(Event):
    """An item without a usable answer at the end of a run."""

    spec: str
    key: str
    status: str
    detail: str


@frozen
class SpecDone(Event):
    """A spec's run is over."""

    spec: str
    items: int
    by_status: tuple[tuple[str, int], ...]
    """Status and count, in the order of `outputs.results.STATUSES`; zero counts left out."""
    requests_submitted: int
    usd: Decimal | None
    """What this run's collected answers really cost."""
    usd_total: Decimal | None
    complete: bool
    """False: work is in flight or held back; outputs were not written."""
    in_flight: int = 0
    """Requests that are."""
    cache: tuple[int, int] = (0, 0)
    """Prompt tokens that this run's answers read from the cache, and that they wrote to it."""
    tokens: tuple[int, int] = (0, 0)
    """Prompt tokens of this run's answers that no cache was used for, and tokens of output."""
    why: str = ""
    """Why it is not complete, as a sentence, where more can be said."""
    failed: int = 0
    """Items that failed; only the first of many come as `FailedItem`."""
