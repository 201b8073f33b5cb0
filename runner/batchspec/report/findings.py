"""What `verify` found, as text and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from batchspec.report.figures import count
from batchspec.report.hygiene import clean_line
from batchspec.report.style import PLAIN, Style

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT_VERSION = 1
_STALE = "stale"


class Finding(Protocol):
    """One thing that is not as it should be, as the workflow reports it."""

    @property
    def what(self) -> str:
        """The part of the state, or an output's path."""

    @property
    def weight(self) -> str:
        """``damaged`` or ``stale``."""

    @property
    def message(self) -> str:
        """What is wrong and what to do, in full sentences."""


def findings_text(findings: Sequence[Finding], specs: int, *, style: Style = PLAIN) -> str:
    """Return one line per finding and a last line that sums up."""
    if not findings:
        return f"{count(specs, 'spec')} verified: state and outputs are as they were recorded.\n"
    lines = [_line(finding, style) for finding in findings]
    stale = sum(finding.weight == _STALE for finding in findings)
    parts = [(len(findings) - stale, "damaged"), (stale, "stale")]
    total = ", ".join(f"{number} {word}" for number, word in parts if number)
    return "\n".join([*lines, f"{count(specs, 'spec')} verified: {total}."]) + "\n"


def findings_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings as `verify --format json` prints them."""
    return {
        "format_version": FORMAT_VERSION,
        "findings": [
            {"what": f.what, "weight": str(f.weight), "message": f.message} for f in findings
        ],
    }


def _line(finding: Finding, style: Style) -> str:
    paint = style.warn if finding.weight == _STALE else style.bad
    return f"{clean_line(finding.what)} {paint(finding.weight)}: {clean_line(finding.message)}"
