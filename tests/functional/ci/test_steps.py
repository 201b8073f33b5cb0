"""What steps do with exit codes: their scripts from the YAML, with a program that only answers."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from workflow_runner import read_yaml, shell

if TYPE_CHECKING:
    from collections.abc import Mapping

CI = Path(__file__).parents[3] / "ci"
STUB = """\
#!/usr/bin/env python3
import json, os, sys
args = sys.argv[3:]  # after --project DIR
name = " ".join(args[:2]) if args[0] == "ci" else args[0]
with open(os.environ["CALLS"], "a") as calls:
    calls.write(" ".join(args) + "\\n")
code, text = json.loads(os.environ["ANSWERS"]).get(name, [0, ""])
print(text)
sys.exit(code)
"""
NOTHING = "No output has changed."
APPLY = [
    ({"plan": 0}, {}, 0, "plan"),
    ({"plan": 1}, {}, 1, "plan"),
    ({"plan": 10}, {}, 0, "plan, ci fetch, apply"),
    ({"plan": 10, "apply": 4}, {}, 4, "plan, ci fetch, apply"),
    ({"plan": 10, "ci fetch": 4}, {}, 0, "plan, ci fetch, run"),
    ({"plan": 10, "ci fetch": 4}, {"IF_STALE": "refuse"}, 4, "plan, ci fetch"),
    ({"plan": 10, "ci fetch": 4}, {"MAX_USD": ""}, 4, "plan, ci fetch"),
    ({"plan": 10, "ci fetch": 5}, {}, 5, "plan, ci fetch"),
]
"""Exit codes of commands, settings, the job's exit code, and the commands that are run."""
COLLECT = [
    ({"collect": 0}, "Published", {}, 0, "collect, ci publish"),
    ({"collect": 3}, "Published", {}, 3, "collect, ci publish"),
    ({"collect": 3}, NOTHING, {}, 0, "collect, ci publish"),
    ({"collect": 3}, "", {"PUBLISH": "none"}, 3, "collect"),
    ({"collect": 5}, "", {}, 5, "collect"),
    ({"collect": 0, "ci publish": 5}, "", {}, 5, "collect, ci publish"),
    ({"collect": 0}, "Published", {"PUBLISH": "request"}, 0, "collect, ci publish --request"),
    ({"collect": 3}, "Copied", {"PUBLISH": "artifact"}, 3, "collect, ci publish --to"),
    ({"collect": 3}, NOTHING, {"PUBLISH": "artifact"}, 0, "collect, ci publish --to"),
]
"""The same with what publishing says."""


class Steps:
    """The scripts of a job, and a program that answers as a test says."""

    def __init__(self, folder: Path, system: str) -> None:
        self.folder, self.system = folder, system
        (folder / "bin").mkdir()
        stub = folder / "bin/batchspec"
        stub.write_text(STUB, encoding="utf-8")
        stub.chmod(0o755)

    def run(
        self, step: str, answers: Mapping[str, list[object]], settings: Mapping[str, str]
    ) -> tuple[int, list[str]]:
        """Run a job's step; return its exit code and the commands of ours that it ran."""
        calls = self.folder / "calls"
        names = {"MAX_USD": "20", "IF_STALE": "replan", "PUBLISH": "commit", "PROJECT": "."}
        names |= {"ARTIFACT": "batchspec-plan"} | dict(settings)
        if self.system == "gitlab":
            names = {f"BATCHSPEC_{name}": value for name, value in names.items()}
        environ = names | {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(self.folder),
            "CALLS": str(calls),
            "ANSWERS": json.dumps(answers),
        }
        done = shell(self._script(step), self.folder, environ)
        assert "not found" not in done.stderr, done.stderr
        return done.returncode, calls.read_text(encoding="utf-8").splitlines()

    def _script(self, step: str) -> str:
        if self.system == "gitlab":
            template = read_yaml(CI / "gitlab/batchspec.gitlab-ci.yml")
            return "\n".join(template[f"batchspec-{step}"]["script"])
        steps = read_yaml(CI / "github/action.yml")["runs"]["steps"]
        (script,) = (part["run"] for part in steps if part.get("name") == step.title())
        return str(script)


@pytest.fixture(params=["github", "gitlab"])
def steps(request: pytest.FixtureRequest, tmp_path: Path) -> Steps:
    """Return the steps of each CI system."""
    return Steps(tmp_path, request.param)


def held(calls: list[str]) -> list[str]:
    """Return the commands between taking the state and giving it back, which GitLab's job has."""
    if calls[0].startswith("ci restore"):
        assert calls[0] == "ci restore --open"
        assert calls[-1] == "ci keep"
        return calls[1:-1]
    return calls


@pytest.mark.parametrize(("codes", "settings", "code", "ran"), APPLY)
def test_apply(
    steps: Steps, codes: dict[str, int], settings: dict[str, str], code: int, ran: str
) -> None:
    """Only a reviewed plan is applied; without one, a ceiling and a word of the workflow decide."""
    answers: dict[str, list[object]] = {name: [number, ""] for name, number in codes.items()}
    found, calls = steps.run("apply", answers, settings)
    assert found == code
    calls = held(calls)
    assert [name_of(call) for call in calls] == ran.split(", ")
    if ran.endswith("run"):
        assert calls[-1] == "run --detach --max-usd 20"
    if ran.endswith("apply"):
        assert shlex.split(calls[-1])[2:] == [
            "--detach",
            "--if-stale",
            "replan",
            "--max-usd",
            "20",
        ]


@pytest.mark.parametrize(("codes", "said", "settings", "code", "ran"), COLLECT)
def test_collect(
    steps: Steps, codes: dict[str, int], said: str, settings: dict[str, str], code: int, ran: str
) -> None:
    """Failed items fail the job that publishes them, once; anything worse publishes nothing."""
    answers: dict[str, list[object]] = {name: [number, ""] for name, number in codes.items()}
    answers["ci publish"] = [codes.get("ci publish", 0), said]
    found, calls = steps.run("collect", answers, settings)
    assert found == code
    assert [re.sub("=.*", "", call) for call in held(calls)] == ran.split(", ")


def name_of(call: str) -> str:
    """Return the command of a call."""
    words = call.split()
    return " ".join(words[:2]) if words[0] == "ci" else words[0]
