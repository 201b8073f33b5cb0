"""What `verify` found, as lines and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchspec.outputs.manifest import Manifest, OutputFacts
from batchspec.report.findings import findings_json, findings_text


@dataclass(frozen=True)
class Row:
    """A finding as the report reads it."""

    what: str
    weight: str
    message: str


@dataclass(frozen=True)
class State:
    """An output as the report reads it."""

    path: str
    state: str
    manifest: Manifest | None
    written_at: str | None = None
    spec: str = "triage"


@dataclass(frozen=True)
class Found:
    """What was found, as the report reads it."""

    findings: Sequence[Row] = ()
    outputs: Sequence[State] = ()


MANIFEST = Manifest(
    spec="triage",
    spec_digest="ab" * 32,
    model="claude-haiku-4-5",
    items=1200,
    items_digest="cd" * 32,
    output=OutputFacts(path="out/a.jsonl", sha256="ef" * 32, rows=1000, bytes=1),
    statuses=(("succeeded", 1000), ("refused", 200)),
    usage=(),
    usd=None,
    emulated=True,
)
FOUND = (
    Row("segment", "damaged", "Segment x is torn. Restore it."),
    Row("out/a.jsonl", "stale", "The spec has changed\n since. Run it again."),
    Row("out/b.jsonl", "stale", "The same."),
)
OUTPUTS = (
    State("out/a.jsonl", "stale", MANIFEST, "2026-11-23T09:10:11.123Z"),
    State("out/b.jsonl", "missing", None),
)


def test_findings() -> None:
    """Each output is a line, each finding too, and the last line counts them."""
    assert findings_text(Found(FOUND, OUTPUTS), 2) == (
        "out/a.jsonl stale: 1,000 rows, 1,200 items (1,000 succeeded, 200 refused), emulated, "
        "sha256 efefefefefef, written 2026-11-23T09:10Z\n"
        "out/b.jsonl missing\n"
        "segment damaged: Segment x is torn. Restore it.\n"
        "out/a.jsonl stale: The spec has changed  since. Run it again.\n"
        "out/b.jsonl stale: The same.\n"
        "2 specs verified: 3 findings (1 damaged, 2 stale).\n"
    )


def test_nothing_found() -> None:
    """A sound project says so."""
    expected = "1 spec verified: state and outputs are as they were recorded.\n"
    assert findings_text(Found(), 1) == expected


def test_what_could_not_be_compared_is_not_called_sound() -> None:
    """Problems of specs or inputs take the place of the good news."""
    rest = "problems keep the rest from being compared.\n"
    assert findings_text(Found(), 0, unread=True) == f"0 specs verified: {rest}"
    found = findings_text(Found(FOUND[:1]), 1, unread=True)
    assert found.endswith(f"1 spec verified: 1 finding (1 damaged), and {rest}")


def test_json() -> None:
    """JSON has every output and every finding as it is."""
    assert findings_json(Found(FOUND[:1], OUTPUTS)) == {
        "format_version": 1,
        "outputs": [
            {
                "spec": "triage",
                "path": "out/a.jsonl",
                "state": "stale",
                "sha256": "ef" * 32,
                "rows": 1000,
                "items": 1200,
                "statuses": {"succeeded": 1000, "refused": 200},
                "emulated": True,
                "written_at": "2026-11-23T09:10:11.123Z",
            },
            {
                "spec": "triage",
                "path": "out/b.jsonl",
                "state": "missing",
                "sha256": None,
                "rows": None,
                "items": None,
                "statuses": {},
                "emulated": None,
                "written_at": None,
            },
        ],
        "findings": [
            {"what": "segment", "weight": "damaged", "message": "Segment x is torn. Restore it."}
        ],
    }
