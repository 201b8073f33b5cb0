"""Lost, moved and damaged states; refused and limited creates; cancels and canaries."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from crash_world import DONE, World, Worlds

ENVIRONMENT, ITEMS_FAILED, REFUSED = 5, 3, 4


def state(world: World) -> Path:
    """Return the state folder."""
    return world.root / ".batchspec" / "state"


@pytest.mark.slow
def test_a_deleted_state_costs_nothing(worlds: Worlds) -> None:
    """After a finished run the state folder is deleted: the next run pays for nothing."""
    world = worlds.make()
    assert world.run() == DONE, world.story()
    before = world.output()
    shutil.rmtree(state(world))
    shutil.rmtree(world.root / "out")
    assert world.run() == DONE, world.story()
    world.judge(before)


@pytest.mark.slow
def test_a_state_deleted_while_batches_run_costs_nothing(worlds: Worlds) -> None:
    """The batches in progress are waited for and adopted."""
    world = worlds.make(delay_seconds=1.5)
    assert world.run("run", "--detach") == DONE, world.story()
    shutil.rmtree(state(world))
    assert world.run() == DONE, world.story()
    world.judge(world.output())


@pytest.mark.slow
def test_recover_takes_in_what_another_machine_asked(worlds: Worlds) -> None:
    """A checkout in another folder, without state or note, pays for nothing that was asked."""
    world = worlds.make()
    assert world.run() == DONE, world.story()
    other = world.root / "elsewhere"
    (other / "specs").mkdir(parents=True)
    for path in ("specs/crash.yaml", "batchspec.yaml"):
        shutil.copy(world.root / path, other / path)
    assert world.run("--project", str(other), "recover") == DONE, world.story()
    assert world.run("--project", str(other), "run") == DONE, world.story()
    assert (other / "out/crash.jsonl").read_bytes() == world.output()
    world.judge(world.output())


@pytest.mark.slow
def test_a_state_moves_in_one_file(worlds: Worlds) -> None:
    """Exported, deleted and imported, it knows everything; into another state it is refused."""
    world = worlds.make()
    assert world.run() == DONE, world.story()
    assert world.run("state", "export", "backup.tar.zst") == DONE, world.story()
    assert world.run("state", "import", "backup.tar.zst") == REFUSED
    shutil.rmtree(state(world))
    assert world.run("state", "import", "backup.tar.zst") == DONE, world.story()
    assert world.run("verify") == DONE, world.story()
    before = world.output()
    assert world.run() == DONE, world.story()
    world.judge(before)


@pytest.mark.slow
def test_a_damaged_result_segment_is_found_and_mended(worlds: Worlds) -> None:
    """`verify` names it, `recover` reads the answers again, nothing is asked again."""
    world = worlds.make()
    assert world.run() == DONE, world.story()
    segment = next((state(world) / "segments").glob("res-*"))
    segment.chmod(0o644)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    assert world.run("verify") == ITEMS_FAILED
    assert "do not match its name" in world.story()
    assert world.run("recover") == DONE, world.story()
    assert world.run("verify") == DONE, world.story()
    world.judge(world.output())


@pytest.mark.slow
def test_answers_are_rebuilt_from_segments(worlds: Worlds) -> None:
    """The cache is deleted together with the outputs: both come back, byte for byte, for free."""
    world = worlds.make()
    assert world.run() == DONE, world.story()
    before = world.output()
    shutil.rmtree(state(world) / "cache")
    shutil.rmtree(state(world) / "items")
    shutil.rmtree(world.root / "out")
    assert world.run() == DONE, world.story()
    world.judge(before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ({"status": 401}, ENVIRONMENT, "refused the key"),
        ({"status": 403}, ENVIRONMENT, "refused the key"),
        ({"status": 402}, ENVIRONMENT, "spending limit"),
        ({"status": 400}, ENVIRONMENT, "refused creating a batch"),
        (
            {"status": 429, "error_code": "enforced_spend_limit_reached"},
            ENVIRONMENT,
            "spending limit",
        ),
        ({"status": 429, "retry_after": 1}, DONE, "submitted"),
        ({"status": 413}, DONE, "submitted"),
    ],
)
def test_a_refused_create_says_what_to_do(
    worlds: Worlds, fault: dict[str, object], code: int, says: str
) -> None:
    """Wait, split or stop with words; the same command then pays for each question once."""
    world = worlds.make()
    world.fault(endpoint="create", kind="status", **fault)
    assert world.run() == code, world.story()
    assert says in world.story()
    assert world.run() == DONE, world.story()
    world.judge(world.output())


@pytest.mark.slow
def test_cancel_keeps_what_was_answered(worlds: Worlds) -> None:
    """Canceled requests cost nothing and are asked again by the next run; answers stay."""
    world = worlds.make(delay_seconds=3)
    assert world.run("run", "--detach") == DONE, world.story()
    assert world.run("cancel") == DONE, world.story()
    assert world.run() == DONE, world.story()
    assert world.output().count(b'"status":"succeeded"') == world.items


@pytest.mark.slow
@pytest.mark.parametrize("canary", [10, 3])
def test_a_first_batch_that_fails_as_one_stops_the_run(worlds: Worlds, canary: int) -> None:
    """With a canary of ten, or three, a prompt that always fails costs so many, not fifty."""
    world = worlds.make(items=50, chunk=100)
    answers = world.root / "answers.yaml"
    answers.write_text("rules:\n  - {outcome: errored, error_type: invalid_request_error}\n")
    worlds.close(world)
    world = worlds.make(items=50, chunk=100, answers=answers)
    spec = world.root / "specs/crash.yaml"
    spec.write_text(spec.read_text() + f"canary: {canary}\n")
    assert world.run() == ITEMS_FAILED, world.story()
    assert len({line["custom_id"] for line in requests(world)}) == canary
    assert "failed the same way" in world.story()


def requests(world: World) -> list[dict[str, str]]:
    """Return every request of every batch that the server has, paid or not."""
    found = []
    for body in (world.root / "server").rglob("*"):
        if body.is_file() and body.name.startswith("body"):
            found += json.loads(body.read_bytes())["requests"]
    return found
