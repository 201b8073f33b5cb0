"""What all tests share: patience with a busy machine, and servers for tests of a shared state.

Each server is started once per process, when first asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from bucket_server import BucketServer
    from postgres_server import PostgresServer

# How long drawing or trying an example takes says how busy the machine is, not whether it is right.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Return a PostgreSQL server; tests make databases of their own on it."""
    from postgres_server import binaries, start_postgres  # noqa: PLC0415 - most tests need none

    if binaries() is None:
        pytest.skip("there is no PostgreSQL server here (apt-get install postgresql)")
    server = start_postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def buckets() -> Iterator[BucketServer]:
    """Return an S3 server; tests make buckets of their own on it."""
    from bucket_server import start_bucket_server  # noqa: PLC0415 - most tests need none

    server = start_bucket_server()
    yield server
    server.server.stop()
