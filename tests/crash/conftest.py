"""Fixtures of the crash suite, and the figures that it sums up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash_world import Worlds, Zygote

SUMS: pytest.StashKey[Counter[str]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Begin to sum up."""
    config.stash[SUMS] = Counter()
    config.pluginmanager.register(Figures(config.stash[SUMS]))


class Figures:
    """Sums up what tests record under ``figures``, in whichever process they run."""

    def __init__(self, sums: Counter[str]) -> None:
        self._sums = sums

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the figures of a test that has ended."""
        if report.when == "teardown":
            for name, value in report.user_properties:
                if name == "figures" and isinstance(value, dict):
                    self._sums.update(value)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the sums."""
        if self._sums:
            told = ", ".join(f"{count:,} {name}" for name, count in sorted(self._sums.items()))
            terminalreporter.write_sep("-", "figures")
            terminalreporter.write_line(told)


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Keep one forking process for all tests of a worker."""
    process = Zygote()
    yield process
    process.close()


@pytest.fixture
def worlds(
    tmp_path: Path, zygote: Zygote, record_property: Callable[[str, object], None]
) -> Iterator[Worlds]:
    """Make worlds for one test."""
    made = Worlds(tmp_path, zygote)
    yield made
    made.close_all()
    record_property("figures", dict(made.figures))
