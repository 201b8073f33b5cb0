"""How far submitted work has come: batches, requests, money, and when it should end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from batchspec.errors import DiskFailure, StateFailure
from batchspec.events import Progress
from batchspec.outputs.spending import spending
from batchspec.spec.project import LoadedSpec
from batchspec.state.ledger import LedgerReader
from batchspec.state.model import OPEN, Submission, SubmissionState
from batchspec.workflow.context import Session
from batchspec.workflow.expectation import Experience, after, together
from batchspec.workflow.spending import asked_of

_NOTHING_MADE = frozenset((SubmissionState.REJECTED, SubmissionState.ABANDONED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """A batch that is planned and not sent yet."""

    spec: str
    requests: int
    usd_max: Decimal | None


@dataclass(slots=True)
class Meter:
    """Measures how far some submissions have come; what was summed up once is kept.

    Attributes:
        session: The session; the API is not called.
        specs: The specs whose models and budgets count.
        max_usd: The command line's ceiling.
    """

    session: Session
    specs: Sequence[LoadedSpec]
    max_usd: Decimal | None = None
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
            took = [t for one in unsent for t in experience.durations(one.spec, one.requests)]
            expected = after(expected, sorted(took))
        most = [None if s.usd_max is None else Decimal(s.usd_max) for s in waiting]
        requests = sum(s.requests for s in done)
        left = sum(s.requests for s in waiting) + sum(one.requests for one in unsent)
        return Progress(
            batches=len(made) + len(unsent),
            batches_done=len(done),
            requests=requests + left,
            requests_done=requests,
            elapsed=elapsed,
            expected=expected,
            late=sum(experience.is_late(s, now) for s in waiting),
            usd=self._usd,
            usd_open=_sum([*most, *(one.usd_max for one in unsent)]),
            budget=self._ceiling({s.spec for s in made} | {one.spec for one in unsent}),
        )

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


def began_at(reader: LedgerReader, tags: Collection[str]) -> dt.datetime | None:
    """Return when the first of some submissions was made; None: nothing tells."""
    moments = [s.prepared_at or s.created_at for s in reader.submissions() if s.tag in tags]
    return min((moment for moment in moments if moment is not None), default=None)
