"""The end of a run as text and JSON, and its events as lines."""

from __future__ import annotations

import dataclasses
import datetime as dt
from decimal import Decimal

import pytest

from batchspec import events
from batchspec.report.narration import narrate
from batchspec.report.summary import RunSummary, summary_json, summary_text

DONE = events.SpecDone(
    spec="triage",
    items=1000,
    by_status=(("succeeded", 985), ("invalid", 3), ("refused", 12)),
    requests_submitted=15,
    usd=Decimal("0.0029"),
    usd_total=Decimal("1.234"),
    complete=True,
)
OUTPUT = events.OutputWritten(
    spec="triage", path="out/triage.jsonl", rows=1000, changed=True, emulated=False
)
PASSED = events.CheckDone(
    spec="triage",
    name="every ticket is labelled",
    kind="sql",
    severity="error",
    verdict="pass",
    failures=0,
    samples=(),
)
FAILED = events.CheckDone(
    spec="triage",
    name="nine of ten agree",
    kind="sql",
    severity="error",
    verdict="error",
    failures=12,
    samples=('{"key": "\x1b[31mT-1"}', "::error::x", "c", "d"),
)
WARNS = events.CheckDone(
    spec="triage",
    name="tone",
    kind="sql",
    severity="warn",
    verdict="warn",
    failures=1,
    samples=(),
)


def failed_item(number: int) -> events.FailedItem:
    """Return a failed item with a hostile reason."""
    return events.FailedItem(
        spec="triage", key=f'"T-{number}"', status="refused", detail="no\n::set-output::"
    )


def gathered(*what: events.Event) -> RunSummary:
    """Return a summary of events."""
    summary = RunSummary()
    for event in what:
        summary.add(event)
    return summary


SCREEN = """\
triage, 1,000 items
  succeeded  985
  invalid      3
  refused     12
  15 requests submitted, this run cost $0.0029, all answers together $1.23
  output out/triage.jsonl (1,000 rows)
  check passed: every ticket is labelled
  check failed: nine of ten agree (12 rows)
    | {"key": "[31mT-1"}
    | ::error::x
    | c
    … and 9 more
  check warns: tone (1 row)
  12 failed items, the first 10:
    | "T-0" refused: no ::set-output::
    | "T-1" refused: no ::set-output::
    | "T-2" refused: no ::set-output::
    | "T-3" refused: no ::set-output::
    | "T-4" refused: no ::set-output::
    | "T-5" refused: no ::set-output::
    | "T-6" refused: no ::set-output::
    | "T-7" refused: no ::set-output::
    | "T-8" refused: no ::set-output::
    | "T-9" refused: no ::set-output::
"""


def test_summary_screen() -> None:
    """Statuses, cost, outputs, checks and failed items appear; foreign text is quoted."""
    summary = gathered(OUTPUT, PASSED, FAILED, WARNS, *map(failed_item, range(12)), DONE)
    assert summary_text(summary) == SCREEN


def test_many_failed_items_are_counted_though_not_all_are_named() -> None:
    """The number is that of all failed items, not of those that a run names."""
    done = dataclasses.replace(DONE, failed=12_345)
    text = summary_text(gathered(*map(failed_item, range(100)), done))
    assert "  12,345 failed items, the first 10:\n" in text


def test_incomplete_spec_says_so() -> None:
    """A detached run has no outputs yet, and the summary says why."""
    detached = events.SpecDone(
        spec="triage",
        items=5,
        by_status=(),
        requests_submitted=5,
        usd=None,
        usd_total=None,
        complete=False,
        in_flight=5,
    )
    assert summary_text(gathered(detached), collect="batchspec collect --emulate") == (
        "triage, 5 items\n  5 requests submitted\n"
        "  Not complete yet: answers are in flight or held back.\n\n"
        "When batches have ended, `batchspec collect --emulate` takes their answers in.\n"
    )


def test_summary_json_names_every_failed_item() -> None:
    """JSON cuts nothing off and writes money as decimal text."""
    data = summary_json(gathered(OUTPUT, FAILED, *map(failed_item, range(12)), DONE), exit_code=3)
    spec = data["specs"][0]
    assert data["exit_code"] == 3
    assert len(spec["failed"]) == 12
    assert spec["failed"][0]["key"] == "T-0"
    assert spec["statuses"] == {"succeeded": 985, "invalid": 3, "refused": 12}
    assert (spec["usd"], spec["usd_total"]) == ("0.0029", "1.234")
    assert spec["outputs"] == [
        {"path": "out/triage.jsonl", "rows": 1000, "changed": True, "emulated": False}
    ]
    assert spec["checks"][0]["failures"] == 12


def test_nothing_happened() -> None:
    """A run without a spec to speak of has no summary."""
    assert not summary_text(gathered(events.Notice(message="x")))


LINES = [
    (
        events.PlanReady(
            spec="a",
            items=1000,
            submit=15,
            requests=14,
            unchanged=980,
            failed=5,
            in_flight=1,
            usd=Decimal("0.5"),
        ),
        (
            "a: 1,000 items, 15 to submit, 980 unchanged, 1 in flight, 5 failed before; "
            "14 requests, about $0.5000"
        ),
    ),
    (
        events.PlanReady(
            spec="a",
            items=1,
            submit=1,
            requests=1,
            unchanged=0,
            failed=0,
            in_flight=0,
            usd=None,
        ),
        "a: 1 item, 1 to submit, 0 unchanged; 1 request, price unknown",
    ),
    (events.Rendering(spec="a", done=2000), "a: rendered 2,000 prompts"),
    (
        events.Uploading(spec="a", submission="abcdefgh", requests=1, bytes=1_500_000),
        "a: sending 1 request (1.5 MB)",
    ),
    (
        events.Submitted(spec="a", submission="abcdefgh", batch_id="msgbatch_1", requests=2),
        "a: submitted msgbatch_1 with 2 requests",
    ),
    (
        events.Waiting(why="Waiting for 2 batches.", seconds=5),
        "Waiting for 2 batches; next look in 5 s",
    ),
    (
        events.Waiting(why="Rate limit", seconds=300, spec="a"),
        "a: Rate limit; next look in 5 min",
    ),
    (
        events.Uncertain(spec="a", submission="abcdefgh", why="timeout"),
        (
            "a: whether submission abcdefgh became a batch is not known (timeout); looking for it "
            "before anything is sent again"
        ),
    ),
    (
        events.Settled(spec="a", submission="abcdefgh", batch_id=None),
        "a: submission abcdefgh never became a batch; asking again",
    ),
    (
        events.Settled(spec="a", submission="abcdefgh", batch_id="msgbatch_1"),
        "a: submission abcdefgh is msgbatch_1",
    ),
    (
        events.Collected(
            spec="a", submission="abcdefgh", batch_id="m", succeeded=9, failed=2, missing=1
        ),
        "a: collected m, 9 succeeded, 2 failed, 1 missing",
    ),
    (
        events.Reading(done=40, total=1200),
        "looking for paid answers in the workspace: read 40 of 1,200 unknown batches",
    ),
    (events.Adopted(batch_id="m", answers=3), "took in 3 answers of m, already paid"),
    (
        events.RetryRound(spec="a", requests=2, why="2 errored."),
        "a: asking 2 requests again, 2 errored",
    ),
    (OUTPUT, "triage: wrote out/triage.jsonl (1,000 rows)"),
    (
        events.OutputWritten(spec="a", path="o", rows=1, changed=False, emulated=True),
        "a: unchanged: o (1 row, emulated)",
    ),
    (PASSED, "triage: check passed: every ticket is labelled"),
    (WARNS, "triage: check warns: tone (1 row)"),
    (
        events.Notice(message="odd\x1b[0m", warning=True, at=dt.datetime.now(dt.UTC)),
        "warning: odd[0m",
    ),
    (events.Collecting(spec="a", submission="abcdefgh", batch_id="m"), ""),
    (failed_item(1), ""),
    (DONE, ""),
]


@pytest.mark.parametrize(("event", "line"), LINES)
def test_narration(event: events.Event, line: str) -> None:
    """Each kind of event has its line."""
    assert narrate(event) == line


def test_every_event_is_covered() -> None:
    """A new kind of event needs a row in the table above."""
    kinds = {
        kind.__name__
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event
    }
    assert {type(event).__name__ for event, _ in LINES} == kinds
