"""What commands do without: `validate`, `plan` and `status` the network, `collect` the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.functional.conftest import Folder

SPEC = """\
version: 1
name: job
inputs: {rows: [{id: 1, word: one}, {id: 2, word: two}], key: id}
model: claude-haiku-4-5
max_tokens: 16
prompt: {user: "Say {{ word }}"}
outputs: {path: out/job.jsonl}
"""
CUT = """\
import sys

def refuse(event, args):
    if event.startswith("socket."):
        raise RuntimeError(f"the network was touched: {event}")

sys.addaudithook(refuse)
"""
"""Python imports this first in every process whose path has it."""


def test_planning_without_a_network(served: Folder) -> None:
    """A new project, an answered one, and one with a policy over what was spent."""
    served.write("specs/job.yaml", SPEC)
    served.write("cut/sitecustomize.py", CUT)
    cut = {"PYTHONPATH": str(served.root / "cut"), "ANTHROPIC_API_KEY": ""}
    assert served.batchspec("run", "--emulate", env=cut).code == 70
    first = served.batchspec("plan", env=cut)
    assert (first.code, first.err) == (0, "")
    assert served.batchspec("run").code == 0
    served.write("policy.yaml", "rules: [{name: all, max_usd_per_month: 5}]\n")
    served.write("specs/job.yaml", SPEC.replace("Say", "Write"))
    for command in ("validate", "plan", "status"):
        done = served.batchspec(command, env=cut)
        assert (done.code, done.err) == (0, ""), command
    assert "2 items to submit" in served.batchspec("plan", env=cut).out


NO_SDK = """\
import sys

def refuse(event, args):
    if event == "import" and args[0] == "anthropic":
        raise RuntimeError("the SDK was imported")

sys.addaudithook(refuse)
"""


def test_a_run_without_the_sdk(served: Folder) -> None:
    """Neither submitting nor reading answers pays for its import."""
    served.write("specs/job.yaml", SPEC)
    served.write("cut/sitecustomize.py", NO_SDK)
    cut = {"PYTHONPATH": str(served.root / "cut")}
    for command in (("run", "--detach"), ("collect",)):
        done = served.batchspec(*command, env=cut)
        assert done.code == 0, done.err
    assert len(served.rows("out/job.jsonl")) == 2
