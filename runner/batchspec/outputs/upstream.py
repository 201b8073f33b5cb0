"""The outputs of one spec as tables of another: how they are read, and whether they are fresh.

The types of a text format's columns are known when it is written and not when it is read, so they
are kept beside the state's cache. Without them an output counts as not written: the next run
writes it anew, which costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from batchspec.durable import write_file
from batchspec.inputs.engine import quote_literal
from batchspec.outputs.database import ENDING as DATABASE
from batchspec.outputs.job import OutputJob, Written
from batchspec.outputs.manifest import Manifest, choose_target, file_digest, read_manifest
from batchspec.spec.model import Spec

FORMAT_VERSION: Final = 2
Queries = tuple[str | None, ...]
"""The SQL that reads each output of a spec, in their order; None: a database, which is no table."""


def keep_reading(path: Path, outputs: Sequence[tuple[OutputJob, Written]]) -> None:
    """Keep how the outputs of a spec are read.

    Args:
        path: Where; a file of the cache.
        outputs: All of them, and what was written.

    Raises:
        DiskFailure: The disk refuses.
    """
    document = {
        "format_version": FORMAT_VERSION,
        "root": str(outputs[0][0].root),
        "outputs": [
            {
                "path": written.path,
                "sha256": written.digest,
                "query": None if job.target.is_template else written.relation,
            }
            for job, written in outputs
        ],
    }
    write_file(path, [json.dumps(document, ensure_ascii=False).encode() + b"\n"])


def tables_of(name: str, queries: Queries) -> dict[str, str]:
    """Return the tables that others read of a spec: its name, and ``name_2`` and so on."""
    names = [name, *(f"{name}_{number}" for number in range(2, len(queries) + 1))]
    read = zip(names, queries, strict=True)
    return {table: f"({query})" for table, query in read if query is not None}


def upstream_queries(
    path: Path, root: Path, spec: Spec, *, digests: dict[str, str], emulated: bool
) -> Queries | None:
    """Return the SQL that reads a spec's outputs.

    None: one is not there, not whole, or not what the spec and its items would give now.

    Args:
        path: Where `keep_reading` put it.
        root: The project root.
        spec: The spec that writes the outputs.
        digests: Of its plan: ``spec`` and ``inputs``.
        emulated: Whether the outputs of emulated work are meant.
    """
    return _queries(path, root, spec, emulated=emulated, digests=digests)


def kept_queries(path: Path, root: Path, spec: Spec, *, emulated: bool) -> Queries | None:
    """Return the SQL that reads a spec's outputs as they stand; None: one is not there."""
    return _queries(path, root, spec, emulated=emulated, digests=None)


def _queries(
    path: Path, root: Path, spec: Spec, *, emulated: bool, digests: dict[str, str] | None
) -> Queries | None:
    found: list[str | None] = []
    for output in spec.outputs:
        if output.path.endswith(DATABASE):
            found.append(None)
            continue
        target = choose_target(root, output.path, emulated=emulated)
        manifest = read_manifest(target.manifest)
        if manifest is None or not _is_meant(root, manifest, digests, emulated=emulated):
            return None
        files = manifest.output.files or {}
        query = _files(root, files) if target.is_template else _kept(path, root, manifest)
        if query is None:
            return None
        found.append(query)
    return tuple(found)


def _is_meant(
    root: Path, manifest: Manifest, digests: dict[str, str] | None, *, emulated: bool
) -> bool:
    """Tell whether a manifest is of the work that is meant, and its output as it says."""
    if digests is None:
        return _is_whole(root, manifest)
    made_of = {"spec": manifest.spec_digest, "inputs": manifest.items_digest}
    return manifest.emulated is emulated and made_of == digests and _is_whole(root, manifest)


def _is_whole(root: Path, manifest: Manifest) -> bool:
    output = manifest.output
    files = {output.path: output.sha256} if output.files is None else output.files
    return all(file_digest(root / name) == digest for name, digest in files.items())


def _kept(path: Path, root: Path, manifest: Manifest) -> str | None:
    try:
        document = json.loads(path.read_bytes())
        there = (document["format_version"], document["root"])
        outputs = {output["path"]: output for output in document["outputs"]}
        output = outputs[manifest.output.path]
        whole = output["sha256"] == manifest.output.sha256
        query = output["query"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    wanted = (FORMAT_VERSION, str(root))
    return query if whole and there == wanted and isinstance(query, str) else None


def _files(root: Path, names: Iterable[str]) -> str:
    """Return the SQL of one row per file: its path in the project, and its text."""
    paths = [quote_literal(f"{root}/{name}") for name in sorted(names)]
    if not paths:
        return "SELECT NULL::VARCHAR AS path, NULL::VARCHAR AS content WHERE false"
    return (
        f"SELECT substr(filename, {len(str(root)) + 2}) AS path, content"  # noqa: S608 - quoted
        f" FROM read_text([{', '.join(paths)}])"
    )
