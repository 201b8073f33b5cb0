"""The program as its users meet it: start, pipes, signals, and the starter project."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import MakeProject

RUNNER = Path(__file__).parents[2] / "runner"
SPEC = """\
version: 1
name: words
inputs: {rows: [{id: 1, word: red}], key: id}
model: claude-haiku-4-5
max_tokens: 20
prompt: {user: "Say {{ word }}."}
outputs: {path: out/words.jsonl}
"""


def test_version_three_ways(project: MakeProject) -> None:
    """The module, the console script and the checkout are the same program."""
    folder = project()
    expected = folder.batchspec("--version").out
    assert re.fullmatch(r"batchspec \d+\.\d+\.\d+\n", expected)
    for command in ([sys.executable, RUNNER], [Path(sys.executable).parent / "batchspec"]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == expected


def test_unknown_project_folder(project: MakeProject) -> None:
    """A --project that does not exist is usage, not a bug."""
    done = project().batchspec("validate", "--project", "nowhere")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: --project nowhere is not a folder")


def test_project_without_specs(project: MakeProject) -> None:
    """An empty folder gets one helpful sentence."""
    done = project().batchspec("validate")
    assert (done.code, done.out) == (2, "")
    assert "`batchspec init DIR` writes a small working project." in done.err


def test_starter_project_validates(project: MakeProject) -> None:
    """What `init` writes has no problems, inputs and prompts included."""
    folder = project()
    assert folder.batchspec("init").code == 0
    done = folder.batchspec("validate", "--inputs")
    assert (done.code, done.out, done.err) == (0, "1 spec, no problems.\n", "")


def test_starter_project_runs_twice(project: MakeProject) -> None:
    """It runs with --emulate, and a second run submits nothing."""
    folder = project()
    folder.batchspec("init")
    first = folder.batchspec("run", "--emulate", "--format", "json")
    assert first.code == 0, first.err
    (spec,) = first.json()["specs"]
    assert (spec["items"], spec["requests_submitted"]) == (11, 11)
    rows = folder.rows(spec["outputs"][0]["path"])
    assert len(rows) == 11
    assert {row["result"]["urgency"] for row in rows} <= {"high", "normal", "low"}
    second = folder.batchspec("run", "--emulate", "--format", "json")
    assert second.code == 0, second.err
    (again,) = second.json()["specs"]
    assert again["requests_submitted"] == 0
    assert [output["changed"] for output in again["outputs"]] == [False]


def test_run_without_a_key(project: MakeProject) -> None:
    """No key and no --emulate is one helpful sentence and exit code 5."""
    folder = project()
    folder.batchspec("init")
    done = folder.batchspec("run")
    assert (done.code, done.out) == (5, "")
    error = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert error == ["error: There is no API key in the environment variable ANTHROPIC_API_KEY."]
    assert "--emulate" in done.err


def test_closed_pipe_is_quiet(project: MakeProject) -> None:
    """`batchspec schema | head -1` says nothing on stderr."""
    folder = project()
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        folder.command("schema"),
        stdout=write,
        stderr=subprocess.PIPE,
        env=folder.environ,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize(("spec", "code"), [(SPEC, 0), (SPEC.replace("model:", "modell:"), 1)])
def test_streams_that_are_closed_from_the_start(
    project: MakeProject, spec: str, code: int, closed: str
) -> None:
    """As a daemon may start it: the exit code is the command's own, and nothing is in the way."""
    folder = project({"specs/words.yaml": spec})
    command = f"{shlex.join(folder.command('validate'))} {closed}"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder.root,
        env=folder.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_emulator_serves_until_terminated(project: MakeProject) -> None:
    """`emulator` prints two exports, does as its options say, and ends in order on SIGTERM."""
    options = ["--key", "any", "--stepped", "--seed", "7", "--rpm", "1"]
    with project().start("emulator", *options, "--unknown", "rate_limit_headers=true") as process:
        assert process.stdout is not None
        exports = [process.stdout.readline() for _ in range(2)]
        base_url = exports[0].removeprefix("export ANTHROPIC_BASE_URL=").strip()
        assert exports[1] == "export ANTHROPIC_API_KEY=any\n"
        request = urllib.request.Request(  # noqa: S310 - the scheme is http
            f"{base_url}/v1/messages/batches",
            headers={"x-api-key": "any", "anthropic-version": "2023-06-01"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
            assert answer.status == 200
            assert answer.headers["anthropic-ratelimit-requests-limit"] == "1"
        with pytest.raises(urllib.error.HTTPError, match="429"):
            urllib.request.urlopen(request, timeout=10)  # noqa: S310 - as above
        clock = f"{base_url}/_emulator/clock"
        times = []
        for _ in range(2):
            with urllib.request.urlopen(clock, timeout=10) as answer:  # noqa: S310 - as above
                times.append(json.load(answer))
        assert times[0] == times[1], "time stands still"
        assert times[0]["speed"] == 0
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert err.endswith("The emulator stops; its batches stay in its data folder.\n")
