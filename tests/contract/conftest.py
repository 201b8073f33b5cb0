"""Fixtures of the emulator's contract: a server per test, and requests to send to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from batchspec.emulator.server import EmulatorSettings, RunningEmulator, start_emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from batchspec.emulator.probe import Probe


class Row(Protocol):
    """Makes one request of a create body."""

    def __call__(self, custom_id: str, text: str = ..., **params: Any) -> dict[str, Any]:
        """Return the request; ``params`` replace or join the standing ones."""


@pytest.fixture
def row() -> Row:
    """Return a function that makes one request."""

    def make(custom_id: str, text: str = "hello", **params: Any) -> dict[str, Any]:
        standing = {"model": "claude-haiku-4-5", "max_tokens": 64}
        messages = [{"role": "user", "content": text}]
        return {"custom_id": custom_id, "params": {**standing, "messages": messages, **params}}

    return make


@pytest.fixture
def rows(row: Row) -> Callable[[int], list[dict[str, Any]]]:
    """Return a function that makes some requests with different ids and texts."""
    return lambda count: [row(f"row-{number}", f"text {number}") for number in range(count)]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunningEmulator]]:
    """Return a function that starts emulators; all are closed after the test."""
    running: list[RunningEmulator] = []

    def start(**settings: Any) -> RunningEmulator:
        settings.setdefault("data_dir", tmp_path / f"emulator-{len(running)}")
        running.append(start_emulator(EmulatorSettings(**settings)))
        return running[-1]

    yield start
    for emulator in running:
        emulator.close()


@pytest.fixture
def probe(start: Callable[..., RunningEmulator]) -> Probe:
    """Return plain HTTP to an emulator with default settings."""
    return start().probe
