"""The output of one spec as a table of another: how it is read, and whether it is as it should be.

The types of a text format's columns are known when it is written and not when it is read, so they
are kept beside the state's cache. Without them the output counts as not written: the next run
writes it anew, which costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from batchspec.durable import write_file
from batchspec.inputs.engine import quote_literal
from batchspec.outputs.job import OutputJob, Written
from batchspec.outputs.manifest import Manifest, choose_target, file_digest, read_manifest
from batchspec.spec.model import Spec

FORMAT_VERSION: Final = 1


def keep_reading(path: Path, job: OutputJob, written: Written) -> None:
    """Keep how a spec's first output is read.

    Args:
        path: Where; a file of the cache.
        job: The output.
        written: What was written of it.

    Raises:
        DiskFailure: The disk refuses.
    """
    document = {
        "format_version": FORMAT_VERSION,
        "root": str(job.root),
        "path": written.path,
        "sha256": written.digest,
        "query": None if job.target.is_template else written.relation,
    }
    write_file(path, [json.dumps(document, ensure_ascii=False).encode() + b"\n"])


def upstream_query(
    path: Path, root: Path, spec: Spec, *, digests: dict[str, str], emulated: bool
) -> str | None:
    """Return the SQL that reads a spec's first output.

    None: it is not there, not whole, or not what the spec and its items would give now.

    Args:
        path: Where `keep_reading` put it.
        root: The project root.
        spec: The spec that writes the output.
        digests: Of its plan: ``spec`` and ``inputs``.
        emulated: Whether the output of emulated work is meant.
    """
    target = choose_target(root, spec.outputs[0].path, emulated=emulated)
    manifest = read_manifest(target.manifest)
    if manifest is None or manifest.emulated is not emulated:
        return None
    made_of = {"spec": manifest.spec_digest, "inputs": manifest.items_digest}
    if made_of != digests or not _is_whole(root, manifest):
        return None
    if target.is_template:
        return _files(root, manifest.output.files or {})
    return _kept(path, root, manifest)


def kept_query(path: Path, root: Path, spec: Spec, *, emulated: bool) -> str | None:
    """Return the SQL that reads a spec's first output as it stands; None: it is not there."""
    target = choose_target(root, spec.outputs[0].path, emulated=emulated)
    manifest = read_manifest(target.manifest)
    if manifest is None or not _is_whole(root, manifest):
        return None
    if target.is_template:
        return _files(root, manifest.output.files or {})
    return _kept(path, root, manifest)


def _is_whole(root: Path, manifest: Manifest) -> bool:
    output = manifest.output
    files = {output.path: output.sha256} if output.files is None else output.files
    return all(file_digest(root / name) == digest for name, digest in files.items())


def _kept(path: Path, root: Path, manifest: Manifest) -> str | None:
    try:
        document = json.loads(path.read_bytes())
        there = (document["format_version"], document["root"], document["path"])
        whole = document["sha256"] == manifest.output.sha256
        query = document["query"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    wanted = (FORMAT_VERSION, str(root), manifest.output.path)
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
