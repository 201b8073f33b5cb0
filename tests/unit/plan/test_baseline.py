"""What describes a plan's items is believed when it is whole, and of this version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchspec.plan.baseline import (
    FORMAT_VERSION,
    BaselinePaths,
    items_digest,
    read_baseline,
    seal,
)

DIGEST = "0123456789abcdef" * 4


def sidecar(**changes: object) -> bytes:
    """Return a sealed sidecar."""
    document = {"format_version": FORMAT_VERSION, "sha256": DIGEST, **changes}
    return json.dumps(document | {"seal": seal(document)}).encode()


def test_it_names_the_items() -> None:
    """A sealed sidecar of this version says which file it is about."""
    assert items_digest(sidecar()) == DIGEST


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"[" * 100_000,
        b"\xff",
        sidecar(format_version=FORMAT_VERSION - 1),
        sidecar(sha256="../../elsewhere"),
        sidecar(sha256="a\x00b"),
        sidecar(sha256="\ud800"),
        sidecar(sha256=DIGEST + "\n"),
        sidecar(sha256=DIGEST.upper()),
        sidecar(sha256=None),
        sidecar().replace(b"0123", b"0124"),
        json.dumps({"format_version": FORMAT_VERSION, "sha256": DIGEST}).encode(),
    ],
    ids=range(14),
)
def test_what_else_lies_there_names_nothing(data: bytes, tmp_path: Path) -> None:
    """Anybody may write into a team's store: it is no item, no path, and no failure."""
    assert items_digest(data) is None
    paths = BaselinePaths.under(tmp_path, "spec")
    paths.sidecar.write_bytes(data)
    assert read_baseline(paths) is None
