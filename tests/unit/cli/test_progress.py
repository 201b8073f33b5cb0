"""Progress: thinned lines for logs, bars for people, results passed through."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from batchspec import events
from batchspec.cli.progress import BarDisplay, LineDisplay, display_for, follow

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from batchspec.cli.terminal import Terminal
    from batchspec.clock import Clock

    Said = Callable[[Terminal], tuple[str, str]]
    MakeTerminal = Callable[..., Terminal]

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
READY = events.PlanReady(
    spec="a",
    items=3,
    submit=3,
    requests=3,
    unchanged=0,
    failed=0,
    in_flight=0,
    usd=Decimal("0.01"),
)
SENT = events.Submitted(spec="a", submission="t", batch_id="msgbatch_1", requests=3)
TAKEN = events.Collected(
    spec="a", submission="t", batch_id="msgbatch_1", succeeded=2, failed=1, missing=0
)


def waiting(why: str) -> events.Waiting:
    """Return a waiting event."""
    return events.Waiting(why=why, seconds=5, open_batches=1, open_requests=3, spec="a")


def working(*what: events.Event, returned: str = "end") -> Generator[events.Event, None, str]:
    """Return work that yields events and returns."""
    yield from what
    return returned


def test_follow_passes_events_and_result(terminal: Terminal, said: Said) -> None:
    """Every event is shown and handed on, and what the work returns comes back."""
    seen: list[events.Event] = []
    work = working(READY, SENT, TAKEN)
    assert follow(work, display_for(terminal), also=seen.append) == "end"
    assert seen == [READY, SENT, TAKEN]
    assert said(terminal) == (
        "",
        (
            "a: 3 items, 3 to submit, 0 unchanged; 3 requests, about $0.0100\n"
            "a: submitted msgbatch_1 with 3 requests\n"
            "a: collected msgbatch_1, 2 succeeded, 1 failed\n"
        ),
    )


def test_follow_closes_the_work(terminal: Terminal) -> None:
    """When showing fails, the work's clean-up runs before the error goes on."""
    closed: list[bool] = []

    def work() -> Generator[events.Event, None, None]:
        try:
            yield READY
            yield SENT
        finally:
            closed.append(True)

    def stop(_event: events.Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(work(), LineDisplay(terminal), also=stop)
    assert closed == [True]


def test_repeated_lines_are_thinned(terminal: Terminal, clock: Clock, said: Said) -> None:
    """Waiting for the same thing is said once a minute, rendering every five seconds."""
    display = LineDisplay(terminal)
    for _ in range(25):
        display.show(waiting("Waiting for 1 batch"))
        clock.sleep(5)
    display.show(waiting("Rate limit"))
    for done in range(10):
        display.show(events.Rendering(spec="a", done=done))
        clock.sleep(1)
    assert said(terminal)[1].splitlines() == [
        *["a: Waiting for 1 batch; next look in 5 s"] * 3,
        "a: Rate limit; next look in 5 s",
        "a: rendered 0 prompts",
        "a: rendered 5 prompts",
    ]


def test_no_line_is_a_ci_command(terminal: Terminal, said: Said) -> None:
    """A notice cannot begin a line with a workflow command."""
    LineDisplay(terminal).show(events.Notice(message="::add-mask::x"))
    assert said(terminal)[1] == "  | ::add-mask::x\n"


@pytest.mark.parametrize(
    ("environ", "tty", "bars"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "xterm", "CI": "true"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_bars_only_for_people(
    environ: dict[str, str],
    tty: bool,  # noqa: FBT001 - a column of the table
    bars: bool,  # noqa: FBT001 - a column of the table
    make_terminal: MakeTerminal,
) -> None:
    """Moving bars need a terminal, and neither CI, NO_COLOR nor a dumb terminal."""
    terminal = make_terminal(environ, tty=tty)
    assert isinstance(display_for(terminal), BarDisplay) is bars


def test_the_figures_of_all_stand_beneath_the_bars(make_terminal: MakeTerminal, said: Said) -> None:
    """At 80 columns every count is whole, of a million items too; names that are long are cut."""
    terminal = make_terminal({"TERM": "xterm", "COLUMNS": "80"}, tty=True)
    progress = events.Progress(
        batches=1234,
        batches_done=56,
        requests=1_000_000,
        requests_done=0,
        elapsed=61,
        expected=events.Expectation(seconds=90, least=60, most=95, batches=3),
        usd=Decimal(1234),
        budget=Decimal(5000),
    )
    long = replace(READY, spec="b" * 60, submit=1_000_000)
    told = events.Waiting(why="waiting", seconds=5, progress=progress)
    follow(working(READY, long, told), display_for(terminal), also=lambda _: None)
    _, err = said(terminal)
    shown = ANSI.sub("", err)
    assert f"{'b' * 23}… " in shown
    assert "b" * 24 not in shown.replace("b" * 60, "", 1)
    assert " 0/1000000" in shown
    assert "  56 of 1,234 batches, $1,234.00 of $5,000.00, 61 s, about 90 s left" in shown
    assert max(map(len, re.split("[\r\n]", shown.replace("b" * 60, "")))) <= 80


def test_bars_count_the_items_of_resumed_work(make_terminal: MakeTerminal, said: Said) -> None:
    """What was in flight before belongs to the whole; figures of a moment ago do not stay."""
    terminal = make_terminal({"TERM": "xterm"}, tty=True)
    resumed = replace(READY, items=7, submit=4, requests=2, in_flight=3)
    progress = events.Progress(
        batches=2, batches_done=0, requests=3, requests_done=0, elapsed=61, usd=None
    )
    told = events.Waiting(why="waiting", seconds=5, progress=progress)
    taken = replace(TAKEN, items=3)
    follow(working(resumed, told, taken), display_for(terminal), also=lambda _: None)
    shown = ANSI.sub("", said(terminal)[1])
    assert "3/7" in shown
    assert "0 of 2 batches" not in shown.rpartition("3/7")[2]


def test_a_bar_never_says_more_than_all(make_terminal: MakeTerminal, said: Said) -> None:
    """`collect` knows of no plan before it takes answers in: what is done is all there is."""
    terminal = make_terminal({"TERM": "xterm"}, tty=True)
    follow(working(TAKEN), display_for(terminal), also=lambda _: None)
    assert "3/3" in ANSI.sub("", said(terminal)[1])


def test_bars_keep_lasting_lines(make_terminal: MakeTerminal, said: Said) -> None:
    """Above the bars stand the events worth keeping; hostile markup in them is text."""
    terminal = make_terminal({"TERM": "xterm"}, tty=True)
    odd = events.Notice(message="[red]not markup[/red] \x1b[2J")
    again = events.RetryRound(spec="a", requests=1, why="1 errored")
    work = working(READY, waiting("Waiting for 1 batch"), SENT, TAKEN, again, odd)
    assert follow(work, display_for(terminal), also=lambda _: None) == "end"
    out, err = said(terminal)
    assert out == ""
    assert "a: submitted msgbatch_1 with 3 requests\n" in err
    assert "[red]not markup[/red] [2J\n" in err
    assert "2/3" in err
