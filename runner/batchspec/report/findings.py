"""What `verify` found, as text and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from batchspec.report.figures import count, number
from batchspec.report.hygiene import clean_line
from batchspec.report.style import PLAIN, Style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchspec.outputs.manifest import Manifest

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


class OutputState(Protocol):
    """One output as it stands, as the workflow reports it."""

    @property
    def spec(self) -> str:
        """The spec's name."""

    @property
    def path(self) -> str:
        """The output, relative to the project; for one file per item, the template."""

    @property
    def state(self) -> str:
        """``whole``, ``stale``, ``damaged`` or ``missing``."""

    @property
    def manifest(self) -> Manifest | None:
        """What it was made from; None when no readable manifest says so."""

    @property
    def written_at(self) -> str | None:
        """When, as the receipt says; None without one."""


class Verified(Protocol):
    """What `verify` found."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What is not as it should be."""

    @property
    def outputs(self) -> Sequence[OutputState]:
        """Every output of the specs that were looked at."""


def findings_text(
    verified: Verified, specs: int, *, unread: bool = False, style: Style = PLAIN
) -> str:
    """Return one line per output, one per finding, and a last line that sums up.

    Args:
        verified: What was found.
        specs: How many specs were looked at.
        unread: Problems of specs or inputs kept something from being compared.
        style: How words are coloured.
    """
    lines = [_output(output, style) for output in verified.outputs]
    lines += [_line(finding, style) for finding in verified.findings]
    findings = verified.findings
    stale = sum(finding.weight == _STALE for finding in findings)
    parts = [(len(findings) - stale, "damaged"), (stale, "stale")]
    split = ", ".join(f"{number(many)} {word}" for many, word in parts if many)
    total = f"{count(len(findings), 'finding')} ({split})" if findings else ""
    found = total or "state and outputs are as they were recorded"
    if unread:
        found = f"{f'{total}, and ' if total else ''}problems keep the rest from being compared"
    return "\n".join([*lines, f"{count(specs, 'spec')} verified: {found}."]) + "\n"


def _output(output: OutputState, style: Style) -> str:
    paint = {"whole": style.good, "stale": style.warn, "missing": style.warn}
    state = paint.get(output.state, style.bad)(output.state)
    head = f"{clean_line(output.path)} {state}"
    manifest = output.manifest
    if manifest is None:
        return head
    statuses = ", ".join(f"{number(n)} {status}" for status, n in manifest.statuses)
    facts = [
        count(manifest.output.rows, "row"),
        f"{count(manifest.items, 'item')}{f' ({statuses})' if statuses else ''}",
        "emulated" if manifest.emulated else "real",
        f"sha256 {manifest.output.sha256[:12]}",
    ]
    if output.written_at is not None:
        facts.append(f"written {clean_line(output.written_at)[:16]}Z")
    return f"{head}: {', '.join(facts)}"


def findings_json(verified: Verified) -> dict[str, Any]:
    """Return outputs and findings as `verify --format json` prints them."""
    return {
        "format_version": FORMAT_VERSION,
        "outputs": [_output_json(output) for output in verified.outputs],
        "findings": [
            {"what": f.what, "weight": str(f.weight), "message": f.message}
            for f in verified.findings
        ],
    }


def _output_json(output: OutputState) -> dict[str, Any]:
    manifest = output.manifest
    return {
        "spec": output.spec,
        "path": output.path,
        "state": output.state,
        "sha256": None if manifest is None else manifest.output.sha256,
        "rows": None if manifest is None else manifest.output.rows,
        "items": None if manifest is None else manifest.items,
        "statuses": {} if manifest is None else dict(manifest.statuses),
        "emulated": None if manifest is None else manifest.emulated,
        "written_at": output.written_at,
    }


def _line(finding: Finding, style: Style) -> str:
    paint = style.warn if finding.weight == _STALE else style.bad
    return f"{clean_line(finding.what)} {paint(finding.weight)}: {clean_line(finding.message)}"
