"""Progress as a line, as sentences and as JSON: the same figures, 80 columns wide."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from batchspec.events import Collected, Expectation, Progress, Submitted, Waiting
from batchspec.report.narration import narrate
from batchspec.report.progress import progress_json, progress_line, progress_lines

PROGRESS = Progress(
    batches=5,
    batches_done=2,
    requests=6000,
    requests_done=2400,
    elapsed=840,
    expected=Expectation(seconds=720, least=300, most=7300, batches=17),
    usd=Decimal("1.23"),
    usd_open=Decimal("4.551"),
    budget=Decimal(20),
)
UNKNOWN = replace(PROGRESS, expected=None, usd=None, usd_open=None, budget=None, late=3)


def test_one_line() -> None:
    """What is done, the money, and the time; nothing is said that is not known."""
    assert progress_line(PROGRESS) == (
        "2 of 5 batches, 2,400 of 6,000 requests, $1.23 of $20.00, 14 min, about 12 min left"
    )
    assert progress_line(UNKNOWN) == "2 of 5 batches, 2,400 of 6,000 requests, 14 min"
    waiting = Waiting(why="waiting", seconds=5, progress=UNKNOWN)
    assert narrate(waiting) == f"waiting: {progress_line(UNKNOWN)}"


def test_sentences_fit_a_terminal() -> None:
    """The range and what it stands on are said, or that batches are late."""
    lines = [*progress_lines(PROGRESS)]
    assert lines == [
        "2 of 5 batches and 2,400 of 6,000 requests done after 14 min.",
        "Should end in about 12 min (5 min to 2 h, judged by 17 earlier batches).",
        "Spent so far: $1.23, at most $4.56 more. Budget: $20.00.",
    ]
    assert [*progress_lines(UNKNOWN)][1:] == [
        "3 batches have taken longer than any like it before.",
        "Spent so far: price unknown.",
    ]
    large = replace(PROGRESS, batches=1000, requests=10_000_000, usd=Decimal(12345))
    assert all(len(line) <= 80 for line in progress_lines(large))


def test_items_are_what_is_counted_where_they_are_known() -> None:
    """Requests are told only of work whose items are not known; one item is no plural."""
    known = replace(UNKNOWN, items=9000, items_done=3100)
    assert progress_line(known) == "2 of 5 batches, 3,100 of 9,000 items, 14 min"
    assert next(progress_lines(known)) == (
        "2 of 5 batches and 3,100 of 9,000 items done after 14 min."
    )
    one = replace(UNKNOWN, items=1, items_done=0)
    assert progress_line(one) == "2 of 5 batches, 0 of 1 item, 14 min"
    large = replace(PROGRESS, batches=1000, items=10_000_000, items_done=9_000_000)
    assert all(len(line) <= 80 for line in progress_lines(large))


def test_lines_tell_items_that_share_their_requests() -> None:
    """What a batch answers is told where it answers more items than it has requests."""
    sent = Submitted(spec="a", submission="t", batch_id="b", requests=3, items=5)
    taken = Collected(
        spec="a", submission="t", batch_id="b", succeeded=2, failed=1, missing=0, items=5
    )
    assert narrate(sent) == "a: submitted b with 3 requests for 5 items"
    assert narrate(taken) == "a: collected b, 2 succeeded, 1 failed, for 5 items"
    assert narrate(replace(sent, items=3)) == "a: submitted b with 3 requests"
    assert narrate(replace(taken, items=3)) == "a: collected b, 2 succeeded, 1 failed"


def test_a_moment_is_no_expectation() -> None:
    """Batches that ended at once, as an emulator's do, are not worth a word."""
    soon = replace(PROGRESS, expected=Expectation(seconds=0.1, least=0, most=0.2, batches=2))
    assert "left" not in progress_line(soon)
    assert len([*progress_lines(soon)]) == 2


def test_json_has_the_same_figures() -> None:
    """Money is decimal text; what is not known is null."""
    assert progress_json(PROGRESS) == {
        "batches": 5,
        "batches_done": 2,
        "requests": 6000,
        "requests_done": 2400,
        "items": None,
        "items_done": None,
        "elapsed_seconds": 840,
        "expected": {
            "seconds": 720,
            "least_seconds": 300,
            "most_seconds": 7300,
            "batches": 17,
        },
        "late": 0,
        "usd": "1.23",
        "usd_in_flight_max": "4.551",
        "budget_max_usd": "20",
    }
    counted = progress_json(replace(PROGRESS, items=9000, items_done=3100))
    assert counted is not None
    assert (counted["items"], counted["items_done"]) == (9000, 3100)
    unknown = progress_json(UNKNOWN)
    assert unknown is not None
    assert (unknown["expected"], unknown["usd"], unknown["late"]) == (None, None, 3)
    assert progress_json(None) is None
