"""Servers that are wrong in one way each: waiting ends, and nothing is paid twice."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fake_process import Bench, Rules, process
from fake_world import ERRORED, PAGE, START, FakeApi, World, line

from batchspec.api.port import (
    ApiFailure,
    Batch,
    FailureKind,
    Page,
    ProcessingStatus,
    ResultStream,
)
from batchspec.errors import Ambiguous
from batchspec.plan.hashing import custom_id
from batchspec.plan.model import Outcome
from batchspec.workflow.download import Answers

MOST_STEPS = 2000


def stream(*lines: dict[str, Any]) -> ResultStream:
    """Return results with these lines."""
    return ResultStream(pieces=iter([orjson.dumps(one) + b"\n" for one in lines]), framed=True)


class FrozenDates(FakeApi):
    """Its Date header stands still, as a cached answer's does."""

    def page(self, **arguments: Any) -> Page:
        """Return the listing with the time of the first one."""
        return dataclasses.replace(super().page(**arguments), server_time=START)


class NoCursor(FakeApi):
    """A relay that drops ``after_id``: the first page again and again."""

    def page(self, **_arguments: Any) -> Page:
        """Return the newest batches."""
        return super().page()


class SmallBodies(FakeApi):
    """Something before the API that refuses bodies of more than two requests, in its own words."""

    def _answer(self, outcome: str, ids: list[str]) -> Batch:
        if len(ids) > 2:
            raise ApiFailure(FailureKind.AMBIGUOUS, "413 too large", status=413)
        return super()._answer(outcome, ids)


class ResultsGone(FakeApi):
    """Results of batches that have ended cannot be found."""

    @contextlib.contextmanager
    def results(self, batch: Batch) -> Iterator[ResultStream]:
        """Fail."""
        if batch.status is ProcessingStatus.ENDED:
            raise ApiFailure(FailureKind.NOT_FOUND, "404 not_found_error", status=404)
        with super().results(batch) as found:
            yield found


class ErrorsFirst(FakeApi):
    """The first results have an error line in an answer's place, which the counts contradict."""

    reads = 0

    @contextlib.contextmanager
    def results(self, batch: Batch) -> Iterator[ResultStream]:
        """Return results, at first with an error line."""
        self.reads += 1
        with super().results(batch) as found:
            if self.reads > 2:
                yield found
                return
            one, *others = (orjson.loads(piece) for piece in found.pieces)
            yield stream(line(one["custom_id"], ERRORED), *others)


def bench(root: Path, api: type[FakeApi], *, chunk: int = 4) -> Bench:
    """Return a project that asks eight questions."""
    questions = [orjson.dumps({"q": number}) for number in range(8)]
    return Bench(root=root, world=World(), rules=Rules(api=api), questions=questions, chunk=chunk)


def run(made: Bench) -> None:
    """Run a process to its end."""
    steps = process(made)
    for _ in range(MOST_STEPS):
        try:
            next(steps)
        except StopIteration:
            return
    pytest.fail("it never came to an end")


def assert_all_paid_once(made: Bench) -> None:
    """Assert that each question was answered, and paid once."""
    assert made.world.paid() == Counter(made.h26(params) for params in made.questions)
    with made.session() as session:
        reader = session.reader()
        assert reader is not None
        for params in made.questions:
            known = reader.known(made.digest(params)[:16])
            assert known is not None
            assert known.outcome is Outcome.SUCCEEDED


def test_a_clock_that_stands_still(tmp_path: Path) -> None:
    """An open create is decided by the time that passes here, when the server's does not."""
    made = bench(tmp_path, FrozenDates)
    made.world.creates.extend(["500-before", "500-after"])
    run(made)
    assert_all_paid_once(made)
    assert made.world.time < 4 * made.rules.settle


def test_a_listing_that_repeats_itself_proves_nothing(tmp_path: Path) -> None:
    """What cannot be seen whole does not show that a batch was never made."""
    made = bench(tmp_path, NoCursor)
    made.world.creates.append("500-before")
    steps = process(made)
    while not made.world.batches and made.world.time < 100:
        next(steps)
        with made.session() as session:
            reader = session.reader()
            if reader is not None and any(s.state == "UNKNOWN" for s in reader.submissions()):
                break
    for _ in range(PAGE + 1):
        made.world.commit(["theirs-0"], ours=False)
    with pytest.raises(Ambiguous, match="again and again"):
        deque(steps, maxlen=0)
    assert not made.world.paid()


def test_a_listing_that_repeats_itself_is_no_obstacle_otherwise(tmp_path: Path) -> None:
    """Without a loss and without a doubt nothing depends on old batches."""
    made = bench(tmp_path, NoCursor)
    for _ in range(PAGE + 2):
        made.world.commit(["theirs-0"], ours=False)
    run(made)
    assert_all_paid_once(made)


def test_bodies_that_are_too_large_for_something_between(tmp_path: Path) -> None:
    """A 413 that is not the API's is settled first, and then the chunk is divided."""
    made = bench(tmp_path, SmallBodies)
    run(made)
    assert_all_paid_once(made)
    assert max(len(batch.kinds) for batch in made.world.batches) == 2


def test_a_lost_state_and_results_that_cannot_be_read(tmp_path: Path) -> None:
    """They may be this project's own, so a person decides; when they can be read, they are."""
    made = bench(tmp_path, FakeApi)
    run(made)
    shutil.rmtree(made.project.state_dir)
    made.rules = Rules(api=ResultsGone)
    for _ in range(2):
        with pytest.raises(Ambiguous, match="may be this project's own"):
            run(made)
        made.world.pass_time(10)
    made.rules = Rules()
    run(made)
    assert_all_paid_once(made)


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 0, 1, 1), (1, 0, 1)])
def test_an_answer_wins_over_an_error_line(tmp_path: Path, order: tuple[int, ...]) -> None:
    """Answers are paid for, errors are not: the first answer counts, wherever it stands."""
    name = custom_id("aaaaaaaa", bytes(32), "aaaaaaaa", 1)
    lines = (line(name, ERRORED), line(name, "answered"))
    path = tmp_path / "results.part"
    answers = Answers(tag="aaaaaaaa", path=path, expected=frozenset([name]), total=1)
    assert answers.take(stream(*(lines[number] for number in order)))
    kept = [orjson.loads(one)["result"]["type"] for one in answers.lines()]
    assert kept == ["succeeded"]
    again = Answers(tag="aaaaaaaa", path=path, expected=frozenset([name]), total=1)
    again.load()
    assert [orjson.loads(one) for one in again.lines()] == [lines[1]]


def test_an_error_line_that_the_counts_contradict(tmp_path: Path) -> None:
    """An answer that was counted, and so paid, is looked for before its question is asked again."""
    made = bench(tmp_path, ErrorsFirst, chunk=8)
    run(made)
    assert_all_paid_once(made)


def test_counted_answers_are_missed_after_a_restart_too(tmp_path: Path) -> None:
    """Lines on disk that hold fewer answers than the batch counts are not complete."""
    names = [custom_id("aaaaaaaa", bytes([number] * 32), "aaaaaaaa", 1) for number in (1, 2)]
    path = tmp_path / "results.part"
    both = frozenset(names)
    first = Answers(tag="aaaaaaaa", path=path, expected=both, total=2, succeeded=2)
    first.take(stream(line(names[0], ERRORED), line(names[1], "answered")))
    assert not first.is_complete()
    again = Answers(tag="aaaaaaaa", path=path, expected=both, total=2, succeeded=2)
    again.load()
    assert not again.is_complete()
    again.take(stream(line(names[0], "answered")))
    assert again.is_complete()
