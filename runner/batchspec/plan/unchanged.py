"""The plan that needs no scan: nothing to submit, and everything it depends on is as it was.

A plan without submissions is a function of the bytes of the input files, of the spec, of what
rendering, outputs and checks read, of the options and of the state's serial. When all of them are
equal, the former answer is the answer. Whatever cannot be proven equal is planned again: it costs
time, never money.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from batchspec.durable import PIECE, write_file
from batchspec.inputs.columns import Column
from batchspec.inputs.globs import find_files
from batchspec.inputs.hardened import FileRefused, read_below
from batchspec.inputs.tables import InputTable
from batchspec.plan.document import read_change, read_spec, spec_document
from batchspec.plan.mentioned import mentioned_files
from batchspec.plan.model import SpecPlan
from batchspec.records import frozen
from batchspec.spec.digest import spec_digest
from batchspec.spec.model import FileRef, Spec

FORMAT_VERSION = 3
MAX_CHANGES = 1000
"""A plan that names more failed items is not kept."""
_PATTERN_IN_TEXT = re.compile(r"""'[^']*[*?\[{][^']*'|"[^"]*[*?\[{][^"]*\"""")


@frozen
class Circumstances:
    """What a plan depends on besides inputs and prompt."""

    root: Path
    """The project root, symlinks resolved."""
    spec: Spec
    state: Mapping[str, Any]
    """``lineage`` and ``serial``; empty when there is no state yet."""
    options: Mapping[str, Any]
    """What the command asks for."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON data, to be compared."""
        return {
            "spec": spec_digest(self.spec),
            "state": dict(self.state),
            "options": dict(self.options),
        }


def remember(
    path: Path,
    plan: SpecPlan,
    table: InputTable,
    *,
    render_digest: str,
    circumstances: Circumstances,
) -> bool:
    """Keep a plan that submits nothing, for `recall`; False: it is not of that kind.

    Args:
        path: Where to keep it.
        plan: The plan.
        table: The inputs it was made from.
        render_digest: Of the renderer it was made with.
        circumstances: What else it depends on.

    Raises:
        DiskFailure: The file cannot be written.
    """
    named = _named(circumstances)
    mentioned = mentioned_files(circumstances.root, circumstances.spec)
    lasting = plan.items and not plan.counts.submit and not plan.counts.removed
    if (
        not lasting
        or len(plan.changes) > MAX_CHANGES
        or not table.certain
        or named is None
        or mentioned is None
        or (_by_name(circumstances.spec) and set(named) != set(table.sources))
    ):
        path.unlink(missing_ok=True)
        return False
    files = sorted({*named, *table.sources})
    document = {
        "format_version": FORMAT_VERSION,
        "circumstances": circumstances.document(),
        "files": {name: _content(circumstances.root / name) for name in files},
        "mentioned": {name: _content(circumstances.root / name) for name in mentioned},
        "columns": [[column.name, column.type] for column in table.columns],
        "render_digest": render_digest,
        "plan": spec_document(plan),
    }
    write_file(path, [json.dumps(document, ensure_ascii=False).encode() + b"\n"])
    return True


def recall(
    path: Path,
    circumstances: Circumstances,
    render_digest: Callable[[tuple[Column, ...]], str | None],
) -> SpecPlan | None:
    """Return the kept plan if making it again would make the same; None: plan.

    Args:
        path: Where `remember` kept it.
        circumstances: As they are now.
        render_digest: Compiles the prompt for inputs with these columns and returns its digest;
            None when it has problems.
    """
    try:
        kept = json.loads(path.read_bytes())
        if not _same(kept, circumstances):
            return None
        columns = tuple(Column(name=name, type=kind) for name, kind in kept["columns"])
        if render_digest(columns) != kept["render_digest"]:
            return None
        contents = [*kept["files"].items(), *kept["mentioned"].items()]
        if any(_content(circumstances.root / name) != content for name, content in contents):
            return None
        changes = tuple(read_change(change) for change in kept["plan"]["changes"])
        return read_spec(kept["plan"], changes)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _same(kept: Mapping[str, Any], circumstances: Circumstances) -> bool:
    """Compare all but the prompt and the files' contents."""
    if kept["format_version"] != FORMAT_VERSION:
        return False
    if kept["circumstances"] != circumstances.document():
        return False
    named = _named(circumstances)
    mentioned = mentioned_files(circumstances.root, circumstances.spec)
    if named is None or mentioned is None or set(mentioned) != set(kept["mentioned"]):
        return False
    return not _by_name(circumstances.spec) or set(named) == set(kept["files"])


def _by_name(spec: Spec) -> bool:
    """Tell whether the spec's own patterns are all that decides which files are read."""
    return spec.inputs.table is not None or spec.inputs.files is not None


def _named(circumstances: Circumstances) -> tuple[str, ...] | None:
    """Return the files that the spec names as inputs now; None: they are not known for certain."""
    inputs, root = circumstances.spec.inputs, circumstances.root
    patterns = inputs.files or (() if inputs.table is None else (inputs.table,))
    try:
        if patterns:
            return tuple(name for pattern in patterns for name in find_files(root, pattern))
        if isinstance(inputs.sql, FileRef):
            text = read_below(root, inputs.sql.file).decode()
            return None if _PATTERN_IN_TEXT.search(text) else (inputs.sql.file,)
    except (FileRefused, UnicodeDecodeError):
        return None
    if inputs.sql is not None and _PATTERN_IN_TEXT.search(inputs.sql):
        # Which files a pattern in SQL means is known to DuckDB alone.
        return None
    return ()


def _content(path: Path) -> list[Any]:
    """Return size and SHA-256 of a file; the time of its last change proves nothing."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            size += len(piece)
    return [size, digest.hexdigest()]
