"""Checking every digest: of the state, of the outputs, and of what the outputs were made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from batchspec.outputs.manifest import verify_output
from batchspec.spec.digest import spec_digest
from batchspec.spec.model import Spec
from batchspec.spec.project import LoadedSpec
from batchspec.state.ledger import LedgerReader
from batchspec.workflow.context import Session


class Weight(StrEnum):
    """How much a finding matters."""

    DAMAGED = "damaged"
    """Bytes are not what they were: something has to be restored."""
    STALE = "stale"
    """Whole, but not made from the specs and inputs as they are now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    what: str
    """``state``, ``segment``, or an output's path."""
    weight: Weight
    message: str
    """What is wrong and what to do, in full sentences."""


def verify(session: Session, specs: Sequence[LoadedSpec]) -> tuple[Finding, ...]:
    """Check the state and the outputs of specs; read everything, change nothing."""
    reader = session.reader()
    findings = [] if reader is None else list(_state(session, reader))
    for loaded in specs:
        findings += _outputs(session, loaded.spec)
    return tuple(findings)


def _state(session: Session, reader: LedgerReader) -> Iterator[Finding]:
    for complaint in reader.complaints():
        yield Finding(
            what="state",
            weight=Weight.DAMAGED,
            message=f"{complaint}. Restore the state folder from a backup, or move it away and run "
            "`batchspec recover`.",
        )
    named: dict[str, str] = {}
    for submission in reader.submissions():
        for segment in (submission.segment, submission.results):
            if segment is not None:
                named[segment] = submission.tag
    for segment, tag in named.items():
        damage = session.segments.complaint(segment)
        if damage is not None:
            yield Finding(
                what="segment",
                weight=Weight.DAMAGED,
                message=f"Segment {segment} of submission {tag} {damage}. Restore it from a "
                "backup, or run `batchspec recover` while the API still keeps the answers "
                "(29 days).",
            )


def _outputs(session: Session, spec: Spec) -> Iterator[Finding]:
    for output in spec.outputs:
        found = verify_output(
            session.project.root, output.path, spec_digest(spec), emulated=session.emulated
        )
        for complaint in found:
            yield Finding(
                what=output.path,
                weight=Weight.STALE if complaint.stale else Weight.DAMAGED,
                message=complaint.message,
            )
