"""Answers that are lost on the way: what happened is found out, never assumed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from cutting_proxy import CuttingProxy
from state_places import CLOCK

from batchspec.spec.model import State
from batchspec.state.ledger import Fenced
from batchspec.state.postgres import LedgerUnreachable
from batchspec.state.shared_ledger import SharedLedger
from batchspec.state.team import Team

if TYPE_CHECKING:
    from bucket_server import BucketServer
    from postgres_server import PostgresServer

MakeProxy = Callable[[int], CuttingProxy]


@pytest.fixture
def proxy() -> Iterator[MakeProxy]:
    """Put a proxy in front of a port."""
    made: list[CuttingProxy] = []

    def make(target: int) -> CuttingProxy:
        made.append(CuttingProxy(target))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def team(postgres: PostgresServer, proxy: MakeProxy, tmp_path: Path) -> tuple[Team, CuttingProxy]:
    """Return a shared state whose ledger is behind a proxy."""
    between = proxy(postgres.port)
    ledger = postgres.database().replace(str(postgres.port), str(between.port))
    state = State(ledger=ledger, segments=f"file://{tmp_path}/store")
    return Team(state, "proxied", {"HOME": str(tmp_path)}), between


@pytest.fixture
def ledger(team: tuple[Team, CuttingProxy]) -> Iterator[SharedLedger]:
    """Return its ledger, open and leased."""
    opened = team[0].ledger(CLOCK, os.urandom)
    with opened.held("test"):
        yield opened
    opened.close()


def test_a_commit_whose_answer_is_lost_has_happened(
    team: tuple[Team, CuttingProxy], ledger: SharedLedger
) -> None:
    """The server is asked, and the writer goes on as if nothing had been."""
    before = ledger.serial
    team[1].cut_at = b"COMMIT"
    ledger.foreign(["msgbatch_one"])
    assert team[1].cuts == 1
    assert ledger.serial == before + 1
    ledger.foreign(["msgbatch_two"])
    assert ledger.known_batches() == {"msgbatch_one", "msgbatch_two"}


def test_a_commit_that_never_arrived_has_not_happened(
    team: tuple[Team, CuttingProxy], ledger: SharedLedger
) -> None:
    """It is a failure of the environment; nothing is recorded, and the same call works again."""
    before = ledger.serial
    team[1].cut_at, team[1].deliver = b"COMMIT", False
    with pytest.raises(LedgerUnreachable):
        ledger.foreign(["msgbatch_one"])
    assert ledger.known_batches() == frozenset()
    assert ledger.serial == before
    ledger.foreign(["msgbatch_one"])
    assert ledger.known_batches() == {"msgbatch_one"}


def test_a_connection_lost_between_writes_is_made_again(
    team: tuple[Team, CuttingProxy], ledger: SharedLedger
) -> None:
    """A server that was restarted, or a network that forgot us, costs nothing."""
    team[1].cut_at, team[1].deliver = b"BEGIN", False
    ledger.foreign(["msgbatch_one"])
    team[1].cut_at = b"SELECT batch_id"
    assert ledger.known_batches() == {"msgbatch_one"}
    assert team[1].cuts == 2


def test_whoever_lost_its_connection_may_have_lost_the_lease(
    team: tuple[Team, CuttingProxy], ledger: SharedLedger
) -> None:
    """A new connection does not make it the writer again."""
    other = team[0].ledger(CLOCK, os.urandom)
    with other.held("run", force=True):
        team[1].cut_at, team[1].deliver = b"BEGIN", False
        with pytest.raises(Fenced):
            ledger.foreign(["msgbatch_one"])
    other.close()


@pytest.mark.parametrize("deliver", [True, False])
def test_a_put_whose_answer_is_lost_is_one_segment(
    buckets: BucketServer,
    proxy: MakeProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    deliver: bool,  # noqa: FBT001 - the case
) -> None:
    """Sent again on condition that there is none yet: what is found there is compared."""
    between = proxy(urlsplit(buckets.url).port or 0)
    environ = buckets.environ() | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{between.port}"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    bucket = buckets.bucket()
    state = State(ledger="postgresql://127.0.0.1:1/none", segments=f"s3://{bucket}/states")
    segments = Team(state, "proxied", environ).segments(tmp_path / "copies")
    between.cut_at, between.deliver = b"PUT ", deliver
    name = segments.write("res", [b"{}", b"[]"])
    assert between.cuts == 1
    assert segments.names() == (name,)
    assert segments.complaint(name) is None


def test_a_server_that_crashes_forgets_nothing(tmp_path: Path) -> None:
    """What was committed is there after the server was killed, and the writer goes on."""
    from postgres_server import binaries, start_postgres  # noqa: PLC0415 - a server of its own

    if binaries() is None:
        pytest.skip("there is no PostgreSQL server here (apt-get install postgresql)")
    server = start_postgres(durable=True)
    try:
        state = State(ledger=server.database(), segments=f"file://{tmp_path}/store")
        ledger = Team(state, "crashed", {"HOME": str(tmp_path)}).ledger(CLOCK, os.urandom)
        with ledger.held("test"):
            ledger.foreign(["msgbatch_one"])
            server.restart()
            assert ledger.known_batches() == {"msgbatch_one"}
            ledger.foreign(["msgbatch_two"])
            assert ledger.known_batches() == {"msgbatch_one", "msgbatch_two"}
            assert ledger.complaints() == ()
        ledger.close()
    finally:
        server.stop()
