"""The end of a spec: its outputs, its checks, and what has to be said of its failed items."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from batchspec.crashpoints import reached
from batchspec.events import CheckDone, Event, FailedItem, OutputWritten, SpecDone
from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import InputTable
from batchspec.outputs.checks import run_checks
from batchspec.outputs.failures import (
    answering_submissions,
    failed_rows,
    known_relation,
    new_verdicts,
)
from batchspec.outputs.job import OutputJob, Written
from batchspec.outputs.receipt import (
    Facts,
    checks_body,
    keep_receipt,
    profiles_body,
    receipt_body,
    receipt_facts,
)
from batchspec.outputs.results import Results, ResultSources, Totals, open_results
from batchspec.outputs.upstream import keep_reading
from batchspec.outputs.writers import write_output
from batchspec.plan.model import SpecPlan
from batchspec.problems import Problem
from batchspec.spec.words import listing
from batchspec.state.model import Verdict
from batchspec.state.writer import SqlLedger
from batchspec.workflow.baselines import share_baseline
from batchspec.workflow.context import Session
from batchspec.workflow.derive import answer_files
from batchspec.workflow.job import Job
from batchspec.workflow.planning import Planned
from batchspec.workflow.sampling import ABOUT_ALL_ITEMS

Done = tuple[OutputJob, Written]
"""An output that was to be written, and what was written."""

NAMED_FAILURES = 100
"""So many failed items are named; the rest are counted."""


def is_complete(plan: SpecPlan) -> bool:
    """Tell whether every item has an outcome, so that outputs can be written."""
    return plan.only_again and not plan.counts.in_flight and not plan.elsewhere


def finish(
    session: Session, ledger: SqlLedger, job: Job, planned: Planned, engine: Engine
) -> Generator[Event, None, tuple[Problem, ...]]:
    """Write a complete spec's outputs, run its checks, and sum it up.

    Raises:
        Refused: something foreign stands where an output belongs.
        StateFailure: answers are missing from the state.
    """
    problems: list[Problem] = []
    known = planned.known or ledger.export_known(session.cache_dir)
    tags = answering_submissions(engine, planned.items.relation, known)
    sources = ResultSources(
        items=planned.items.relation,
        known=known_relation(known),
        answers=answer_files(session, ledger.submissions(), tags),
        table=planned.table,
        form=planned.form,
        prices=session.catalogue.prices(job.loaded.spec.model),
    )
    with open_results(engine, sources) as results:
        written = yield from _write(session, job, planned, engine, results, problems)
        checks: list[CheckDone] = []
        if len(written) == len(job.loaded.spec.outputs):
            checks = _check(session, job, engine, written, planned.table, problems)
            yield from checks
        answered = [s for s in ledger.submissions() if s.tag in tags]
        _receipts(session, receipt_facts(engine, results, answered), written, checks)
        if len(written) == len(job.loaded.spec.outputs) and not session.sampled:
            keep_reading(session.reading_path(job.name), written)
        yield from _name_failures(engine, results, job)
        verdicts = [
            Verdict(digest=digest, attempt=1, outcome=outcome)
            for digest, outcome in new_verdicts(engine, results)
        ]
        job.done = _done(job, results.totals)
    if verdicts:
        ledger.recheck(verdicts)
    reached("outputs")
    planned.items.write_baseline(session.baseline(job.name))
    share_baseline(session, job.name)
    yield job.done
    return tuple(problems)


def _write(
    session: Session,
    job: Job,
    planned: Planned,
    engine: Engine,
    results: Results,
    problems: list[Problem],
) -> Generator[Event, None, list[Done]]:
    written: list[Done] = []
    items_digest = planned.items.inputs_digest
    for number in range(len(job.loaded.spec.outputs)):
        output = OutputJob(
            root=session.project.root,
            loaded=job.loaded,
            number=number,
            spec_digest=planned.plan.digests["spec"],
            items_digest=items_digest,
            emulated=session.emulated,
            sampled=session.sampled,
        )
        done, found = write_output(engine, results, output)
        problems += found
        if done is None:
            continue
        written.append((output, done))
        yield OutputWritten(
            spec=job.name,
            path=done.path,
            rows=done.rows,
            changed=done.changed,
            emulated=session.emulated,
        )
    return written


def _check(
    session: Session,
    job: Job,
    engine: Engine,
    written: list[Done],
    table: InputTable,
    problems: list[Problem],
) -> list[CheckDone]:
    target = written[0][0].target
    done = [output for _, output in written]
    found, wrong = run_checks(
        engine,
        job.loaded,
        done,
        table,
        quarantine=target,
        leave_out=ABOUT_ALL_ITEMS if session.takes_samples else (),
    )
    problems += wrong
    kept = target.quarantine.relative_to(target.root).as_posix()
    job.failed_checks += sum(check.verdict == "error" for check in found)
    return [
        CheckDone(
            spec=job.name,
            name=check.name,
            kind=check.kind,
            severity=check.severity,
            verdict=check.verdict,
            failures=check.failures,
            samples=check.samples,
            detail=check.detail,
            evaluation=check.evaluation,
            quarantine=kept if check.verdict != "pass" and check.failing else None,
        )
        for check in found
    ]


def _receipts(
    session: Session, facts: Facts, written: Sequence[Done], checks: Sequence[CheckDone]
) -> None:
    """Leave a receipt beside each output."""
    for job, done in written:
        body = receipt_body(
            spec=job.loaded.spec.name,
            path=done.path,
            sha256=done.digest,
            emulated=job.emulated,
            facts=facts,
        )
        body |= profiles_body(done.profile, done.earlier) | checks_body(checks)
        keep_receipt(job.target, body, session.clock.now())


def _name_failures(engine: Engine, results: Results, job: Job) -> Generator[Event, None, None]:
    kept = job.loaded.spec.response.on_invalid == "keep"
    passed = ("succeeded", "invalid") if kept else ("succeeded",)
    counts = dict(results.totals.statuses)
    job.failed_items = sum(count for status, count in counts.items() if status not in passed)
    if not job.failed_items:
        return
    for number, row in enumerate(failed_rows(engine, results, passed)):
        if number == NAMED_FAILURES:
            return
        yield FailedItem(spec=job.name, key=row.key, status=row.status, detail=row.detail)


def _done(job: Job, totals: Totals) -> SpecDone:
    return SpecDone(
        spec=job.name,
        items=totals.items,
        by_status=totals.statuses,
        requests_submitted=job.submitted,
        usd=job.usd,
        cache=(job.use.read, job.use.written),
        tokens=(job.use.input, job.use.output),
        usd_total=totals.usd,
        complete=True,
        failed=job.failed_items,
    )


def unfinished(job: Job, in_flight: int) -> SpecDone | None:
    """Return the summary of a spec whose outputs could not be written yet.

    Args:
        job: The spec's.
        in_flight: How many of its requests are.
    """
    if job.plan is None:
        return None
    return SpecDone(
        spec=job.name,
        items=job.plan.items,
        by_status=(),
        requests_submitted=job.submitted,
        usd=job.usd,
        cache=(job.use.read, job.use.written),
        tokens=(job.use.input, job.use.output),
        usd_total=None,
        complete=False,
        in_flight=in_flight,
        why=job.stopped or waiting_words(job.plan.after) or _open_words(in_flight, job.plan),
    )


def _open_words(in_flight: int, plan: SpecPlan) -> str:
    """Say what of a spec is in flight, or still to be asked; nothing when nothing is."""
    if in_flight == 1:
        return "1 request is in flight."
    if in_flight:
        return f"{in_flight:,} requests are in flight."
    if plan.counts.in_flight:
        return "What it asks is in flight for another spec."
    if plan.counts.submit == 1:
        return "1 item is still to be asked."
    return f"{plan.counts.submit:,} items are still to be asked." if plan.counts.submit else ""


def waiting_words(after: Sequence[str]) -> str:
    """Say that a spec waits for others; nothing when it does not."""
    return f"It is planned after {listing(after, 'and')}." if after else ""
