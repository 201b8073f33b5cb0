"""What all tests share: patience with a busy machine, and servers for tests of a shared state.

Each server is started once per process, when first asked for.
"""

from __future__ import annotations

import signal
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

# A shell starts what runs in its background deaf to Ctrl-C, and programs hand that on to those that
# they start; tests that interrupt a program would wait for it for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
