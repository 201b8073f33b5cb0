"""Hours of the day in which batches may be submitted."""

from __future__ import annotations

import datetime as dt

from batchspec.records import frozen

_DAY = 24 * 60


@frozen
class Window:
    """A part of each day, in UTC; it may reach over midnight."""

    opens: int
    """Minute of the day at which it opens."""
    closes: int
    """Minute of the day from which it is closed."""

    def seconds_until_open(self, now: dt.datetime) -> float:
        """Return how long to wait before submitting; 0 while the window is open."""
        moment = now.astimezone(dt.UTC)
        minute = moment.hour * 60 + moment.minute
        if (minute - self.opens) % _DAY < (self.closes - self.opens) % _DAY:
            return 0.0
        left = dt.timedelta(minutes=(self.opens - minute) % _DAY)
        return (left - dt.timedelta(seconds=moment.second)).total_seconds()

    def __str__(self) -> str:
        """Return it as it is written on the command line."""
        return f"{_clock(self.opens)}-{_clock(self.closes)}"


def read_window(text: str) -> Window:
    """Read ``22:00-06:00``.

    Raises:
        ValueError: it is no window, or it is never open.
    """
    begin, _, end = text.partition("-")
    opens, closes = _minute(begin), _minute(end)
    if opens == closes:
        raise ValueError("the window opens and closes at the same minute")
    return Window(opens=opens, closes=closes)


def _minute(text: str) -> int:
    time = dt.datetime.strptime(text.strip(), "%H:%M").replace(tzinfo=dt.UTC)
    return time.hour * 60 + time.minute


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
