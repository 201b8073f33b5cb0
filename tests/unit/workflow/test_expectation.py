"""When batches should end: median and range of those like them, said only when there are some."""

from __future__ import annotations

import datetime as dt

from batchspec.events import Expectation
from batchspec.state.model import Submission, SubmissionState
from batchspec.workflow.expectation import Experience, after, together

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
MODELS = {"triage": "haiku", "other": "haiku", "essay": "opus"}


def batch(spec: str, requests: int, *, took: float | None = None, age: float = 0.0) -> Submission:
    """Return a batch that took so many seconds, or that has been in flight for so long."""
    created = NOW - dt.timedelta(seconds=age)
    return Submission(
        tag=f"{spec}-{requests}-{took}",
        spec=spec,
        state=SubmissionState.BOUND if took is None else SubmissionState.COLLECTED,
        requests=requests,
        bytes=1,
        segment=None,
        created_at=created,
        ended_at=None if took is None else created + dt.timedelta(seconds=took),
    )


PAST = [
    *(batch("triage", 1000, took=seconds) for seconds in (600, 100, 300)),
    batch("other", 10, took=5),
    batch("essay", 1000, took=9000),
    batch("", 1000, took=1),
]
EXPERIENCE = Experience.of(PAST, MODELS)


def test_batches_of_like_size_and_model_tell() -> None:
    """Median and range of those; another model, a far smaller batch and an adopted one do not."""
    assert EXPERIENCE.left(batch("triage", 2000), NOW) == Expectation(
        seconds=300, least=100, most=600, batches=3
    )


def test_only_those_that_took_longer_still_tell() -> None:
    """After 200 seconds, a batch that took 100 says nothing about this one any more."""
    assert EXPERIENCE.left(batch("triage", 1000, age=200), NOW) == Expectation(
        seconds=100, least=100, most=400, batches=3
    )


def test_few_of_like_size_call_on_all_of_the_model() -> None:
    """One small batch alone is no experience; all of the same model are looked at."""
    left = EXPERIENCE.left(batch("other", 10), NOW)
    assert left is not None
    assert (left.batches, left.least, left.most) == (4, 5, 600)


def test_nothing_is_said_without_experience() -> None:
    """A model of which no batch ended, and a batch that took longer than any, are not guessed."""
    assert Experience.of([], MODELS).left(batch("triage", 1), NOW) is None
    late = batch("triage", 1000, age=700)
    assert EXPERIENCE.left(late, NOW) is None
    assert EXPERIENCE.is_late(late, NOW)
    assert not EXPERIENCE.is_late(batch("triage", 1000, age=500), NOW)
    assert not Experience.of([], MODELS).is_late(late, NOW)
    assert together([EXPERIENCE.left(late, NOW), EXPERIENCE.left(batch("triage", 1), NOW)]) is None
    assert together([]) is None


def test_the_last_one_counts() -> None:
    """Work ends with its last batch; what begins only behind it comes on top."""
    short = Expectation(seconds=10, least=5, most=20, batches=3)
    long = Expectation(seconds=100, least=1, most=120, batches=7)
    both = Expectation(seconds=100, least=5, most=120, batches=7)
    assert together([short, long]) == both
    assert after(both, [1, 2, 60]) == Expectation(seconds=102, least=6, most=180, batches=7)
    assert after(both, []) is None
    assert after(None, [1]) is None
