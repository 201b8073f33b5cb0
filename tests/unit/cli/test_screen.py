"""Following a status: pictures for a person, as few lines as possible for a log."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from batchspec.cli.screen import Log, Screen, screen_for
from batchspec.events import Progress
from batchspec.state.model import SubmissionState
from batchspec.workflow.status import StatusReport, SubmissionStatus

if TYPE_CHECKING:
    from tests.unit.cli.conftest import MakeTerminal, Said

    from batchspec.cli.terminal import Terminal
    from batchspec.clock import Clock

ABOVE = "\x1b[H\x1b[J"
ROW = SubmissionStatus(
    tag="abcdefgh",
    spec="triage",
    state=SubmissionState.BOUND,
    batch_id="msgbatch_1",
    requests=5,
    created_at=None,
    ended_at=None,
    expires_at=None,
    results_until=None,
    results_at_risk=False,
    detail="",
    age=3.0,
    expected=None,
)
PROGRESS = Progress(
    batches=2, batches_done=0, requests=10, requests_done=0, elapsed=3, usd=Decimal(1)
)
REPORT = StatusReport(
    submissions=(ROW,),
    collected=0,
    answers={},
    emulated=True,
    serial=1,
    waiting={},
    progress=PROGRESS,
    environment=None,
)


def test_a_person_sees_pictures(make_terminal: MakeTerminal, said: Said) -> None:
    """Each is drawn over the one before, in whole, and the last one leaves the screen empty."""
    terminal = make_terminal({"TERM": "xterm"}, tty=True)
    view = screen_for(terminal)
    assert isinstance(view, Screen)
    view.show(REPORT)
    view.show(REPORT)
    view.clear()
    out, err = said(terminal)
    assert err == ""
    assert out.count(ABOVE) == 3
    assert out.endswith(ABOVE)
    assert out.count("0 of 2 batches and 0 of 10 requests done after 3 s.") == 2


def test_ci_and_pipes_get_lines(make_terminal: MakeTerminal) -> None:
    """Neither a log of CI nor one without colours is drawn over."""
    for environ, tty in (({"CI": "1"}, True), ({"NO_COLOR": "1"}, True), ({}, False)):
        assert isinstance(screen_for(make_terminal(environ, tty=tty)), Log)


def test_a_log_tells_changes_and_little_else(terminal: Terminal, clock: Clock, said: Said) -> None:
    """One line where a batch is done, one a minute where nothing is, none for the time alone."""
    view = screen_for(terminal)
    view.show(REPORT)
    first, _ = said(terminal)
    assert first.startswith("  BATCH ")
    for _ in range(24):
        clock.sleep(5)
        elapsed = PROGRESS.elapsed + clock.elapsed()
        view.show(replace(REPORT, progress=replace(PROGRESS, elapsed=elapsed)))
    clock.sleep(5)
    done = replace(PROGRESS, batches_done=1, requests_done=5, elapsed=128)
    view.show(replace(REPORT, progress=done))
    view.clear()
    out, _ = said(terminal)
    assert out.removeprefix(first) == (
        "00:01:00Z 0 of 2 batches, 0 of 10 requests, $1.00, 63 s\n"
        "00:02:00Z 0 of 2 batches, 0 of 10 requests, $1.00, 2 min\n"
        "00:02:05Z 1 of 2 batches, 5 of 10 requests, $1.00, 2 min\n"
        "\n"
    )
