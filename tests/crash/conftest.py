"""Fixtures of the crash suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_world import Worlds, Zygote


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Keep one forking process for all tests of a worker."""
    process = Zygote()
    yield process
    process.close()


@pytest.fixture
def worlds(tmp_path: Path, zygote: Zygote) -> Iterator[Worlds]:
    """Make worlds for one test."""
    made = Worlds(tmp_path, zygote)
    yield made
    made.close_all()
