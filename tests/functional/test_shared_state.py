"""Two checkouts of one project, one PostgreSQL and one store between them."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bucket_server import BucketServer
    from postgres_server import PostgresServer
    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

SPEC = """\
version: 1
name: words
inputs: {rows: [{id: 1, word: red}, {id: 2, word: blue}], key: id}
model: claude-haiku-4-5
max_tokens: 20
prompt: {user: "Say {{ word }}."}
outputs: {path: out/words.jsonl}
"""
KEY = "canary-key-of-a-test"

Team = Callable[[int], list["Folder"]]


@pytest.fixture
def team(
    project: MakeProject, emulator: MakeEmulator, postgres: PostgresServer, tmp_path: Path
) -> Team:
    """Make checkouts of one project; they differ in nothing but the folder."""

    def make(count: int) -> list[Folder]:
        server, ledger = emulator().base_url, postgres.database()
        shared = f"state:\n  ledger: {ledger}\n  segments: file://{tmp_path}/store\n"
        files = {"specs/words.yaml": SPEC, "batchspec.yaml": f"version: 1\nname: words\n{shared}"}
        folders = [project(files) for _ in range(count)]
        for folder in folders:
            folder.environ.update(ANTHROPIC_BASE_URL=server, ANTHROPIC_API_KEY=KEY)
        return folders

    return make


def test_what_one_machine_paid_for_another_has(team: Team) -> None:
    """Two lines of configuration: the second checkout writes the same output without asking."""
    first, second = team(2)
    done = first.batchspec("run")
    assert done.code == 0, done.err
    planned = second.batchspec("plan", "--format", "json")
    assert planned.json()["totals"]["submit"] == 0
    again = second.batchspec("run", "--format", "json")
    assert again.code == 0, again.err
    assert second.read("out/words.jsonl") == first.read("out/words.jsonl")
    assert "submitted" not in again.err
    assert second.batchspec("verify").code == 0
    assert second.batchspec("status").code == 0
    assert "echo: Say red." in second.batchspec("show", "words", "1").out
    assert not (second.root / ".batchspec/state").exists()


def test_a_fresh_checkout_says_what_changed(team: Team) -> None:
    """The items of the last plan are shared: an edited row is no new one on another machine."""
    first, second = team(2)
    assert first.batchspec("run", "--detach").code == 0
    edited = SPEC.replace("red", "green").replace("2, word: blue", "3, word: pink")
    second.write("specs/words.yaml", edited)
    (spec,) = second.batchspec("plan", "--format", "json").json()["specs"]
    assert [(c["key"], c["action"], c["reason"]) for c in spec["changes"]] == [
        (1, "submit", "input"),
        (3, "submit", "new"),
        (2, "removed", None),
    ]
    assert (
        "changed since the last applied plan: input" in second.batchspec("show", "words", "1").out
    )


def test_items_that_an_older_version_described_are_described_anew(
    team: Team, tmp_path: Path
) -> None:
    """The same items may lie there already: what is said of them is replaced all the same."""
    first, second, third = team(3)
    assert first.batchspec("run").code == 0
    (note,) = (tmp_path / "store").rglob("items.words.json")
    described = note.read_bytes()
    older = json.loads(described) | {"format_version": 2}
    del older["seal"]
    note.write_text(json.dumps(older))
    (own,) = (first.root / ".batchspec/cache").rglob("words.items.json")
    assert first.batchspec("plan").code == 0
    assert own.read_bytes() == described
    assert second.batchspec("run").code == 0
    assert note.read_bytes() == described
    third.write("specs/words.yaml", SPEC.replace("red", "green"))
    (spec,) = third.batchspec("plan", "--format", "json").json()["specs"]
    assert [(c["key"], c["reason"]) for c in spec["changes"]] == [(1, "input")]


def test_what_one_machine_submits_another_collects(team: Team) -> None:
    """A detached run in one checkout is collected in another, and then no more in the first."""
    first, second = team(2)
    assert first.batchspec("run", "--detach").code == 0
    collected = second.batchspec("collect")
    assert collected.code == 0, collected.err
    assert second.rows("out/words.jsonl")[0]["result"] == "echo: Say red."
    assert first.batchspec("run").code == 0
    assert first.read("out/words.jsonl") == second.read("out/words.jsonl")


def test_a_saved_plan_is_stale_when_the_team_moved_on(team: Team) -> None:
    """No lock at plan time: what happened meanwhile is found when the plan is applied."""
    first, second = team(2)
    assert first.batchspec("plan", "--out", "plan.json").code == 0
    assert second.batchspec("run").code == 0
    stale = first.batchspec("apply", "plan.json")
    assert stale.code == 4
    assert "stale" in stale.err


def seen_and_broken(first: Folder, second: Folder) -> None:
    """Play the story of a run that hangs, seen from another checkout (or the same one)."""
    running = first.start("run")
    try:
        while not second.batchspec("state", "lease", "--format", "json").json()["held"]:
            assert running.poll() is None
        refused = second.batchspec("run")
        assert refused.code == 4
        assert f"process {running.pid} on " in refused.err
        broken = second.batchspec("state", "unlock", "--reason", "it hangs", "--format", "json")
        assert broken.json()["broken"] is True, broken.err
        assert second.batchspec("collect").code == 0
    finally:
        running.kill()
        running.communicate()
    again = second.batchspec("state", "unlock", "--reason", "to be sure")
    assert (again.code, "nothing to break" in again.out) == (0, True)
    assert "it hangs" in second.batchspec("history", "--format", "json").out


def test_the_lease_can_be_seen_and_broken(team: Team, emulator: MakeEmulator) -> None:
    """Who holds it is told to whoever is refused; breaking it needs a reason, which stays."""
    first, second = team(2)
    slow = emulator(delay_seconds=3600).base_url
    for folder in (first, second):
        folder.environ["ANTHROPIC_BASE_URL"] = slow
    assert second.batchspec("state", "unlock").code == 2
    assert second.batchspec("state", "lease", "--format", "json").json()["held"] is False
    seen_and_broken(first, second)


def test_a_local_lease_can_be_seen_and_broken(served: Folder, emulator: MakeEmulator) -> None:
    """The same for a state that is not shared."""
    served.write("specs/words.yaml", SPEC)
    served.environ["ANTHROPIC_BASE_URL"] = emulator(delay_seconds=3600).base_url
    assert "Nobody holds" in served.batchspec("state", "lease").out
    seen_and_broken(served, served)


def test_a_local_state_moves_into_the_shared_one(team: Team) -> None:
    """Once, whole, and nothing is paid again; the local folder is kept aside."""
    first, second = team(2)
    shared = first.read("batchspec.yaml")
    first.write("batchspec.yaml", "version: 1\nname: words\n")
    assert first.batchspec("run").code == 0
    output = first.read("out/words.jsonl")
    assert first.batchspec("state", "migrate").code == 2
    first.write("batchspec.yaml", shared)
    moved = first.batchspec("state", "migrate")
    assert moved.code == 0, moved.err
    assert "taken over 1 submissions" in moved.out
    assert not (first.root / ".batchspec/state").exists()
    assert (first.root / ".batchspec/state.migrated/ledger.db").exists()
    assert first.batchspec("state", "migrate").code == 2
    for folder in (first, second):
        again = folder.batchspec("run")
        assert again.code == 0, again.err
        assert "sending" not in again.err
        assert folder.read("out/words.jsonl") == output
    assert second.batchspec("verify").code == 0


def moved_by_pieces(folder: Folder, store: Path) -> None:
    """Kill `state migrate` at one moment after the other, each time a little later."""
    moments = ("segment:2", "ledger:1", "items:1", "recorded:1")
    for moment in moments:
        at = {"BATCHSPEC_CRASH_AT": f"migrate:{moment}"}
        killed = folder.batchspec("state", "migrate", env=at)
        assert killed.code == -signal.SIGKILL, f"{moment}: {killed.err}"
        assert (folder.root / ".batchspec/state/ledger.db").exists(), moment
    assert len(list(store.rglob("*.jsonl.zst"))) == 4


@pytest.mark.slow
def test_a_migration_that_is_killed_is_done_again(team: Team, tmp_path: Path) -> None:
    """At whatever moment: nothing is lost, nothing is there twice, and nothing is paid again."""
    first, second = team(2)
    shared = first.read("batchspec.yaml")
    first.write("batchspec.yaml", "version: 1\nname: words\n")
    assert first.batchspec("run").code == 0
    first.write("specs/words.yaml", SPEC.replace("red", "green"))
    assert first.batchspec("run", "--detach").code == 0
    first.write("specs/words.yaml", SPEC)
    first.write("batchspec.yaml", shared)
    moved_by_pieces(first, tmp_path / "store")
    done = first.batchspec("state", "migrate", "--format", "json")
    assert done.code == 0, done.err
    assert done.json()["submissions"] == 2
    for folder in (second, first):
        again = folder.batchspec("run")
        assert (again.code, "sending" in again.err) == (0, False), again.err
    assert second.batchspec("verify").code == 0
    assert second.read("out/words.jsonl") == first.read("out/words.jsonl")
    known = second.batchspec("status", "--format", "json").json()
    assert (known["answers"], known["collected"]) == ({"succeeded": 3}, 2)


def test_two_states_are_never_mixed(team: Team) -> None:
    """A local state does not go into a shared one that holds other work."""
    first, second = team(2)
    shared = first.read("batchspec.yaml")
    assert second.batchspec("run").code == 0
    first.write("batchspec.yaml", "version: 1\nname: words\n")
    first.write("specs/words.yaml", SPEC.replace("red", "green"))
    assert first.batchspec("run").code == 0
    first.write("batchspec.yaml", shared)
    refused = first.batchspec("state", "migrate")
    assert refused.code == 4
    assert "never mixed" in refused.err
    assert (first.root / ".batchspec/state/ledger.db").exists()


def test_an_archive_goes_between_kinds_of_state(team: Team) -> None:
    """Out of a shared state into a local one; the answers are there and nothing is asked."""
    first, second = team(2)
    assert first.batchspec("run").code == 0
    archive = first.root / "state.tar.zst"
    assert first.batchspec("state", "export", archive).code == 0
    second.write("batchspec.yaml", "version: 1\nname: words\n")
    taken = second.batchspec("state", "import", archive)
    assert taken.code == 0, taken.err
    again = second.batchspec("run")
    assert (again.code, "sending" in again.err) == (0, False)
    assert second.batchspec("verify").code == 0


def test_a_ledger_restored_from_a_backup_is_noticed(team: Team, tmp_path: Path) -> None:
    """The note beside the segments is ahead of it, so the workspace is searched first."""
    import psycopg  # noqa: PLC0415 - only this test looks inside

    first, second = team(2)
    second.environ["HOME"] = str(tmp_path / "nobody")
    assert first.batchspec("run").code == 0
    url = first.read("batchspec.yaml").split("ledger: ")[1].split()[0]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path TO batchspec_words")
        connection.execute("DELETE FROM claims")
        connection.execute("DELETE FROM submissions")
        connection.execute("UPDATE meta SET value = '2' WHERE key = 'serial'")
    again = second.batchspec("run")
    assert again.code == 0, again.err
    assert "sending" not in again.err
    assert "2 answers" in again.err
    assert second.read("out/words.jsonl") == first.read("out/words.jsonl")


def test_no_password_is_shown_anywhere(
    project: MakeProject, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Neither when the server refuses, nor when the address is wrong, nor in any file."""
    folder = project({"specs/words.yaml": SPEC})
    secret = "hunter2-canary"
    folder.environ["BATCHSPEC_STATE_SEGMENTS"] = f"file://{tmp_path}/store"
    said = ""
    for address in (
        f"postgresql://batchspec:{secret}@127.0.0.1:{postgres.port}/missing",
        f"postgresql://batchspec:{secret}@127.0.0.1:1/batch",
        f"postgresql://batchspec:{secret}@127.0.0.1:1/batch?nonsense=1",
        f"postgresql://127.0.0.1:1/batch?user=batchspec&password={secret}",
    ):
        folder.environ["BATCHSPEC_STATE_LEDGER"] = address
        done = folder.batchspec("status")
        assert done.code == 5, (address, done.err)
        assert "Traceback" not in done.err
        said += done.out + done.err
    assert secret not in said
    assert "cannot be reached" in said
    for path in folder.root.rglob("*"):
        assert not path.is_file() or secret not in path.read_text(errors="replace")


def test_a_bucket_out_of_reach_is_an_environment_failure(team: Team, buckets: BucketServer) -> None:
    """The message names the bucket; after it is mended the same command goes on, paying nothing."""
    (first,) = team(1)
    first.environ.update(buckets.environ())
    bucket = buckets.bucket()
    first.environ["BATCHSPEC_STATE_SEGMENTS"] = f"s3://{bucket}/states"
    assert first.batchspec("run", "--detach").code == 0
    wrong = {"BATCHSPEC_STATE_SEGMENTS": "s3://no-such-bucket/states"}
    refused = first.batchspec("collect", env=wrong)
    assert refused.code == 5, refused.err
    assert "s3://no-such-bucket/states/words" in refused.err
    assert buckets.environ()["AWS_SECRET_ACCESS_KEY"] not in refused.err
    assert first.batchspec("collect").code == 0
    keys = [o["Key"] for o in buckets.client().list_objects_v2(Bucket=bucket)["Contents"]]
    assert [key.split("-")[0] for key in keys if ".parquet" not in key] == [
        "states/words/items.words.json",
        "states/words/note.json",
        "states/words/req",
        "states/words/res",
    ]


def test_without_the_extra_the_message_says_what_to_install(
    project: MakeProject, tmp_path: Path
) -> None:
    """A local state never needs it, and `--help` never imports it."""
    folder = project({"specs/words.yaml": SPEC})
    for name in ("psycopg", "obstore"):
        folder.write(f"hidden/{name}.py", f"raise ImportError({name!r})")
    folder.environ["PYTHONPATH"] = str(folder.root / "hidden")
    assert folder.batchspec("run", "--emulate").code == 0
    folder.environ["BATCHSPEC_STATE_LEDGER"] = "postgresql://127.0.0.1:1/batch"
    folder.environ["BATCHSPEC_STATE_SEGMENTS"] = f"file://{tmp_path}/store"
    refused = folder.batchspec("plan")
    assert refused.code == 5
    assert "pip install 'batchspec[shared]'" in refused.err


def test_ci_is_warned_of_a_local_state(served: Folder) -> None:
    """Once per run, and it is no refusal; a shared state is not warned of."""
    served.write("specs/words.yaml", SPEC)
    done = served.batchspec("run", env={"CI": "true"})
    assert done.code == 0
    assert done.err.count("the state is a local folder") == 1
    assert "local folder" not in served.batchspec("run").err


def test_plan_and_help_start_without_the_drivers(served: Folder) -> None:
    """Who does not share a state does not pay for the drivers' imports."""
    script = "import sys, batchspec.workflow.context; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [*served.command()[:1], "-c", f"import json, {script[7:]}"],
        capture_output=True,
        text=True,
        check=True,
    )
    modules = json.loads(done.stdout)
    assert not {"psycopg", "obstore"}.intersection(modules)
