"""Bar charts as inline SVG: no script, no network, readable in light and dark."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from batchspec.records import frozen

_WIDTH, _HEIGHT, _TOP, _BOTTOM = 640, 160, 18, 22
_SHOWN_LABELS = 12
_LEAST_PLACES = 8
"""A few bars are not as wide as the page."""
_LEAST_BARS = 2
"""One bar alone compares nothing with nothing."""


@frozen
class Bar:
    """One bar."""

    label: str
    """Below it."""
    value: float
    words: str
    """The value as people read it, for the tooltip and for readers of the page's text."""
    short: str = ""
    """The value in few characters, above it."""


def bars(title: str, values: Sequence[Bar], *, mark: int | None = None) -> Markup:
    """Return a chart, or nothing where there are not two bars to compare.

    Args:
        title: What it shows, for people who hear the page.
        values: The bars, from left to right.
        mark: Index of the bar after which a limit is drawn.
    """
    if len(values) < _LEAST_BARS:
        return Markup("")
    most = max((bar.value for bar in values), default=0) or 1
    step = _WIDTH / max(len(values), _LEAST_PLACES)
    every = -(-len(values) // _SHOWN_LABELS)
    parts = [
        _bar(bar, number * step, step, bar.value / most, told=number % every == 0)
        for number, bar in enumerate(values)
    ]
    if mark is not None:
        x = (mark + 1) * step
        parts.append(
            Markup('<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1}"/>').format(
                x, _HEIGHT - _BOTTOM
            )
        )
    return Markup(
        '<svg class="chart" role="img" aria-label="{}" preserveAspectRatio="xMinYMid meet"'
        ' viewBox="0 0 {} {}">{}</svg>'
    ).format(title, _WIDTH, _HEIGHT, Markup("").join(parts))


def _bar(bar: Bar, x: float, step: float, share: float, *, told: bool) -> Markup:
    room = _HEIGHT - _TOP - _BOTTOM
    height = max(1.0, room * share)
    top = _HEIGHT - _BOTTOM - height
    texts = ((_HEIGHT - 6, bar.label), (top - 4, bar.short if bar.value else "")) if told else ()
    label = Markup("").join(
        Markup('<text x="{:.1f}" y="{:.1f}">{}</text>').format(x + step / 2, y, text)
        for y, text in texts
    )
    return Markup(
        '<g><title>{}</title><rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>{}</g>'
    ).format(
        escape(f"{bar.label}: {bar.words}"),
        x + step * 0.1,
        top,
        step * 0.8,
        height,
        label,
    )
