"""Following the status: drawn anew on a person's terminal, a line for each change in a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from batchspec.report.progress import progress_line
from batchspec.report.status import status_text

if TYPE_CHECKING:
    from batchspec.cli.terminal import Terminal
    from batchspec.workflow.status import StatusReport

_ABOVE = "\x1b[H\x1b[J"
"""To the upper left corner, and everything behind it away."""
_EVERY = 60.0
"""Seconds after which a log is told that nothing has changed."""


class View(Protocol):
    """Shows a status that changes."""

    def show(self, report: StatusReport) -> None:
        """Show how it stands now."""
        ...

    def clear(self) -> None:
        """Make room for the last status."""
        ...


def screen_for(terminal: Terminal) -> View:
    """Return a screen where stdout is a person's terminal, else lines for a log."""
    return Screen(terminal) if terminal.drawable else Log(terminal)


class Screen:
    """The whole status, drawn over the one before."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def show(self, report: StatusReport) -> None:
        """Draw the status."""
        text = self._terminal.addressed(status_text(report, style=self._terminal.out_style))
        self._terminal.data(f"{_ABOVE}{text}")

    def clear(self) -> None:
        """Take the last picture away."""
        self._terminal.data(_ABOVE)


class Log:
    """The whole status once; then a line when a figure other than the time has changed."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._told: tuple[object, ...] | None = None
        self._at = 0.0

    def show(self, report: StatusReport) -> None:
        """Write what is new, or once a minute that nothing is."""
        now = self._terminal.clock.elapsed()
        figures = _figures(report)
        if self._told is None:
            self._terminal.data(self._terminal.addressed(status_text(report)))
        elif figures != self._told or now - self._at >= _EVERY:
            self._terminal.data(f"{self._line(report)}\n")
        else:
            return
        self._told, self._at = figures, now

    def _line(self, report: StatusReport) -> str:
        moment = self._terminal.clock.now().strftime("%H:%M:%SZ")
        told = "" if report.progress is None else progress_line(report.progress)
        return f"{moment} {told}"

    def clear(self) -> None:
        """Leave a line between the log and the last status."""
        self._terminal.data("\n")


def _figures(report: StatusReport) -> tuple[object, ...]:
    """Return what has to differ for a line to be worth it."""
    states = tuple((one.tag, one.state, one.detail) for one in report.submissions)
    done = None if report.progress is None else report.progress.batches_done
    return (states, done)
