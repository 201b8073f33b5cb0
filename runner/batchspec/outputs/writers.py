"""Writing an output: complete or not at all, only over our own files, and only when it changed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePosixPath

from batchspec.crashpoints import reached
from batchspec.durable import disk_errors, publish
from batchspec.inputs.engine import AuthorSqlError, Engine
from batchspec.outputs.authored import Authored
from batchspec.outputs.database import ENDING as DATABASE
from batchspec.outputs.database import reading_database, refuse_other_tables, table_name
from batchspec.outputs.formats import ENDINGS, Part, digest_of, reading, write_part
from batchspec.outputs.job import OutputJob, Written
from batchspec.outputs.jsontexts import json_texts
from batchspec.outputs.manifest import (
    Manifest,
    OutputFacts,
    keep_manifest,
    read_manifest,
)
from batchspec.outputs.peritem import write_items
from batchspec.outputs.places import Target, make_folder, refuse_foreign
from batchspec.outputs.profile import Profiles, profiles_of
from batchspec.outputs.projection import (
    Projection,
    default_json,
    default_table,
    project,
    projected,
)
from batchspec.outputs.receipt import read_receipt
from batchspec.outputs.results import Results
from batchspec.problems import Problem, has_errors


def write_output(
    engine: Engine, results: Results, job: OutputJob
) -> tuple[Written | None, tuple[Problem, ...]]:
    """Write one output of a spec and its manifest.

    Args:
        engine: The engine of ``results``.
        results: The open results of the spec.
        job: Which output, and where.

    Returns:
        What was written, or None, and every problem of the author's making.

    Raises:
        Refused: Something foreign stands in the output's place; nothing was written.
        DiskFailure: The disk refuses; the former output still stands.
    """
    authored, problems = project(engine, job.root, job.loaded, job.place, job.output)
    if has_errors(problems):
        return None, problems
    if job.target.is_template:
        written, more = write_items(engine, results, job, authored)
        return written, (*problems, *more)
    projection, more = rows_of(engine, results, job, authored)
    problems += more
    if projection is None or has_errors(problems):
        return None, problems
    try:
        return _write(engine, results, job, projection), problems
    except AuthorSqlError as error:
        if authored is None:
            raise
        return None, (*problems, authored.problem(error))


def ending_of(job: OutputJob) -> str:
    """Return the ending that names an output's format."""
    ending = PurePosixPath(job.output.path).suffix
    if ending not in ENDINGS:
        raise ValueError(f"No format has the ending {ending!r}.")
    return ending


def rows_of(
    engine: Engine, results: Results, job: OutputJob, authored: Authored | None
) -> tuple[Projection | None, tuple[Problem, ...]]:
    """Return the rows of an output that is one file: the author's, else the default ones."""
    ending = ending_of(job)
    is_json = ending in {".jsonl", ".json"}
    if authored is not None:
        projection, problems = projected(engine, authored)
        if projection is None or is_json:
            return projection, problems
        schema = results.sources.form.schema
        return projection, (*problems, *json_texts(engine, projection, authored, schema))
    if is_json:
        return default_json(results), ()
    return default_table(results, flat=ending == ".csv"), ()


def _write(engine: Engine, results: Results, job: OutputJob, projection: Projection) -> Written:
    target, ending = job.target, ending_of(job)
    make_folder(target, target.path)
    temporary = target.path.with_name(f".{target.path.name}.part")
    before = read_manifest(target.manifest)
    table = table_name(job.loaded.spec.name)
    try:
        part = engine.frugally(lambda: write_part(engine, projection, ending, temporary, table))
        facts = OutputFacts(path=target.shown, sha256=part.sha256, rows=part.rows, bytes=part.said)
        profile: Profiles = {}
        if job.profiled:
            rows = _relation(engine, projection, job, part, part.path)
            profile = profiles_of(engine, rows, job.profiled)
        manifest = job.manifest(results, facts, profile).encode()
        standing = digest_of(engine, ending, target.path)
        if ending == DATABASE and standing not in {None, part.sha256}:
            refuse_other_tables(engine, target.path, target.shown, table)
        changed = _settle(target, part, manifest, standing)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return Written(
        path=target.shown,
        rows=part.rows,
        digest=part.sha256,
        bytes=part.said,
        changed=changed,
        statuses=results.totals.statuses,
        relation=_relation(engine, projection, job, part, target.path),
        profile=profile,
        earlier=_earlier(job, before, part.sha256, changed=changed) if profile else None,
    )


def _relation(
    engine: Engine, projection: Projection, job: OutputJob, part: Part, path: Path
) -> str:
    """Return the query that reads back what was written, from ``path``."""
    ending = ending_of(job)
    if ending == DATABASE:
        return reading_database(engine, path, table_name(job.loaded.spec.name))
    return reading(projection, ending, path, part.longest)


def _earlier(
    job: OutputJob, before: Manifest | None, digest: str, *, changed: bool
) -> Profiles | None:
    """Return the profiles of the output that stood there before this one.

    A run that changes nothing compares with what the run before it compared with, as its receipt
    says, so that a drift is not forgotten by looking again.
    """
    if before is not None and before.emulated != job.emulated:
        return None
    receipt = read_receipt(job.target.receipt)
    if receipt is not None and receipt.sha256 == digest:
        return receipt.earlier
    if before is not None and before.output.sha256 != digest:
        return before.profile
    # The manifest speaks of this output already, but the output was not there: a run stopped.
    if receipt is not None and changed:
        return receipt.profile
    return None if before is None else before.profile


def _settle(target: Target, part: Part, manifest: bytes, standing: str | None) -> bool:
    """Put the manifest and then the output into place; tell whether the output changed."""
    same = not target.path.is_symlink() and standing == part.sha256
    if not same:
        ours = read_manifest(target.manifest) is not None
        refuse_foreign(target.shown, target.path, ours=ours)
    keep_manifest(target, manifest)
    if not same:
        with disk_errors(f"write {target.shown}"):
            publish(part.path, target.path, size=part.bytes)
        reached("output:published")
    return not same
