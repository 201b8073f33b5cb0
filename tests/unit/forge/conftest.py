"""A fake code host and jobs that talk to it, with a clock that does not wait."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from fake_forge import WRITES, FakeForge, Served

from batchspec.forge.found import forge_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchspec.forge.port import Forge


@dataclass
class Clock:
    """Time that only sleeping moves."""

    slept: list[float] = field(default_factory=list)

    def now(self) -> dt.datetime:
        """Return the moved wall clock."""
        return dt.datetime(2026, 11, 23, tzinfo=dt.UTC) + dt.timedelta(seconds=self.elapsed())

    def elapsed(self) -> float:
        """Return the seconds slept so far."""
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.slept.append(seconds)


@pytest.fixture
def clock() -> Clock:
    """Return a clock that does not wait."""
    return Clock()


@pytest.fixture
def host() -> Iterator[FakeForge]:
    """Start a code host."""
    with Served() as served:
        yield served


@pytest.fixture
def github_job(host: FakeForge) -> dict[str, str]:
    """Return the variables of a job of GitHub Actions about pull request 3."""
    return {
        "GITHUB_REPOSITORY": "team/jobs",
        "GITHUB_API_URL": host.url,
        "GITHUB_TOKEN": WRITES,
        "GITHUB_REF": "refs/pull/3/merge",
        "GITHUB_SHA": "a" * 40,
    }


@pytest.fixture
def github(github_job: dict[str, str], clock: Clock) -> Forge:
    """Return GitHub as that job knows it."""
    return forge_of(github_job, clock)


@pytest.fixture
def gitlab(host: FakeForge, clock: Clock) -> Forge:
    """Return GitLab as a job about merge request 3 knows it."""
    return forge_of(
        {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": f"{host.url}/api/v4",
            "CI_PROJECT_ID": "7",
            "CI_MERGE_REQUEST_IID": "3",
            "CI_COMMIT_SHA": "a" * 40,
            "BATCHSPEC_GITLAB_TOKEN": WRITES,
        },
        clock,
    )
