"""The rows that failed a check, kept in a file beside the output until they no longer fail."""

# ruff: noqa: S608 - the queries are those of checks that were evaluated before

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from batchspec.durable import disk_errors, read_pieces, write_file
from batchspec.inputs.engine import Engine
from batchspec.outputs.manifest import file_digest
from batchspec.outputs.places import Target, refuse_foreign
from batchspec.outputs.projection import json_object
from batchspec.outputs.verdict import CheckResult

_OURS: Final = b'{"check":'


def keep_quarantine(engine: Engine, target: Target, results: Sequence[CheckResult]) -> None:
    """Write every row that fails a check which warns or fails; remove the file when there is none.

    The tables of the checks must still be there. A line is
    ``{"check": name, "verdict": …, "row": {…}}``; checks come in the order of the spec, and the
    rows of each are sorted, so that equal failures are equal bytes.

    Raises:
        Refused: A foreign file has its name.
        DiskFailure: The disk refuses.
    """
    path = target.quarantine
    shown = path.relative_to(target.root).as_posix()
    failed = [result for result in results if result.failing and result.verdict != "pass"]
    if not failed:
        _remove(path, shown)
        return
    refuse_foreign(shown, path, ours=_is_ours(path))
    part = engine.scratch / "quarantine.jsonl"
    with disk_errors(f"write {shown}"), part.open("wb") as file:
        file.writelines(_lines(engine, failed))
    if file_digest(part) != file_digest(path):
        write_file(path, read_pieces(part))
    with disk_errors(f"write {shown}"):
        part.unlink()


def _lines(engine: Engine, failed: Sequence[CheckResult]) -> Iterator[bytes]:
    for result in failed:
        name = json.dumps(result.name, ensure_ascii=False)
        opening = f'{{"check":{name},"verdict":"{result.verdict}","row":'
        rows = engine.rows(
            f"SELECT {json_object(result.columns)} AS row FROM ({result.failing}) ORDER BY ALL"
        )
        for (row,) in rows:
            yield f"{opening}{row}}}\n".encode()


def _is_ours(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(_OURS)) == _OURS
    return False


def _remove(path: Path, shown: str) -> None:
    if _is_ours(path) and not path.is_symlink():
        with disk_errors(f"delete {shown}"):
            path.unlink()
