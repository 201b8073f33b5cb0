"""Servers that tests of a shared state need; each is started once per process, when first asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bucket_server import BucketServer
    from postgres_server import PostgresServer


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
