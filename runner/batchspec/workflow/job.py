"""One spec on its way through a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from batchspec.events import SpecDone
from batchspec.outputs.money import Use
from batchspec.plan.model import Outcome, Share, SpecPlan
from batchspec.spec.project import LoadedSpec
from batchspec.state.parts import Unsent
from batchspec.workflow.chunks import Chunk
from batchspec.workflow.outgoing import Outgoing

if TYPE_CHECKING:
    from batchspec.outputs.rows import Judge

FIRST_BATCH_LEAST = 10
"""A first batch smaller than this proves nothing by failing, unless the spec asks for a canary."""
AGAIN = {
    Outcome.MISSING: "without an answer",
    Outcome.ERRORED: "failed with an error that may pass",
    Outcome.EXPIRED: "expired",
    Outcome.INVALID: "answered invalidly",
}
"""Why questions are asked again, in words."""
HOPELESS = frozenset((Outcome.BAD_REQUEST, Outcome.INVALID, Outcome.REFUSED, Outcome.TRUNCATED))
"""Failures that come again for every item when the prompt is at fault."""


@dataclass(slots=True)
class Job:
    """Where a spec stands.

    A job is planned, its chunks are submitted one after the other, its batches are collected, and
    it is planned again, until a plan has nothing to submit and nothing is in flight.
    """

    loaded: LoadedSpec
    judge: Judge | None = None
    plan: SpecPlan | None = None
    """The newest round's plan."""
    awaits: bool = False
    """It is planned only when the answers that are in flight have been looked for."""
    planned_at: int = -1
    """The ledger's serial at the newest plan: planning again is of use once it has moved."""
    planned_as: str = ""
    """What `stopped` was then: planning again is of use once that has changed, too."""
    round: int = 0
    """How often something of it was submitted, with what is about to be; plans that were dropped
    before anything of them was sent do not count."""
    told: bool = False
    """Its first plan was told of."""
    chunks: Outgoing = field(default_factory=Outgoing)
    """What is still to be submitted in this round."""
    submitted: int = 0
    """Requests submitted by this run."""
    begun: int = 0
    """How many of those were submitted before it began anew; see `begin_anew`."""
    canary: str | None = None
    """Tag of a submission whose results have to be seen before the next chunk is sent."""
    first: str | None = None
    """Tag of this run's first submission that proves something by failing as a whole."""
    stopped: str = ""
    """Why nothing more is asked, as a sentence; empty: all is well."""
    collected: list[str] = field(default_factory=list)
    """Tags of the submissions whose answers this run took in."""
    usd: Decimal | None = Decimal(0)
    """What the answers collected by this run cost; None: price unknown."""
    again: Counter[Outcome] = field(default_factory=Counter)
    """What became of the questions collected since the newest plan that may be asked again."""
    use: Use = field(default_factory=Use)
    """The tokens of those answers."""
    canceled: bool = False
    """Somebody canceled a batch during this run: what it held is not asked again by this run."""
    applied: bool = False
    """The first batch of the plan is bound: its items are the baseline of the next plan."""
    deferred: bool = False
    """The plan that the run began with did not know its items yet."""
    done: SpecDone | None = None
    failed_items: int = 0
    failed_checks: int = 0

    @property
    def name(self) -> str:
        """The spec's name."""
        return self.loaded.spec.name

    @property
    def has_asked(self) -> bool:
        """Whether something was submitted since it began."""
        return self.submitted > self.begun

    def begin_anew(self) -> None:
        """Begin with questions that another spec was to ask and did not: nothing proves them."""
        self.round, self.first, self.begun = 1, None, self.submitted

    def without_answers(self, tag: str, *, again: bool) -> None:
        """Wait no longer for a batch that was never made, or that is lost.

        Args:
            tag: The submission's.
            again: When it was to prove the prompt, plan anew, so that another does.
        """
        if tag == self.first:
            self.first = None
        if tag != self.canary:
            return
        self.canary = None
        if again:
            self.chunks.clear()
            self.round, self.begun = 0, self.submitted

    def is_sending(self) -> bool:
        """Tell whether some of its plan is still to be sent, now or later."""
        return bool(self.chunks) and not self.stopped

    def may_submit(self) -> bool:
        """Tell whether the next chunk can be sent now."""
        return self.is_sending() and self.canary is None

    def proves(self, chunk: Chunk) -> bool:
        """Tell whether a first batch that fails as one stops the run; a primer does not."""
        asked_for = chunk.canary and bool(self.loaded.spec.canary)
        return asked_for or chunk.requests >= FIRST_BATCH_LEAST

    def learn(self, outcomes: dict[Outcome, int]) -> None:
        """Count what became of a collected submission's questions."""
        fatal = {Outcome.INVALID} if self.loaded.spec.response.on_invalid != "retry" else set()
        for outcome in AGAIN.keys() - fatal:
            self.again[outcome] += outcomes.get(outcome, 0)

    def why_again(self) -> str:
        """Return why questions are asked again, and forget it."""
        words = ", ".join(f"{self.again[o]:,} {why}" for o, why in AGAIN.items() if self.again[o])
        self.again.clear()
        return words or "left unanswered before"

    def first_batch_failed(self, outcomes: dict[Outcome, int]) -> str:
        """Return why the run stops after its first batch, or an empty string."""
        total = sum(outcomes.values())
        if len(outcomes) != 1:
            return ""
        (outcome,) = outcomes
        if outcome not in HOPELESS:
            return ""
        words = outcome.name.lower().replace("_", " ")
        what = f"All {total} requests of the first batch failed the same way"
        if total == 1:
            what = "The only request of the first batch failed"
        return (
            f"{what} ({words}), so nothing more is asked. Look at one with `batchspec show`, fix "
            "the spec, and run again."
        )


def unsent(jobs: Iterable[Job]) -> tuple[Unsent, ...]:
    """Return what some jobs are still to submit."""
    return tuple(_unsent(job) for job in jobs if job.chunks and not job.stopped)


def _unsent(job: Job) -> Unsent:
    most = [chunk.usd_most for chunk in job.chunks]
    known = [usd for usd in most if usd is not None]
    return Unsent(
        spec=job.name,
        batches=len(job.chunks),
        requests=sum(chunk.requests for chunk in job.chunks),
        share=share_of([chunk.share for chunk in job.chunks]),
        usd_max=sum(known, Decimal(0)) if len(known) == len(most) else None,
    )


def share_of(shares: Sequence[Share | None]) -> Share | None:
    """Return the share of several batches together; None: one of them was not counted."""
    counted = [share for share in shares if share is not None]
    if len(counted) < len(shares):
        return None
    again: Counter[str] = Counter()
    for share in counted:
        again.update(share.again)
    return Share(items=sum(share.items for share in counted), again=dict(again))
