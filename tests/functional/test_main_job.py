"""The main job as its users meet it: what is asked again, and what is not."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

ROWS = "id,lang,subject,body\n" + "".join(
    f"T-{n},{'en' if n % 2 else 'de'},Subject {n},Body of ticket {n}\n" for n in range(1, 9)
)
SPEC = """\
version: 1
name: triage
inputs:
  table: data/tickets.csv
  key: id
model: claude-haiku-4-5
max_tokens: 40
vars: {tone: terse}
prompt:
  system: Label tickets. Be {{ tone }}.
  user: |
    Subject: {{ subject }}

    {{ body }}
outputs: {path: out/triage.jsonl}
"""


@pytest.fixture
def folder(served: Folder) -> Folder:
    """Return a project that has been run once."""
    served.write("batchspec.yaml", "version: 1\nname: main-job\nspecs: [specs/*.yaml]\n")
    served.write("data/tickets.csv", ROWS)
    served.write("specs/triage.yaml", SPEC)
    assert served.batchspec("run").code == 0
    return served


def planned(folder: Folder) -> dict[str, object]:
    """Return the plan of the only spec."""
    done = folder.batchspec("plan", "--format", "json")
    assert done.code == 0, done.err
    (spec,) = done.json()["specs"]
    assert isinstance(spec, dict)
    return spec


def edited(folder: Folder, old: str, new: str) -> None:
    """Replace a text in the spec."""
    text = folder.read("specs/triage.yaml")
    assert old in text
    folder.write("specs/triage.yaml", text.replace(old, new))


def test_a_second_run_submits_nothing_and_changes_no_byte(folder: Folder) -> None:
    """Outputs and manifests stay as they are; nothing is sent."""
    before = folder.tree()
    done = folder.batchspec("run")
    assert done.code == 0
    assert "0 requests submitted" in done.out
    assert folder.tree() == before


def test_deleted_outputs_come_back_byte_for_byte(folder: Folder) -> None:
    """Without a request, and without a key."""
    before = folder.tree()
    for path in (folder.root / "out").iterdir():
        path.unlink()
    del folder.environ["ANTHROPIC_API_KEY"]
    assert folder.batchspec("run").code == 0
    assert folder.tree() == before


def test_one_changed_row_is_one_request(folder: Folder) -> None:
    """Its reason is `input`, and only its line of the output changes."""
    before = folder.read("out/triage.jsonl").splitlines()
    folder.write("data/tickets.csv", ROWS.replace("Body of ticket 3", "Another body"))
    spec = planned(folder)
    assert spec["requests"] == 1
    assert spec["counts"] == {
        "submit": 1, "unchanged": 7, "in_flight": 0, "failed": 0, "removed": 0, "duplicate": 0,
    }  # fmt: skip
    reasons = spec["reasons"]
    assert isinstance(reasons, dict)
    assert {k: v for k, v in reasons.items() if v} == {"input": 1}
    assert folder.batchspec("run").code == 0
    after = folder.read("out/triage.jsonl").splitlines()
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1\n", "# a comment\nversion: 1\n"),
        ("model: claude-haiku-4-5\nmax_tokens: 40\n", "max_tokens: 40\nmodel: claude-haiku-4-5\n"),
        ("vars: {tone: terse}", "vars:\n  tone: terse\n"),
        ("outputs: {path: out/triage.jsonl}", "outputs: {path: out/other.jsonl}"),
        ("{{ subject }}", "{{subject}}"),
    ],
)
def test_what_does_not_change_the_request_submits_nothing(
    folder: Folder, old: str, new: str
) -> None:
    """Comments, key order, layout and output paths are not part of a question."""
    edited(folder, old, new)
    assert planned(folder)["requests"] == 0


def test_reordered_rows_and_renamed_files_submit_nothing(folder: Folder) -> None:
    """Answers are found by the question, not by position or file name."""
    head, *rows = ROWS.splitlines()
    folder.write("data/tickets.csv", "\n".join([head, *reversed(rows)]) + "\n")
    (folder.root / "specs/triage.yaml").rename(folder.root / "specs/moved.yaml")
    assert planned(folder)["requests"] == 0


def test_a_renamed_spec_submits_nothing(folder: Folder) -> None:
    """Its answers are in the project's state under their questions' hashes."""
    edited(folder, "name: triage", "name: renamed")
    assert planned(folder)["requests"] == 0


def test_a_spec_split_in_two_submits_nothing(folder: Folder) -> None:
    """Two specs over halves of the rows find all answers."""
    whole = folder.read("specs/triage.yaml")
    for lang in ("en", "de"):
        half = whole.replace(
            "table: data/tickets.csv", f"sql: FROM 'data/tickets.csv' WHERE lang = '{lang}'"
        )
        half = half.replace("name: triage", f"name: triage-{lang}")
        folder.write(f"specs/{lang}.yaml", half.replace("out/triage", f"out/{lang}"))
    (folder.root / "specs/triage.yaml").unlink()
    plan = folder.batchspec("plan", "--format", "json").json()
    assert plan["totals"]["requests"] == 0
    assert [spec["items"] for spec in plan["specs"]] == [4, 4]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Label tickets.", "Label these tickets.", "prompt"),
        ("max_tokens: 40", "max_tokens: 41", "params"),
        ("claude-haiku-4-5", "claude-sonnet-5", "model"),
    ],
)
def test_a_changed_prompt_resubmits_all_and_says_so(
    folder: Folder, old: str, new: str, reason: str
) -> None:
    """All items are submitted again, for a reason that names the part."""
    edited(folder, old, new)
    spec = planned(folder)
    assert spec["requests"] == 8
    reasons = spec["reasons"]
    assert isinstance(reasons, dict)
    assert {k: v for k, v in reasons.items() if v} == {reason: 8}


def test_removed_items_leave_the_output(folder: Folder) -> None:
    """The plan names them; the run drops their lines and asks nothing."""
    folder.write("data/tickets.csv", "\n".join(ROWS.splitlines()[:-2]) + "\n")
    counts = planned(folder)["counts"]
    assert isinstance(counts, dict)
    assert (counts["removed"], counts["submit"]) == (2, 0)
    assert folder.batchspec("run").code == 0
    assert len(folder.rows("out/triage.jsonl")) == 6


def test_items_with_one_question_share_one_request(served: Folder) -> None:
    """Both get the answer."""
    served.write("data/tickets.csv", ROWS + "T-9,en,Subject 3,Body of ticket 3\n")
    served.write("specs/triage.yaml", SPEC)
    spec = planned(served)
    assert spec["requests"] == 8
    counts = spec["counts"]
    assert isinstance(counts, dict)
    assert (counts["submit"], counts["duplicate"]) == (9, 1)
    assert served.batchspec("run").code == 0
    rows = {row["key"]: row for row in served.rows("out/triage.jsonl")}
    assert rows["T-3"]["result"] == rows["T-9"]["result"]


def test_detach_status_collect(project: MakeProject, emulator: MakeEmulator) -> None:
    """A detached run returns; status names the batch; collect takes the answers in when ended."""
    server = emulator(delay_seconds=4.0)
    folder = project({"data/tickets.csv": ROWS, "specs/triage.yaml": SPEC})
    folder.environ.update(ANTHROPIC_BASE_URL=server.base_url, ANTHROPIC_API_KEY="canary")
    assert folder.batchspec("run", "--detach").code == 0
    assert not (folder.root / "out").exists()
    status = folder.batchspec("status", "--format", "json").json()
    assert [s["state"] for s in status["submissions"]] == ["BOUND"]
    deadline = time.monotonic() + 30
    while not (folder.root / "out/triage.jsonl").exists():
        assert time.monotonic() < deadline
        assert folder.batchspec("collect").code == 0
    assert len(folder.rows("out/triage.jsonl")) == 8
    assert folder.batchspec("verify").code == 0


def test_interrupting_leaves_the_batch_running(
    project: MakeProject, emulator: MakeEmulator
) -> None:
    """Ctrl-C exits with 130 and says how to go on; the next run collects what was paid."""
    server = emulator(delay_seconds=3.0)
    folder = project({"data/tickets.csv": ROWS, "specs/triage.yaml": SPEC})
    folder.environ.update(ANTHROPIC_BASE_URL=server.base_url, ANTHROPIC_API_KEY="canary")
    running = folder.start("run")
    deadline = time.monotonic() + 60
    while not server.probe.paid():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "batchspec run" in err
    assert folder.batchspec("run").code == 0
    assert len(server.probe.paid()) == 8


def test_a_saved_plan_is_applied_exactly_or_refused(folder: Folder) -> None:
    """Applied as it is; after something moved it is stale, exit code 4, and says what moved."""
    folder.write("data/tickets.csv", ROWS.replace("Body of ticket 3", "Another body"))
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    first = folder.read("plan.json")
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    assert folder.read("plan.json") == first
    folder.write("data/tickets.csv", ROWS.replace("Body of ticket 3", "A third body"))
    stale = folder.batchspec("apply", "plan.json")
    assert stale.code == 4
    assert "inputs" in stale.err
    folder.write("data/tickets.csv", ROWS.replace("Body of ticket 3", "Another body"))
    done = folder.batchspec("apply", "plan.json")
    assert done.code == 0, done.err
    assert "1 request submitted" in done.out
    assert folder.batchspec("apply", "plan.json").code == 4


def test_no_secret_reaches_any_file(folder: Folder) -> None:
    """The key is in no file of the project, the state, or the home folder."""
    key = folder.environ["ANTHROPIC_API_KEY"].encode()
    home = folder.root.parent / "home"
    files = [p for base in (folder.root, home) for p in base.rglob("*") if p.is_file()]
    assert len(files) > 8
    for path in files:
        assert key not in path.read_bytes(), path


def test_detailed_exit_codes_of_plan(folder: Folder) -> None:
    """0: nothing to submit, 10: something."""
    assert folder.batchspec("plan", "--detailed-exitcode").code == 0
    folder.write("data/tickets.csv", ROWS + "T-9,en,New,New\n")
    assert folder.batchspec("plan", "--detailed-exitcode").code == 10


def test_a_budget_refuses_before_anything_is_sent(served: Folder) -> None:
    """Exit code 4 for the spec's budget and for --max-usd; an unknown price is refused as well."""
    served.write("data/tickets.csv", ROWS)
    served.write("specs/triage.yaml", SPEC)
    assert served.batchspec("run", "--max-usd", "0.000001").code == 4
    served.write("specs/triage.yaml", SPEC + "budget: {max_requests: 7}\n")
    refused = served.batchspec("run")
    assert refused.code == 4
    assert "max_requests" in refused.err
    unknown = SPEC.replace("claude-haiku-4-5", "claude-next-1") + "budget: {max_usd: 100}\n"
    served.write("specs/triage.yaml", unknown)
    refused = served.batchspec("run")
    assert refused.code == 4
    assert "price is unknown" in refused.err
    assert json.loads(served.batchspec("status", "--format", "json").out)["submissions"] == []


def test_many_batches_are_sent_without_a_look_after_each(
    project: MakeProject, emulator: MakeEmulator
) -> None:
    """While there is more to send, open batches are looked at now and then, not after each one."""
    folder, server = project(), emulator(stepped=True, delay_seconds=60.0)
    folder.environ.update(
        {
            "ANTHROPIC_BASE_URL": server.base_url,
            "ANTHROPIC_API_KEY": "canary-key-of-a-test",
            "BATCHSPEC_POLL_SECONDS": "600",
        }
    )
    folder.write("data/tickets.csv", ROWS)
    folder.write("specs/triage.yaml", SPEC + "batch: {max_requests: 1}\n")
    done = folder.batchspec("run", "--detach")
    assert done.code == 0, done.err
    assert len(server.probe.batches()) == 8
    # A look at the workspace before each, and one at all of them when everything is sent.
    assert len(server.probe.calls("list")) == 9
    assert server.probe.calls("retrieve") == []


def test_what_was_sent_is_told_by_the_cache_until_it_is_collected(
    project: MakeProject, emulator: MakeEmulator
) -> None:
    """The ids of requests wait in small files for the answers, which are the same without them."""
    folder, server = project(), emulator(stepped=True, delay_seconds=60.0)
    folder.environ["ANTHROPIC_BASE_URL"] = server.base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    folder.write("data/tickets.csv", ROWS)
    folder.write("specs/triage.yaml", SPEC + "batch: {max_requests: 3}\n")
    assert folder.batchspec("run", "--detach").code == 0
    kept = sorted((folder.root / ".batchspec").rglob("*.ids"))
    assert len(kept) == len(server.probe.batches())
    kept[0].unlink()
    kept[1].write_text("damaged")
    server.probe.advance(600)
    assert folder.batchspec("collect").code == 0
    assert not list((folder.root / ".batchspec").rglob("*.ids"))
    assert "Nothing to submit." in folder.batchspec("plan").out
