"""Writing the history: a record when a command begins, again when its plan is known, at its end."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import batchspec
from batchspec.errors import DiskFailure, Failure, StateFailure
from batchspec.plan.document import own_digest
from batchspec.plan.model import Plan, SpecPlan
from batchspec.state.history import Expectation, RunRecord
from batchspec.state.ledger import Ledger
from batchspec.state.model import OPEN
from batchspec.state.runs import read_history
from batchspec.workflow.context import Session
from batchspec.workflow.options import DONE, PROBLEMS
from batchspec.workflow.provenance import actor, checkout, ci_url

PUBLISH: Final = "ci publish"
_INTERRUPTED: Final = 130
_DISK: Final = 5
_BUG: Final = 70
"""Exit codes that the command line gives to what is raised; see its boundary."""


@dataclass(slots=True)
class Recording:
    """The record of a command that is at work.

    Attributes:
        session: The session.
        ledger: Where it is kept.
        record: What is known so far.
        kept: Whether it is written at all.
        exit_code: With which the command ends, unless something is raised.
    """

    session: Session
    ledger: Ledger
    record: RunRecord
    kept: bool = True
    exit_code: int = DONE

    def planned(self, plan: Plan, digest: str = "") -> None:
        """Add what the first plan says; durable at once when something is to be submitted.

        Args:
            plan: The plan.
            digest: Digest of the saved plan that is applied; empty: there is none.
        """
        asking = [spec for spec in plan.specs if spec.requests]
        most = [spec.estimate.usd_max for spec in asking]
        known = [usd for usd in most if usd is not None]
        bound = asking if self.record.command != "collect" else []
        self.record = replace(
            self.record,
            plan_digest=digest or (own_digest(plan) if bound else ""),
            saved_plan_digest=digest,
            digests={spec.name: dict(sorted(spec.digests.items())) for spec in bound},
            expected={spec.name: _expected(spec) for spec in bound},
            items=sum(spec.counts.submit for spec in plan.specs),
            requests=sum(spec.requests for spec in plan.specs),
            usd_max=sum(known, Decimal(0)) if len(known) == len(most) else None,
        )
        if self.record.requests:
            self.write()

    def planned_later(self, spec: SpecPlan) -> None:
        """Add the plan of a spec whose items were known only after those it needs."""
        digests = {spec.name: dict(sorted(spec.digests.items()))}
        expected = {spec.name: _expected(spec)} if spec.requests else {}
        self.record = replace(
            self.record,
            digests=self.record.digests | digests,
            expected=self.record.expected | expected,
        )
        self.write()

    def replanned(self, plan: Plan) -> None:
        """Add that a fresh plan is submitted in the place of the saved one, which was stale."""
        self.record = replace(self.record, plan_digest=own_digest(plan))
        self.write()

    def write(self) -> None:
        """Make what is known so far durable."""
        if self.kept:
            self.ledger.record(self.record)

    def end(self, exit_code: int, failure: str = "") -> None:
        """Record the end. What the command did stands, even where this cannot be written."""
        if exit_code == DONE and self.session.left_out:
            exit_code = PROBLEMS
        self.record = replace(
            self.record,
            ended_at=self.session.clock.now(),
            exit_code=exit_code,
            failure=failure,
        )
        with contextlib.suppress(StateFailure, DiskFailure):
            self.write()


@contextlib.contextmanager
def recorded(
    session: Session,
    ledger: Ledger,
    command: str,
    specs: Sequence[str] = (),
    *,
    detail: str = "",
) -> Iterator[Recording]:
    """Keep a record of a command while the block runs.

    A command that is killed leaves a record without an end.

    Args:
        session: The session.
        ledger: Where it is kept; its lease is held.
        command: What was typed, such as ``run`` or ``state unlock``.
        specs: Names of the specs that it is about; none: the state as a whole.
        detail: A reason that was given with it.
    """
    seen, environment = checkout(session.project.root), session.project.environment
    record = RunRecord(
        run=session.randomness(8).hex(),
        command=command,
        began_at=session.clock.now(),
        specs=tuple(specs),
        actor=actor(session.environ),
        host=platform.node(),
        ci_url=ci_url(session.environ),
        commit=seen.commit,
        dirty=seen.dirty,
        version=batchspec.__version__,
        environment="" if environment is None else environment.name,
        sampled=session.sampled,
        detail=detail,
    )
    # A scheduled `collect` that finds nothing in flight would leave a record every few minutes.
    kept = command != "collect" or bool(ledger.submissions(OPEN))
    recording = Recording(session=session, ledger=ledger, record=record, kept=kept)
    recording.write()
    try:
        yield recording
    except BaseException as error:
        recording.end(*_told(error))
        raise
    recording.end(recording.exit_code)


@contextlib.contextmanager
def publishing(session: Session, specs: Sequence[str]) -> Iterator[bool]:
    """Yield whether answers were taken in since outputs were last published, and record that.

    What this CI run has published before does not count, so that it can be done again.

    Raises:
        StateLocked: another command is at work on the state.
    """
    if session.reader() is None:
        yield False
        return
    with session.writer(PUBLISH) as ledger:
        page = ci_url(session.environ)
        if not any(_collecting(ledger, session, page)):
            yield False
            return
        with recorded(session, ledger, PUBLISH, specs):
            yield True


def _collecting(ledger: Ledger, session: Session, page: str) -> Iterator[bool]:
    """Yield, back to the last time that another job published, whether a command collected."""
    for run in read_history(ledger, emulated=session.emulated).runs:
        if run.record.command == PUBLISH and not (page and run.record.ci_url == page):
            return
        yield bool(run.collected)


def _expected(spec: SpecPlan) -> Expectation:
    return Expectation(
        model=spec.model,
        requests=spec.requests,
        input_tokens=spec.estimate.input_tokens,
        output_tokens=spec.estimate.output_tokens,
        usd=spec.estimate.usd,
        usd_max=spec.estimate.usd_max,
    )


def _told(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the name that the command line gives to what ends a command."""
    match error:
        case Failure():
            return error.exit_code, error.code
        case KeyboardInterrupt() | GeneratorExit():
            return _INTERRUPTED, "interrupted"
        case OSError():
            return _DISK, "disk"
        case _:
            return _BUG, "bug"
