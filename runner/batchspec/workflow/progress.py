"""How far submitted work has come: batches, items, money, and when it should end."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal

from batchspec.errors import DiskFailure, StateFailure
from batchspec.events import Progress
from batchspec.outputs.spending import spending
from batchspec.plan.model import Share
from batchspec.spec.project import LoadedSpec
from batchspec.state.ledger import LedgerReader
from batchspec.state.model import OPEN, Submission, SubmissionState
from batchspec.state.parts import Part, Unsent
from batchspec.workflow.context import Session
from batchspec.workflow.expectation import Experience, after, together
from batchspec.workflow.spending import asked_of

_NOTHING_MADE = frozenset((SubmissionState.REJECTED, SubmissionState.ABANDONED))


@dataclass(slots=True)
class Meter:
    """Measures how far some submissions have come; what was summed up once is kept.

    Attributes:
        session: The session; the API is not called.
        specs: The specs whose models and budgets count.
        max_usd: The command line's ceiling.
        held: Items of submissions of which the ledger does not tell them, by tag and spec.
    """

    session: Session
    specs: Sequence[LoadedSpec]
    max_usd: Decimal | None = None
    held: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    _priced: set[str] = field(default_factory=set)
    _usd: Decimal | None = Decimal(0)

    def progress(
        self,
        reader: LedgerReader,
        tags: Collection[str],
        elapsed: float,
        unsent: Sequence[Unsent] = (),
    ) -> Progress:
        """Return how far the submissions with these tags have come.

        Args:
            reader: The state.
            tags: The submissions that are measured; those that came to nothing do not count.
            elapsed: Seconds since the work began.
            unsent: What is planned beside them.
        """
        known = reader.submissions()
        made = [s for s in known if s.tag in tags and s.state not in _NOTHING_MADE]
        waiting = [s for s in made if s.state in OPEN]
        done = [s for s in made if s.state not in OPEN]
        self._price(reader, [s for s in done if s.results is not None])
        models = {loaded.spec.name: loaded.spec.model for loaded in self.specs}
        experience = Experience.of(known, models)
        now = self.session.clock.now()
        expected = together([experience.left(s, now) for s in waiting])
        if unsent:
            took = [
                seconds
                for one in unsent
                for seconds in experience.durations(one.spec, one.requests // one.batches)
            ]
            expected = after(expected, sorted(took))
        most = [None if s.usd_max is None else Decimal(s.usd_max) for s in waiting]
        requests = sum(s.requests for s in done)
        left = sum(s.requests for s in waiting) + sum(one.requests for one in unsent)
        items, items_done = self._items(reader, made, unsent)
        return Progress(
            batches=len(made) + sum(one.batches for one in unsent),
            batches_done=len(done),
            requests=requests + left,
            requests_done=requests,
            items=items,
            items_done=items_done,
            elapsed=elapsed,
            expected=expected,
            late=sum(experience.is_late(s, now) for s in waiting),
            usd=self._usd,
            usd_open=_sum([*most, *(one.usd_max for one in unsent)]),
            budget=self._ceiling({s.spec for s in made} | {one.spec for one in unsent}),
        )

    def _items(
        self, reader: LedgerReader, made: Sequence[Submission], unsent: Sequence[Unsent]
    ) -> tuple[int | None, int | None]:
        """Return how many items ask, and how many of them got what they asked for last."""
        parts = reader.parts()
        own: dict[tuple[str, str], int] = {}
        moved: Counter[tuple[str, str]] = Counter()
        for one in made:
            share = _share(parts.get(one.tag))
            items = self._by_spec(one, share)
            if items is None:
                return None, None
            own |= {(one.tag, spec): number for spec, number in items.items()}
            moved.update(_again(one.spec, share))
        planned = 0
        for batch in unsent:
            if batch.share is None:
                return None, None
            planned += batch.share.items
            moved.update(_again(batch.spec, batch.share))
        left = {of: max(0, number - moved[of]) for of, number in own.items()}
        over = {one.tag for one in made if one.state not in OPEN}
        done = sum(number for (tag, _), number in left.items() if tag in over)
        return sum(left.values()) + planned, done

    def _by_spec(self, submission: Submission, share: Share | None) -> Mapping[str, int] | None:
        """Return for how many items of which spec a submission asked; None: it is not known."""
        if share is not None:
            return {submission.spec: share.items}
        counted = self.held.get(submission.tag, {})
        # Of an adopted batch no spec is known: it is of those that have been planned.
        known = submission.spec in counted or (counted and not submission.spec)
        return counted if known else None

    def _price(self, reader: LedgerReader, done: Sequence[Submission]) -> None:
        """Add what newly collected answers cost; unknown where they cannot be read."""
        new = [s for s in done if s.tag not in self._priced]
        if not new:
            return
        self._priced.update(s.tag for s in new)
        try:
            asked = asked_of(self.session, reader, new, self.specs)
            with self.session.engine() as engine:
                groups = spending(engine, asked, self.session.catalogue)
        except (DiskFailure, StateFailure):
            self._usd = None
            return
        costs = [None if group.sums.unpriced else group.sums.usd for group in groups]
        self._usd = _sum([self._usd, *costs])

    def _ceiling(self, names: Collection[str]) -> Decimal | None:
        """Return the lowest ceiling over all the work of some specs."""
        own = [one.spec.budget.max_usd for one in self.specs if one.spec.name in names]
        every = _sum(own) if len(own) == len(names) else None
        limits = (self.session.project.config.budget.max_usd, self.max_usd, every)
        return min((limit for limit in limits if limit is not None), default=None)


def _share(part: Part | None) -> Share | None:
    return None if part is None else part.share


def _again(spec: str, share: Share | None) -> dict[tuple[str, str], int]:
    """Return whose items a share takes over: of the same spec, as each has its own items."""
    return {} if share is None else {(tag, spec): items for tag, items in share.again.items()}


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Return a sum; None when a part of it is not known."""
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def work_of(reader: LedgerReader, open_tags: Collection[str]) -> frozenset[str]:
    """Return the tags of all submissions that the commands began which began the open ones."""
    if not open_tags:
        return frozenset()
    begun = [s for s in reader.transitions() if s.state is SubmissionState.PREPARED and s.run]
    runs = {step.run for step in begun if step.tag in open_tags}
    return frozenset(open_tags) | {step.tag for step in begun if step.run in runs}


def behind_of(reader: LedgerReader, tags: AbstractSet[str]) -> tuple[Unsent, ...]:
    """Return what the command that is at work is still to send, if it sent one of these."""
    record = next(iter(reader.runs()), None)
    if record is None or record.ended_at is not None:
        return ()
    begun = [
        step.tag
        for step in reader.transitions()
        if step.state is SubmissionState.PREPARED and step.run == record.run
    ]
    part = reader.part(begun[-1]) if begun and not tags.isdisjoint(begun) else None
    return () if part is None else part.behind


def began_at(reader: LedgerReader, tags: Collection[str]) -> dt.datetime | None:
    """Return when the first of some submissions was made; None: nothing tells."""
    moments = [s.prepared_at or s.created_at for s in reader.submissions() if s.tag in tags]
    return min((moment for moment in moments if moment is not None), default=None)
