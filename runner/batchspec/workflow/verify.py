"""Checking every digest: of the state, of the outputs, and of what the outputs were made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from batchspec.outputs.formats import digest_of
from batchspec.outputs.manifest import Manifest, choose_target, read_manifest, verify_output
from batchspec.outputs.receipt import read_receipt
from batchspec.problems import Problem
from batchspec.records import frozen
from batchspec.spec.digest import spec_digest
from batchspec.spec.model import Spec
from batchspec.spec.project import LoadedSpec
from batchspec.state.ledger import LedgerReader
from batchspec.workflow.context import Session
from batchspec.workflow.planning import PlanOptions, plan_specs


class Weight(StrEnum):
    """How much a finding matters."""

    DAMAGED = "damaged"
    """Bytes are not what they were: something has to be restored."""
    STALE = "stale"
    """Whole, but not made from the specs and inputs as they are now."""


@frozen
class Finding:
    """One thing that is not as it should be."""

    what: str
    """``state``, ``segment``, or an output's path."""
    weight: Weight
    message: str
    """What is wrong and what to do, in full sentences."""


@frozen
class OutputState:
    """One output as it stands."""

    spec: str
    path: str
    """Relative to the project root; for one file per item, the template."""
    state: str
    """``whole``, ``stale``, ``damaged`` or ``missing``."""
    manifest: Manifest | None
    """None: there is no readable one."""
    written_at: str | None
    """When, as the receipt says; None without a receipt of this output."""


@frozen
class Verified:
    """What was found."""

    findings: tuple[Finding, ...]
    outputs: tuple[OutputState, ...]
    problems: tuple[Problem, ...]
    """What keeps inputs from being compared with what outputs were made from."""


def verify(session: Session, specs: Sequence[LoadedSpec]) -> Verified:
    """Check the state and the outputs of specs; read everything, change nothing.

    Inputs are read and prompts rendered as `plan` does, to tell whether the items are still those
    that the outputs were made from.
    """
    reader = session.reader()
    findings = [] if reader is None else list(_state(session, reader))
    outputs: list[OutputState] = []
    problems: list[Problem] = []
    for loaded in specs:
        digest, found = _items_digest(session, loaded)
        problems += found
        for output in loaded.spec.outputs:
            complaints = list(_output(session, loaded.spec, output.path, digest))
            findings += complaints
            outputs.append(_state_of_output(session, loaded.spec, output.path, complaints))
    return Verified(findings=tuple(findings), outputs=tuple(outputs), problems=tuple(problems))


def _items_digest(session: Session, loaded: LoadedSpec) -> tuple[str | None, tuple[Problem, ...]]:
    """Return the digest of a spec's items as they are now; None when nothing is written yet."""
    root, emulated = session.project.root, session.emulated
    targets = (choose_target(root, o.path, emulated=emulated) for o in loaded.spec.outputs)
    if not any(target.manifest.is_file() for target in targets):
        return None, ()
    plan, problems = plan_specs(session, [loaded], PlanOptions())
    return None if plan is None else plan.specs[0].digests["inputs"], problems


def _state_of_output(
    session: Session, spec: Spec, path: str, complaints: Sequence[Finding]
) -> OutputState:
    target = choose_target(session.project.root, path, emulated=session.emulated)
    manifest, receipt = read_manifest(target.manifest), read_receipt(target.receipt)
    weights = {complaint.weight for complaint in complaints}
    state = "whole" if not weights else str(max(weights, key=lambda w: w is Weight.DAMAGED))
    if manifest is None and Weight.DAMAGED not in weights:
        state = "missing"
    written_at = None
    if receipt is not None and manifest is not None:
        written_at = receipt.written_at if receipt.sha256 == manifest.output.sha256 else None
    return OutputState(
        spec=spec.name,
        path=target.shown,
        state=state,
        manifest=manifest,
        written_at=written_at,
    )


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


def _digest(session: Session, file: Path) -> str | None:
    """Return the digest that a manifest has of a file: of a database, that of its content."""
    with session.engine() as engine:
        return digest_of(engine, file.suffix, file)


def _output(session: Session, spec: Spec, path: str, items: str | None) -> Iterator[Finding]:
    found = verify_output(
        session.project.root,
        path,
        spec_digest(spec),
        items_digest=items,
        emulated=session.emulated,
        digest_of=lambda file: _digest(session, file),
    )
    for complaint in found:
        yield Finding(
            what=complaint.path,
            weight=Weight.STALE if complaint.stale else Weight.DAMAGED,
            message=complaint.message,
        )
