"""The lease: one writer at a time, the dead are recognised, and whoever is fenced stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from state_places import CLOCK, Place

from batchspec.errors import StateLocked
from batchspec.state.ledger import Fenced
from batchspec.state.shared_ledger import SharedLedger
from batchspec.state.team import Team

HOLDER = """
import os, sys
from pathlib import Path
sys.path[:0] = {path!r}
from state_places import Place
from batchspec.spec.model import State
from batchspec.state.team import Team
settings = {settings!r}
team = None if settings is None else Team(State.model_validate(settings), "contract", os.environ)
place = Place(folder=Path({folder!r}), team=team)
ledger = place.ledger()
with place.lease(ledger, "run"):
    print("held", flush=True)
    sys.stdin.readline()
    ledger.foreign(["msgbatch_late"])
    print("wrote", flush=True)
"""


@pytest.fixture
def holder(place: Place, tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    """Start another process that holds the lease until it is told to write."""
    script = tmp_path / "holder.py"

    def start() -> subprocess.Popen[str]:
        settings = None if place.team is None else place.team.settings.model_dump()
        text = HOLDER.format(path=sys.path, settings=settings, folder=str(place.folder))
        script.write_text(text)
        process = subprocess.Popen(
            [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    return start


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process and close its pipes."""
    process.kill()
    process.communicate()


def test_there_is_one_holder(place: Place) -> None:
    """The second one is told who the first is; after it has gone the lease is free."""
    first, second = place.ledger(), place.ledger()
    with place.lease(first, "run"):
        with pytest.raises(StateLocked, match=f"`batchspec run`, process {os.getpid()}"):
            place.lease(second, "apply").__enter__()
        first.foreign(["msgbatch_a"])
    with place.lease(second, "apply"):
        second.foreign(["msgbatch_b"])
        with pytest.raises(Fenced):
            first.foreign(["msgbatch_c"])
    assert second.known_batches() == {"msgbatch_a", "msgbatch_b"}


def test_a_killed_holder_is_dead_at_once(
    place: Place, holder: Callable[[], subprocess.Popen[str]]
) -> None:
    """Its lease needs no waiting and no command: the system says that the process is gone."""
    process = holder()
    ledger = place.ledger()
    with pytest.raises(StateLocked):
        place.lease(ledger).__enter__()
    end(process)
    started = CLOCK.elapsed()
    while True:
        try:
            with place.lease(ledger):
                ledger.foreign(["msgbatch_mine"])
        except StateLocked:  # the server has not seen the connection end yet
            assert CLOCK.elapsed() - started < 20
        else:
            break


def test_a_lease_can_be_broken(place: Place, holder: Callable[[], subprocess.Popen[str]]) -> None:
    """Whoever lost it finds out at its next write, and writes nothing."""
    process = holder()
    ledger = place.ledger()
    with place.lease(ledger, "state unlock", force=True):
        ledger.foreign(["msgbatch_mine"])
    out, _ = process.communicate("\n")
    assert "wrote" not in out
    assert process.returncode != 0
    assert ledger.known_batches() == {"msgbatch_mine"}


def test_a_silent_holder_expires(
    make_team: Callable[..., Team | None],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """A holder that stands still is taken for dead after its seconds; awake, it is fenced."""
    team = make_team(lease_seconds=1)
    if team is None:
        pytest.skip("the lease of a local state does not expire: a stopped process still holds it")
    place = Place(folder=tmp_path / "state", team=team)
    settings = team.settings.model_dump()
    script = tmp_path / "holder.py"
    script.write_text(HOLDER.format(path=sys.path, settings=settings, folder=str(place.folder)))
    process = subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    ledger = place.ledger()
    request.addfinalizer(ledger.close)
    assert isinstance(ledger, SharedLedger)
    CLOCK.sleep(1.5)
    assert not ledger.tenure().expired, "a living holder beats"
    process.send_signal(signal.SIGSTOP)
    while not ledger.tenure().expired:
        CLOCK.sleep(0.1)
    with place.lease(ledger):
        ledger.foreign(["msgbatch_mine"])
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate("\n")
    assert "wrote" not in out
    assert process.returncode != 0
    assert ledger.known_batches() == {"msgbatch_mine"}
