"""One file per item, at a path made from the item's key and columns."""

# ruff: noqa: S608 - the names in this SQL are ours or quoted, and author SQL was read before.

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from batchspec.durable import disk_errors, write_file
from batchspec.inputs.engine import AuthorSqlError, Column, Engine
from batchspec.outputs.authored import Authored
from batchspec.outputs.job import OutputJob, Written
from batchspec.outputs.manifest import OutputFacts, file_digest, keep_manifest, read_manifest
from batchspec.outputs.pathmap import NAMED, PathMap, fields_of, is_safe, path_expression
from batchspec.outputs.places import make_folder, refuse_foreign
from batchspec.outputs.projection import json_object
from batchspec.outputs.results import RESULTS, Results
from batchspec.problems import Problem, Severity, has_errors

CONTENT: Final = "content"
"""The column of a projection that becomes a file's text."""


def write_items(
    engine: Engine, results: Results, job: OutputJob, authored: Authored | None
) -> tuple[Written | None, tuple[Problem, ...]]:
    """Write the answer of each succeeded item, or each row of a projection, to its own file.

    Raises:
        Refused: A foreign file stands in the place of one of them; nothing was written.
        DiskFailure: The disk refuses.
    """
    query, problems = query_of(engine, job, authored, is_json=results.sources.form.is_json)
    if query is None or has_errors(problems):
        return None, problems
    paths = PathMap(target=job.target)
    try:
        for path, content in engine.rows(query):
            paths.take(path, content)
    except AuthorSqlError as error:
        if authored is None:
            raise
        return None, (*problems, authored.problem(error))
    where = job.loaded.place(*job.place, "path")
    problems += tuple(paths.problems(where))
    if has_errors(problems):
        return None, problems
    changed, edited = _replace(engine, query, results, job, paths)
    written = Written(
        path=job.target.shown,
        rows=len(paths.files),
        digest=paths.digest(),
        bytes=paths.size,
        changed=changed,
        statuses=results.totals.statuses,
        relation=f"SELECT path, decode(content) AS content FROM ({query})",
    )
    return written, (*problems, *_left(job, edited))


def query_of(
    engine: Engine, job: OutputJob, authored: Authored | None, *, is_json: bool
) -> tuple[str | None, tuple[Problem, ...]]:
    """Return the query of ``path`` and ``content`` (bytes), one row per file."""
    source = f"(FROM {RESULTS} WHERE status = 'succeeded')"
    columns = engine.names(f"FROM {RESULTS}")
    if authored is not None:
        source = f"({authored.select.sql})"
        try:
            columns = engine.names_of(authored.select)
        except AuthorSqlError as error:
            return None, (authored.problem(error),)
    problems = (*_unknown_fields(job, columns), *(authored.warnings() if authored else ()))
    content = _content(job, columns, authored=authored is not None, is_json=is_json)
    if isinstance(content, Problem):
        return None, (*problems, content)
    path = path_expression(job.target.shown)
    ended = f"CASE WHEN ends_with({content}, chr(10)) THEN {content} ELSE {content} || chr(10) END"
    return f"SELECT {path} AS path, encode({ended}) AS content FROM {source}", problems


def _content(
    job: OutputJob, columns: tuple[Column, ...], *, authored: bool, is_json: bool
) -> str | Problem:
    """Return the SQL of a file's text: the answer, or of a projection what it selects."""
    as_json = PurePosixPath(job.output.path).suffix == ".json"
    if not authored:
        return "result::VARCHAR" if as_json or is_json else "text"
    if any(column.name == CONTENT for column in columns):
        return f"coalesce({CONTENT}::VARCHAR, '')"
    if as_json:
        return json_object(columns)
    return Problem(
        code="output-content",
        summary="the select of an output with one file per item has no column named content",
        detail="That column becomes the file's text. Name one with AS content, or let outputs.path"
        " end in .json to write each row as a JSON object.",
        where=job.loaded.place(*job.place, "select"),
    )


def _unknown_fields(job: OutputJob, columns: tuple[Column, ...]) -> Iterator[Problem]:
    names = [column.name for column in columns]
    for name in fields_of(job.output.path):
        if name in names:
            continue
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {{{{ {near[0]} }}}}?" if near else ""
        yield Problem(
            code="output-path-field",
            summary=f"outputs.path uses {{{{ {name} }}}}, which is no column of its rows",
            detail="A field of a path is the plain name of a column: key, a column of the inputs,"
            f" or one that outputs.select gives.{hint}",
            where=job.loaded.place(*job.place, "path"),
        )


def _replace(
    engine: Engine, query: str, results: Results, job: OutputJob, paths: PathMap
) -> tuple[bool, list[str]]:
    """Bring the files on disk to what they should be; return whether that changed anything."""
    target, root = job.target, job.root
    manifest = read_manifest(target.manifest)
    old = {} if manifest is None else manifest.output.files or {}
    stale = {path for path, digest in paths.files.items() if not _stands(root / path, digest)}
    for folder in sorted({(root / path).parent for path in stale} | {target.manifest.parent}):
        make_folder(target, folder / "file")
    for path in sorted(stale):
        refuse_foreign(path, root / path, ours=path in old)
    removed, edited = _remove(root, {p: d for p, d in old.items() if p not in paths.files})
    facts = OutputFacts(
        path=target.shown,
        sha256=paths.digest(),
        rows=len(paths.files),
        bytes=paths.size,
        files=paths.files,
    )
    keep_manifest(target, job.manifest(results, facts).encode())
    if stale:
        for path, content in engine.rows(query):
            if path in stale:
                write_file(root / path, [content])
    return bool(stale or removed), edited


def _stands(path: Path, digest: str) -> bool:
    return not path.is_symlink() and file_digest(path) == digest


def _remove(root: Path, gone: Mapping[str, str]) -> tuple[int, list[str]]:
    """Delete files whose items are gone; those that were changed by hand are left and returned."""
    removed, edited = 0, []
    for path, digest in gone.items():
        # The manifest may come from anybody's commit: it cannot name files elsewhere.
        if not is_safe(root, path) or file_digest(root / path) is None:
            continue
        if not _stands(root / path, digest):
            edited.append(path)
            continue
        with disk_errors(f"delete {path}"):
            (root / path).unlink()
        with suppress(OSError):
            (root / path).parent.rmdir()
        removed += 1
    return removed, edited


def _left(job: OutputJob, edited: list[str]) -> tuple[Problem, ...]:
    if not edited:
        return ()
    return (
        Problem(
            code="output-edited",
            summary=f"{len(edited)} files of items that are gone were changed by hand: "
            + ", ".join(edited[:NAMED]),
            detail="They were left as they are. Delete them when they are not needed.",
            severity=Severity.WARNING,
            where=job.loaded.place(*job.place, "path"),
        ),
    )
