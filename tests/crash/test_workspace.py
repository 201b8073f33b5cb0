"""A shared workspace and its 29 days: other people's batches, results about to go, and gone."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from crash_world import DONE, World, Worlds

from batchspec.state.sqlite import SqliteLedger

ITEMS_FAILED = 3
THREADS = 4
PARAMS = {
    "model": "claude-haiku-4-5",
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "theirs"}],
}


def post(world: World, bodies: list[object]) -> None:
    """Make batches, one after the other, over one connection."""
    connection = http.client.HTTPConnection(urlsplit(world.server.base_url).netloc)
    headers = {"x-api-key": "somebody", "anthropic-version": "2023-06-01"}
    for body in bodies:
        connection.request("POST", "/v1/messages/batches", json.dumps(body), headers)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == http.HTTPStatus.OK, said
    connection.close()


def make_foreign(world: World, count: int) -> None:
    """Let somebody else make batches, also of our size."""
    bodies: list[object] = [
        {"requests": [{"custom_id": f"r{i}", "params": PARAMS} for i in range(1 + n % 5)]}
        for n in range(count)
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        parts = [bodies[n::THREADS] for n in range(THREADS)]
        list(pool.map(lambda part: post(world, part), parts))


def ours(world: World) -> list[str]:
    """Return the ids of the paid requests that are ours."""
    names = [line["custom_id"] for line in world.paid_lines()]
    return [name for name in names if name.startswith("c1-")]


def live_among_others(worlds: Worlds, count: int) -> None:
    """Run among so many batches of others, lose an answer and the state, and run again."""
    world = worlds.make()
    make_foreign(world, count)
    world.fault(endpoint="create", kind="cut_after")
    assert world.run() == DONE, world.story()
    output = world.output()
    before = ours(world)
    assert len({name.split("-")[2] for name in before}) == len(before) == world.items
    (world.root / ".batchspec/state").rename(world.root / "lost")
    assert world.run() == DONE, world.story()
    assert ours(world) == before
    assert world.output() == output
    world.figures["foreign batches"] += count


@pytest.mark.slow
def test_some_hundred_batches_of_others(worlds: Worlds) -> None:
    """They are told apart from ours, and nothing is paid twice."""
    live_among_others(worlds, 250)


@pytest.mark.crash_long
@pytest.mark.timeout(1800)
def test_ten_thousand_batches_of_others(worlds: Worlds) -> None:
    """The same in a crowded workspace."""
    live_among_others(worlds, 10_000)


@pytest.mark.slow
def test_results_about_to_disappear(worlds: Worlds) -> None:
    """Three weeks after a batch was made, status warns and says what takes its results in."""
    world = worlds.make(delay_seconds=3600)
    assert world.run("run", "--detach") == DONE, world.story()
    assert world.run("status") == DONE, world.story()
    assert "disappear" not in world.story()
    ledger = SqliteLedger(world.root / ".batchspec/state/ledger.db", os.urandom)
    now = dt.datetime.now(dt.UTC)
    ledger.take_lease("test", now)
    for submission in ledger.submissions():
        ledger.lose(submission.tag, "to be found again, and older")
        assert submission.batch_id is not None
        ledger.bind(submission.tag, submission.batch_id, now - dt.timedelta(days=22))
    ledger.close()
    assert world.run("status") == DONE, world.story()
    assert "its results disappear at" in world.story()
    assert "`batchspec collect` takes them in" in world.story()


@pytest.mark.slow
def test_results_that_have_disappeared(worlds: Worlds) -> None:
    """Nothing is asked again by itself: the items are named, and a person decides."""
    world = worlds.make(delay_seconds=3600)
    assert world.run("run", "--detach") == DONE, world.story()
    world.advance(30 * 86400)
    assert world.run() == ITEMS_FAILED, world.story()
    assert len(ours(world)) == world.items
    assert "--retry-failed" in world.story()
    assert world.run() == ITEMS_FAILED, world.story()
    assert len(ours(world)) == world.items
    world.zygote.start(world.order("run", "--retry-failed"))
    deadline = time.monotonic() + 60
    while len(ours(world)) < 2 * world.items:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    world.advance(3600)
    assert world.zygote.wait() == DONE, world.story()
    assert len(ours(world)) == 2 * world.items
    assert world.answered() == world.items
