"""One contract for every way of keeping a state: each test runs against all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from state_places import KINDS, Place

from batchspec.spec.model import State
from batchspec.state.team import Team
from batchspec.state.writer import SqlLedger


@pytest.fixture(params=KINDS)
def make_team(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Team | None]:
    """Make the settings of a new state of each kind; None: it is not shared."""
    kind: str = request.param

    def make(**settings: object) -> Team | None:
        if kind == KINDS[0]:
            return None
        ledger = request.getfixturevalue("postgres").database()
        segments, environ = f"file://{tmp_path}/shared", {"HOME": str(tmp_path)}
        if kind == KINDS[2]:
            buckets = request.getfixturevalue("buckets")
            environ |= buckets.environ()
            for name, value in environ.items():
                monkeypatch.setenv(name, value)
            segments = f"s3://{buckets.bucket()}/states"
        state = State.model_validate({"ledger": ledger, "segments": segments, **settings})
        return Team(state, "contract", environ)

    return make


@pytest.fixture
def place(make_team: Callable[..., Team | None], tmp_path: Path) -> Iterator[Place]:
    """Return an empty place for a state."""
    found = Place(folder=tmp_path / "state", team=make_team())
    yield found
    for ledger in found.opened:
        ledger.close()


@pytest.fixture
def ledger(place: Place) -> Iterator[SqlLedger]:
    """Return a ledger whose lease this process holds."""
    opened = place.ledger()
    with place.lease(opened):
        yield opened
