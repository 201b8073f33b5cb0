"""What `verify` found, as lines and JSON."""

from __future__ import annotations

from dataclasses import dataclass

from batchspec.report.findings import findings_json, findings_text


@dataclass(frozen=True)
class Row:
    """A finding as the report reads it."""

    what: str
    weight: str
    message: str


FOUND = (
    Row("segment", "damaged", "Segment x is torn. Restore it."),
    Row("out/a.jsonl", "stale", "The spec has changed\n since. Run it again."),
    Row("out/b.jsonl", "stale", "The same."),
)


def test_findings() -> None:
    """Each finding is a line, and the last line counts them."""
    assert findings_text(FOUND, 2) == (
        "segment damaged: Segment x is torn. Restore it.\n"
        "out/a.jsonl stale: The spec has changed  since. Run it again.\n"
        "out/b.jsonl stale: The same.\n"
        "2 specs verified: 1 damaged, 2 stale.\n"
    )


def test_nothing_found() -> None:
    """A sound project is one line."""
    expected = "1 spec verified: state and outputs are as they were recorded.\n"
    assert findings_text((), 1) == expected


def test_json() -> None:
    """JSON has every finding as it is."""
    assert findings_json(FOUND[:1]) == {
        "format_version": 1,
        "findings": [
            {"what": "segment", "weight": "damaged", "message": "Segment x is torn. Restore it."}
        ],
    }
