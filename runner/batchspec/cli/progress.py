"""Shows events while a command works: moving bars for a person, plain lines for a log."""

from __future__ import annotations

import contextlib
from contextlib import closing
from typing import TYPE_CHECKING, Protocol, TypeVar

from batchspec import events
from batchspec.report.hygiene import starts_safely
from batchspec.report.narration import narrate
from batchspec.report.progress import progress_brief

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType
    from typing import Self

    from rich.console import RenderableType
    from rich.progress import Progress, TaskID

    from batchspec.cli.terminal import Terminal

Returned = TypeVar("Returned")

_RENDERING_EVERY = 5.0
_NAME = 24
"""A bar leaves room for so many characters of a spec's name."""
_WAITING_EVERY = 60.0
"""Seconds between two plain lines that say the same kind of thing."""


class Display(Protocol):
    """Shows events, between entering and leaving it."""

    def __enter__(self) -> object:
        """Begin."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        ...

    def show(self, event: events.Event) -> None:
        """Show one event."""
        ...


def follow(
    work: Generator[events.Event, None, Returned],
    display: Display,
    *,
    also: Callable[[events.Event], None],
) -> Returned:
    """Run ``work`` to its end, show and pass on its events, and return what it returns."""
    with closing(work), display:
        while True:
            try:
                event = next(work)
            except StopIteration as stop:
                returned: Returned = stop.value
                return returned
            display.show(event)
            also(event)


def display_for(terminal: Terminal) -> Display:
    """Return moving bars on a person's terminal, else plain lines."""
    return BarDisplay(terminal) if terminal.interactive else LineDisplay(terminal)


class LineDisplay:
    """One plain line per event; repeated rendering and waiting lines are thinned out."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._last: dict[type[events.Event], tuple[float, object]] = {}

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave; there is nothing to clear."""

    def show(self, event: events.Event) -> None:
        """Print the event's line, unless one like it was printed a moment ago."""
        line = narrate(event)
        if line and self._due(event):
            self._terminal.note(starts_safely(line))

    def _due(self, event: events.Event) -> bool:
        match event:
            case events.Rendering():
                pause, subject = _RENDERING_EVERY, event.spec
            case events.Reading():
                pause, subject = _RENDERING_EVERY, "reading"
            case events.Waiting():
                pause, subject = _WAITING_EVERY, f"{event.spec} {event.why}"
            case _:
                return True
        now = self._terminal.clock.elapsed()
        last, same = self._last.get(type(event), (float("-inf"), None))
        if now - last < pause and same == subject:
            return False
        self._last[type(event)] = (now, subject)
        return True


class BarDisplay:
    """A bar of answered items per spec, lasting lines above them, the figures of all beneath."""

    def __init__(self, terminal: Terminal) -> None:
        from rich.console import Console  # noqa: PLC0415 - rich is slow to load and often unused
        from rich.live import Live  # noqa: PLC0415 - as above
        from rich.progress import (  # noqa: PLC0415 - as above
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
        )

        self._tasks: dict[str, TaskID] = {}
        self._beneath = ""
        self._redacted = terminal.redacted
        self._progress: Progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[now]}", markup=False),
        )
        self._console = Console(file=terminal.stderr, highlight=False, markup=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._picture,
            refresh_per_second=10,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        """Show the bars."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Clear the bars."""
        with contextlib.suppress(BrokenPipeError):
            self._live.stop()

    def show(self, event: events.Event) -> None:
        """Move the bars; print what is worth keeping above them."""
        line = self._redacted(narrate(event))
        match event:
            case events.Waiting(progress=events.Progress() as progress):
                self._all(progress_brief(progress))
                return
            case events.Reading() | events.Waiting(spec=None):
                self._all(line)
                return
            case (
                events.Rendering(spec=spec)
                | events.Uploading(spec=spec)
                | events.Waiting(spec=str() as spec)
            ):
                self._now(spec, line)
                return
            case events.PlanReady():
                self._grow(event.spec, event.submit + event.in_flight)
            case events.RetryRound():
                self._advance(event.spec, -event.items if event.items else -event.requests)
            case events.Collected():
                done = event.succeeded + event.failed + event.missing + event.canceled
                self._advance(event.spec, done if event.items is None else event.items)
                self._beneath = ""
            case _:
                pass
        if line:
            with contextlib.suppress(BrokenPipeError):
                self._console.print(line, soft_wrap=True)

    def _task(self, spec: str) -> TaskID:
        if spec not in self._tasks:
            name = spec if len(spec) <= _NAME else f"{spec[: _NAME - 1]}…"
            self._tasks[spec] = self._progress.add_task(name, total=0, now="")
        return self._tasks[spec]

    def _grow(self, spec: str, items: int) -> None:
        task = self._task(spec)
        total = self._counts(task)[1]
        self._progress.update(task, total=total + items)

    def _advance(self, spec: str, items: int) -> None:
        """Move a bar on, or back; where nothing told its end, what is done is all there is."""
        task = self._task(spec)
        done, total = self._counts(task)
        done = max(0, done + items)
        self._progress.update(task, completed=done, total=max(done, total))

    def _counts(self, task: TaskID) -> tuple[float, float]:
        now = self._progress.tasks[self._progress.task_ids.index(task)]
        return now.completed, now.total or 0

    def _all(self, words: str) -> None:
        """Say what holds for all specs, beneath the bars; that is all that happens now."""
        for task in self._tasks.values():
            self._progress.update(task, now="")
        self._beneath = words

    def _now(self, spec: str, line: str) -> None:
        """Say what happens now, behind the spec's bar."""
        self._beneath = ""
        self._progress.update(self._task(spec), now=line.removeprefix(f"{spec}: "))

    def _picture(self) -> RenderableType:
        from rich.console import Group  # noqa: PLC0415 - rich is slow to load and often unused
        from rich.text import Text  # noqa: PLC0415 - as above

        bars = [self._progress.get_renderable()] if self._tasks else []
        words = [Text(f"  {self._beneath}", no_wrap=True, overflow="ellipsis")]
        return Group(*bars, *(words if self._beneath else []))
