"""A pytest plugin: an emulator per test.

It is there wherever batchspec is installed, and costs nothing until a test asks for it:

.. code-block:: python

    @pytest.mark.batchspec_emulator(delay_seconds=2)
    def test_my_job(batchspec_emulator):
        client = anthropic.Anthropic()          # finds base URL and key in the environment
        ...
        assert len(batchspec_emulator.probe.paid()) == 3

The marker's arguments are those of :class:`~batchspec.emulator.settings.EmulatorSettings`. The
fixture sets ``ANTHROPIC_BASE_URL`` and ``ANTHROPIC_API_KEY`` for the test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchspec.emulator.server import RunningEmulator


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "batchspec_emulator(**settings): settings of the batchspec_emulator fixture"
    )


@pytest.fixture
def batchspec_emulator(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningEmulator]:
    """Run an emulator for one test, and point the environment at it."""
    from batchspec.emulator.server import (  # noqa: PLC0415 - every pytest run loads this module
        EmulatorSettings,
        start_emulator,
    )

    marker = request.node.get_closest_marker("batchspec_emulator")
    settings: dict[str, Any] = {"data_dir": tmp_path / "batchspec-emulator"}
    settings.update({} if marker is None else marker.kwargs)
    with start_emulator(EmulatorSettings(**settings)) as emulator:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", emulator.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "emulated")
        yield emulator
