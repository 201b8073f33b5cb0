"""Every exit code of the contract, met from outside."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

SPEC = """\
version: 1
name: letters
inputs:
  rows: [{id: a, text: first}, {id: b, text: second}]
  key: id
model: claude-haiku-4-5
max_tokens: 64
prompt: {user: 'Say {{ text }}'}
outputs: {path: out/letters.jsonl}
"""
ANSWERS = """\
rules:
  - {when: {text: second}, outcome: refusal}
  - {answer: fine}
"""


def letters(project: MakeProject, spec: str = SPEC) -> Folder:
    """Return a project with one small spec."""
    return project({"specs/letters.yaml": spec, "answers.yaml": ANSWERS})


def test_done_and_nothing_to_do(project: MakeProject) -> None:
    """0 twice: once with work, once without."""
    folder = letters(project)
    first = folder.batchspec("run", "--emulate")
    assert (first.code, first.out.splitlines()[-1]) == (0, "Done."), first.err
    again = folder.batchspec("run", "--emulate")
    assert again.code == 0
    assert "  0 requests submitted" in again.out


def test_problems(project: MakeProject) -> None:
    """1: problems go to stdout for `validate`, to stderr where stdout is for a plan."""
    folder = letters(project, SPEC.replace("max_tokens", "max_token"))
    validated = folder.batchspec("validate")
    assert (validated.code, validated.err) == (1, "")
    assert "unknown-key" in validated.out
    planned = folder.batchspec("plan", "--emulate")
    assert (planned.code, planned.out) == (1, "")
    assert "unknown-key" in planned.err
    as_json = folder.batchspec("plan", "--emulate", "--format", "json")
    assert (as_json.code, as_json.err) == (1, "")
    assert {problem["code"] for problem in as_json.json()["problems"]} >= {"unknown-key"}


def test_failed_items(project: MakeProject) -> None:
    """3: an item failed and is named; the output is written all the same."""
    folder = letters(project)
    done = folder.batchspec("run", "--emulate", env={"BATCHSPEC_EMULATOR_ANSWERS": "answers.yaml"})
    assert done.code == 3, done.err
    assert '| "b" refused' in done.out
    path = "out/letters.jsonl"
    assert [row["status"] for row in folder.rows(path)] == ["succeeded", "refused"]


def test_over_budget(project: MakeProject) -> None:
    """4: refused before anything is submitted."""
    folder = letters(project)
    done = folder.batchspec("run", "--emulate", "--max-usd", "0")
    assert (done.code, done.out) == (4, "")
    assert "error: " in done.err
    assert folder.batchspec("status", "--emulate").out == "Nothing is in flight (emulated).\n"


def test_plan_tells_of_budgets(project: MakeProject) -> None:
    """A budget that will refuse `run` is named by `plan`, in every form."""
    folder = letters(project, f"{SPEC}budget: {{max_usd: 0.000001, max_requests: 1}}\n")
    folder.write("batchspec.yaml", "version: 1\nbudget: {max_usd: 0.000002}\n")
    text = folder.batchspec("plan", "--emulate")
    assert text.code == 0, text.err
    assert text.out.count("\nrefused: ") == 3
    assert "`budget.max_requests` is 1." in text.out
    assert folder.batchspec("plan", "--emulate", "--format", "markdown").out.count("Refused: ") == 3
    assert folder.batchspec("plan", "--emulate", "--format", "json").err.count("refused: ") == 3
    assert folder.batchspec("run", "--emulate").code == 4


def test_plan_into_no_folder(project: MakeProject) -> None:
    """2: `plan --out` makes no folder, since its name may be a typing error."""
    folder = letters(project)
    done = folder.batchspec("plan", "--emulate", "--out", "nowhere/plan.json")
    assert (done.code, done.out) == (2, "")
    assert not (folder.root / "nowhere").exists()


def test_stale_plan(project: MakeProject) -> None:
    """4: a saved plan is applied once, and refused after the spec was edited."""
    folder = letters(project)
    assert folder.batchspec("plan", "--emulate", "--out", "plan.json").code == 0
    folder.write("specs/letters.yaml", SPEC.replace("Say", "Write"))
    stale = folder.batchspec("apply", "plan.json", "--emulate", "--format", "json")
    assert (stale.code, stale.json()["error"]["code"]) == (4, "stale-plan")
    assert folder.batchspec("plan", "--emulate", "--out", "plan.json").code == 0
    applied = folder.batchspec("apply", "plan.json", "--emulate")
    assert applied.code == 0, applied.err


def test_a_job_that_a_fork_set_off(project: MakeProject) -> None:
    """4: with the secrets of a repository, somebody else's specs are neither run nor counted."""
    folder = letters(project)
    folder.environ.update(GITHUB_EVENT_NAME="pull_request_target", ANTHROPIC_API_KEY="canary")
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    for command in (["run"], ["apply", "plan.json"], ["collect"], ["plan", "--count-tokens", "1"]):
        done = folder.batchspec(*command, "--format", "json")
        assert (done.code, done.json()["error"]["code"]) == (4, "untrusted-job"), command
    emulated = folder.batchspec("run", "--emulate")
    assert emulated.code == 0, emulated.err


def test_refused_key(project: MakeProject, emulator: MakeEmulator) -> None:
    """5: the API refuses the key, which no message repeats."""
    folder = letters(project)
    env = {
        "ANTHROPIC_API_KEY": "canary-key-of-a-test",
        "ANTHROPIC_BASE_URL": emulator(keys={"another": "default"}).base_url,
    }
    done = folder.batchspec("run", "--format", "json", env=env)
    assert (done.code, done.json()["error"]["code"]) == (5, "auth"), done.err
    assert "canary-key-of-a-test" not in done.out + done.err


def test_full_stdout(project: MakeProject) -> None:
    """5, with words on stderr: output that cannot be written is no bug."""
    folder = letters(project)
    for args in (["plan", "--emulate"], ["plan", "--emulate", "--format", "json"], ["--help"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                folder.command(*args),
                cwd=folder.root,
                env=folder.environ,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 5, done.stderr
        assert done.stderr.startswith("error: The output could not be written to stdout (No space")
    assert not (folder.root / ".batchspec").is_dir() or not list(
        (folder.root / ".batchspec").glob("bug-*")
    )


def test_detailed_exit_code(project: MakeProject) -> None:
    """10 with work, 0 without."""
    folder = letters(project)
    before = folder.batchspec("plan", "--emulate", "--detailed-exitcode")
    assert (before.code, before.out.splitlines()[-1][:27]) == (10, "Plan: 2 items to submit as ")
    assert folder.batchspec("run", "--emulate").code == 0
    after = folder.batchspec("plan", "--emulate", "--detailed-exitcode")
    assert (after.code, after.out.splitlines()[-1]) == (0, "Nothing to submit.")


def test_detached_work_is_collected(project: MakeProject, emulator: MakeEmulator) -> None:
    """`run --detach`, `status`, `collect`: the same output as a run that waits."""
    folder = letters(project)
    server = emulator(stepped=True, delay_seconds=60.0)
    folder.environ["ANTHROPIC_BASE_URL"] = server.base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    detached = folder.batchspec("run", "--detach")
    assert detached.code == 0, detached.err
    assert "Not complete yet" in detached.out
    assert "`batchspec collect` takes their answers in." in detached.out
    status = folder.batchspec("status", "--format", "json").json()
    assert [submission["requests"] for submission in status["submissions"]] == [2]
    server.probe.advance(120)
    collected = folder.batchspec("collect")
    assert collected.code == 0, collected.err
    # It is planned once, with the answers.
    _, _, after = collected.err.partition("letters: collected msgbatch_")
    assert "letters: 2 items, 0 to submit, 2 unchanged" in after
    assert collected.err.count("letters: 2 items, 0 to submit") == 1
    idle = folder.batchspec("status").out
    assert idle == "Nothing is in flight; known questions: 2 succeeded.\n"
    assert len(server.probe.paid()) == 2


def test_a_run_that_stopped_does_not_point_at_collect(
    project: MakeProject, emulator: MakeEmulator
) -> None:
    """3: a first batch that fails as one leaves nothing in flight, and no outputs."""
    folder = project()
    folder.write("batchspec.yaml", "version: 1\nname: stopped\n")
    folder.write(
        "say.spec.yaml",
        SPEC.replace(
            "prompt:",
            "canary: 1\nresponse: {schema: {type: object, additionalProperties: false}}\nprompt:",
        ),
    )
    folder.write("answers.yaml", "rules: [{answer: not JSON}]\n")
    server = emulator(answers=folder.root / "answers.yaml")
    folder.environ["ANTHROPIC_BASE_URL"] = server.base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    stopped = folder.batchspec("run")
    assert stopped.code == 3, stopped.err
    assert "failed (invalid), so nothing more is asked" in stopped.out
    assert "`batchspec collect`" not in stopped.out
    assert stopped.out.endswith(
        "Items or checks failed (exit code 3). What is not complete has no outputs yet.\n"
    )
    assert not (folder.root / "out").exists()


def test_mistakes_strand_nothing(project: MakeProject, emulator: MakeEmulator) -> None:
    """1: status, collect, verify, recover and cancel go on beside a spec that cannot be read."""
    folder = letters(project)
    other = SPEC.replace("letters", "other").replace("Say", "Tell")
    folder.write("specs/other.yaml", other)
    server = emulator(stepped=True, delay_seconds=60.0)
    folder.environ["ANTHROPIC_BASE_URL"] = server.base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    assert folder.batchspec("run", "--detach").code == 0
    folder.write("specs/other.yaml", other.replace("max_tokens", "max_token"))
    status = folder.batchspec("status")
    assert (status.code, len(re.findall("in progress", status.out))) == (1, 2), status.err
    assert "specs/other.yaml" in status.err
    named = folder.batchspec("cancel", "other")
    assert (named.code, named.out) == (1, "")
    assert "give no SPEC" in named.err
    server.probe.advance(120)
    collected = folder.batchspec("collect", "--format", "json")
    assert (collected.code, collected.err.count("collected msgbatch")) == (1, 2), collected.err
    assert "unknown-key" in {problem["code"] for problem in collected.json()["problems"]}
    assert len(folder.rows("out/letters.jsonl")) == 2
    assert folder.batchspec("verify").code == 1
    assert folder.batchspec("recover").code == 1
    assert len(server.probe.paid()) == 4


def test_broken_spec_is_canceled(project: MakeProject, emulator: MakeEmulator) -> None:
    """1: `cancel` without names cancels the batches of a spec that cannot be read any more."""
    folder = letters(project)
    server = emulator(delay_seconds=3600.0)
    folder.environ["ANTHROPIC_BASE_URL"] = server.base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    assert folder.batchspec("run", "--detach").code == 0
    folder.write("specs/letters.yaml", SPEC.replace("max_tokens", "max_token"))
    canceled = folder.batchspec("cancel")
    assert canceled.code == 1, canceled.err
    assert "is being canceled" in canceled.err
    assert folder.batchspec("status").out.startswith("Nothing is in flight")


def test_one_item(project: MakeProject) -> None:
    """`show` names an item that exists, and is usage for one that does not."""
    folder = letters(project)
    assert folder.batchspec("run", "--emulate").code == 0
    shown = folder.batchspec("show", "letters", "a", "--emulate", "--format", "json")
    assert shown.code == 0, shown.err
    item = shown.json()
    assert (item["key"], item["row"]["text"], item["status"]) == ("a", "first", "succeeded")
    missing = folder.batchspec("show", "letters", "zzz", "--emulate")
    assert (missing.code, missing.out) == (2, "")


def test_interrupted_run_resumes_without_paying_twice(
    project: MakeProject, emulator: MakeEmulator
) -> None:
    """130 for Ctrl-C and SIGTERM: the batch goes on, and the next run takes its answers in."""
    folder = letters(project)
    server = emulator(stepped=True, delay_seconds=60.0)
    folder.environ["ANTHROPIC_BASE_URL"] = server.base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    for stop in (signal.SIGINT, signal.SIGTERM):
        with folder.start("run") as process:
            assert process.stderr is not None
            said = ""
            while "waiting: " not in said:
                line = process.stderr.readline()
                assert line, said
                said += line
            process.send_signal(stop)
            out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, "")
        assert err.endswith(
            "Interrupted.\nSubmitted work goes on. Run `batchspec run` again to collect it.\n"
        )
    server.probe.advance(120)
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    assert len(folder.rows("out/letters.jsonl")) == 2
    assert len(server.probe.paid()) == 2


def test_bug_report_is_asked_for(project: MakeProject) -> None:
    """70: a broken installation is a bug; the traceback is in a file, not on the screen."""
    folder = letters(project)
    folder.write("broken/ruamel/__init__.py", "raise RuntimeError('canary-of-a-bug')\n")
    done = folder.batchspec("validate", env={"PYTHONPATH": str(folder.root / "broken")})
    assert (done.code, done.out) == (70, "")
    assert "Traceback" not in done.err
    where = re.search(r"The traceback is in (\S+\.txt)\.", done.err)
    assert where is not None
    assert "canary-of-a-bug" in folder.read(where[1])
