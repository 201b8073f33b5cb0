"""A terminal in memory, and a clock that tests move."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from batchspec.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchspec.clock import Clock


class ManualClock:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> dt.datetime:
        """Return the moved wall clock."""
        return dt.datetime(2026, 11, 23, tzinfo=dt.UTC) + dt.timedelta(seconds=self.seconds)

    def elapsed(self) -> float:
        """Return the seconds moved so far."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.seconds += seconds


class Screen(io.StringIO):
    """A stream that may say that it is a terminal."""

    def __init__(self, *, tty: bool = False) -> None:
        super().__init__()
        self.tty = tty

    def isatty(self) -> bool:
        """Tell what the test wants to be told."""
        return self.tty


MakeTerminal = Callable[..., Terminal]
Said = Callable[[Terminal], tuple[str, str]]


@pytest.fixture
def clock() -> Clock:
    """A clock that only `sleep` moves."""
    return ManualClock()


@pytest.fixture
def make_terminal(clock: Clock, tmp_path: Path) -> MakeTerminal:
    """Make a terminal in memory; ``tty=True`` puts a person before it."""

    def make(environ: Mapping[str, str] | None = None, *, tty: bool = False) -> Terminal:
        terminal = Terminal(
            stdout=Screen(tty=tty), stderr=Screen(tty=tty), environ=environ or {}, clock=clock
        )
        terminal.root = tmp_path
        return terminal

    return make


@pytest.fixture
def terminal(make_terminal: MakeTerminal) -> Terminal:
    """A terminal that is not a person's."""
    return make_terminal()


@pytest.fixture
def said() -> Said:
    """Read what a terminal made here was told: stdout and stderr."""

    def read(terminal: Terminal) -> tuple[str, str]:
        assert isinstance(terminal.stdout, Screen)
        assert isinstance(terminal.stderr, Screen)
        return terminal.stdout.getvalue(), terminal.stderr.getvalue()

    return read
