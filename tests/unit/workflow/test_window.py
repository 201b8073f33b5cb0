"""Hours of the day in which may be submitted."""

from __future__ import annotations

import datetime as dt

import pytest

from batchspec.workflow.window import read_window

MINUTE, HOUR = 60, 3600


@pytest.mark.parametrize(
    ("window", "now", "seconds"),
    [
        ("22:00-06:00", "21:59:30", 30),
        ("22:00-06:00", "22:00:00", 0),
        ("22:00-06:00", "23:59:59", 0),
        ("22:00-06:00", "00:00:00", 0),
        ("22:00-06:00", "05:59:59", 0),
        ("22:00-06:00", "06:00:00", 16 * HOUR),
        ("09:30-10:00", "09:29:00", MINUTE),
        ("09:30-10:00", "09:45:00", 0),
        ("09:30-10:00", "10:00:00", 23 * HOUR + 30 * MINUTE),
        ("00:00-23:59", "23:59:00", MINUTE),
    ],
)
def test_how_long_until_it_opens(window: str, now: str, seconds: float) -> None:
    """A window may reach over midnight; it is open from its first minute up to its last."""
    moment = dt.datetime.combine(dt.date(2026, 11, 23), dt.time.fromisoformat(now), dt.UTC)
    assert read_window(window).seconds_until_open(moment) == seconds
    elsewhere = moment.astimezone(dt.timezone(dt.timedelta(hours=-7)))
    assert read_window(window).seconds_until_open(elsewhere) == seconds
    assert str(read_window(window)) == window


@pytest.mark.parametrize("text", ["", "22:00", "22-06", "25:00-06:00", "06:00-06:00", "a-b"])
def test_what_is_no_window(text: str) -> None:
    """Times have to be two, real, and different."""
    with pytest.raises(ValueError, match=r"."):
        read_window(text)
