"""When batches in flight should end, judged by how long batches like them took before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Final

from batchspec.events import Expectation
from batchspec.state.model import Submission

ALIKE: Final = 4
"""A batch is of like size with up to so many times more or fewer requests."""
ENOUGH: Final = 3
"""With fewer batches of like size, all batches of the same model are looked at."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A batch that has ended."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Experience:
    """How long the batches of a project took, by model."""

    models: Mapping[str, str]
    """Models by spec."""
    ended: Mapping[str, Sequence[_Ended]]

    @classmethod
    def of(cls, submissions: Iterable[Submission], models: Mapping[str, str]) -> Experience:
        """Learn from batches that have ended; those of specs that are not known here do not count.

        Args:
            submissions: Any submissions.
            models: The models that specs name, by the specs' names.
        """
        found: dict[str, list[_Ended]] = {}
        for one in submissions:
            model = models.get(one.spec)
            if model is None or one.created_at is None or one.ended_at is None:
                continue
            took = max(0.0, (one.ended_at - one.created_at).total_seconds())
            found.setdefault(model, []).append(_Ended(requests=one.requests, seconds=took))
        return cls(models=models, ended=found)

    def durations(self, spec: str, requests: int) -> tuple[float, ...]:
        """Return how many seconds batches like one of a spec took, the shortest first."""
        same = self.ended.get(self.models.get(spec, ""), ())
        alike = [
            one
            for one in same
            if one.requests <= ALIKE * requests and requests <= ALIKE * one.requests
        ]
        return tuple(sorted(one.seconds for one in (alike if len(alike) >= ENOUGH else same)))

    def left(self, submission: Submission, now: dt.datetime) -> Expectation | None:
        """Return how much longer a batch in flight should take; None: nothing tells."""
        if submission.created_at is None:
            return None
        age = max(0.0, (now - submission.created_at).total_seconds())
        took = self.durations(submission.spec, submission.requests)
        longer = [seconds - age for seconds in took if seconds > age]
        if not longer:
            return None
        return Expectation(
            seconds=median_low(longer), least=longer[0], most=longer[-1], batches=len(took)
        )

    def is_late(self, submission: Submission, now: dt.datetime) -> bool:
        """Tell whether a batch in flight takes longer than any like it did before."""
        took = self.durations(submission.spec, submission.requests)
        if submission.created_at is None or submission.ended_at is not None or not took:
            return False
        return (now - submission.created_at).total_seconds() > took[-1]


def together(left: Sequence[Expectation | None]) -> Expectation | None:
    """Return how much longer the last of several batches should take; None: nothing tells."""
    if not left or any(one is None for one in left):
        return None
    known = [one for one in left if one is not None]
    return Expectation(
        seconds=max(one.seconds for one in known),
        least=max(one.least for one in known),
        most=max(one.most for one in known),
        batches=max(one.batches for one in known),
    )


def after(first: Expectation | None, took: Sequence[float]) -> Expectation | None:
    """Return how long it takes when further batches begin only behind the first ones.

    Args:
        first: The ones in flight.
        took: How long batches like the further ones took, in seconds, the shortest first.
    """
    if first is None or not took:
        return None
    return Expectation(
        seconds=first.seconds + median_low(took),
        least=first.least + took[0],
        most=first.most + took[-1],
        batches=max(first.batches, len(took)),
    )
