"""`policy.yaml`: what it forbids is refused before anything is sent, with both places."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

SPEC = """\
version: 1
inputs: {table: tickets.csv, key: id}
model: claude-haiku-4-5
max_tokens: 64
prompt: {user: "Label {{ body }}"}
outputs: {path: out/triage.jsonl}
budget: {max_usd: 1}
"""
ROWS = "id,body\n1,Body 1\n2,Body 2\n"
RULE = "version: 1\nrules:\n  - name: spending\n    specs: tri*\n    "


def triage(project: MakeProject, rule: str) -> Folder:
    """Return a project with a spec and a policy of one rule with one setting."""
    return project(
        {"tickets.csv": ROWS, "specs/triage.yaml": SPEC, "policy.yaml": f"{RULE}{rule}\n"}
    )


def test_what_stands_in_a_spec(project: MakeProject) -> None:
    """1: validate, plan and run name the place in the spec and the rule's; status goes on."""
    folder = triage(project, "max_tokens: 32")
    problem, *others = folder.batchspec("validate", "--format", "json").json()["problems"]
    assert others == []
    assert problem["code"] == "policy-max-tokens"
    assert problem["where"] == {"file": "specs/triage.yaml", "line": 4, "column": 13}
    assert problem["rule"] == {"file": "policy.yaml", "line": 5, "column": 5}
    for command in ("validate", "plan", "run"):
        done = folder.batchspec(command, *(["--emulate"] if command != "validate" else []))
        assert done.code == 1
        said = "specs/triage.yaml:4:13 policy-max-tokens: max_tokens is 64"
        assert said in done.out + done.err
        assert "The rule spending (policy.yaml:5) says so." in done.out + done.err
    folder.write("policy.yaml", "rules: none\n")
    assert folder.batchspec("status", "--emulate").code == 0
    assert folder.batchspec("plan", "--emulate").code == 1


def test_money_of_one_spec(project: MakeProject) -> None:
    """4: more than the policy allows one spec is refused in plan, in each form, and in run."""
    folder = triage(project, "max_usd: 0.0001")
    assert folder.batchspec("validate").code == 0
    for form in ("text", "markdown", "json"):
        plan = folder.batchspec("plan", "--emulate", "--format", form, "--out", "plan.json")
        assert plan.code == 4
        told = plan.err if form == "json" else plan.out
        assert "specs/triage.yaml:7:19 policy-usd: triage may cost up to $" in told
        assert "the policy allows $0.0001. The rule spending (policy.yaml:5) says so." in told
    for command in (["run"], ["apply", "plan.json"]):
        done = folder.batchspec(*command, "--emulate", "--format", "json")
        assert done.code == 4
        error = done.json()["error"]
        assert error["code"] == "against-policy"
        assert error["message"].startswith("specs/triage.yaml:7:19 policy-usd: ")
    folder.write("policy.yaml", f"{RULE}max_usd: 1\n")
    assert folder.batchspec("run", "--emulate").code == 0


def test_money_of_a_day(project: MakeProject, emulator: MakeEmulator) -> None:
    """4: what was spent today counts with what is in flight and what is to come."""
    folder = triage(project, "max_usd_per_day: 0.0015")
    folder.environ["ANTHROPIC_BASE_URL"] = emulator().base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    assert folder.batchspec("run").code == 0
    spent = folder.batchspec("cost", "--format", "json").json()["totals"]["usd"]
    folder.write("tickets.csv", ROWS + "".join(f"{n},Body {n}\n" for n in range(3, 12)))
    plan = folder.batchspec("plan")
    assert plan.code == 4
    assert "policy-usd-day: with triage, the specs of spending may cost up to $" in plan.out
    refused = folder.batchspec("run")
    assert (refused.code, refused.out) == (4, "")
    assert "today in UTC; the policy allows $0.0015." in refused.err
    most = folder.batchspec("plan", "--format", "json").json()["totals"]["usd_max"]
    assert float(spent) > 0
    limit = float(spent) + float(most)
    folder.write("policy.yaml", f"{RULE}max_usd_per_day: {limit - 0.0001:.6f}\n")
    assert folder.batchspec("plan").code == 4
    folder.write("policy.yaml", f"{RULE}max_usd_per_day: {limit + 0.0001:.6f}\n")
    assert folder.batchspec("plan").code == 0
    assert folder.batchspec("plan", "--emulate").code == 0
    done = folder.batchspec("run", "--detach")
    assert done.code == 0, done.err


def test_an_unknown_price_is_refused(project: MakeProject) -> None:
    """A limit in dollars cannot be kept for a model whose price nobody knows."""
    folder = triage(project, "max_usd: 100")
    spec = SPEC.replace("claude-haiku-4-5", "claude-next-1").replace("budget: {max_usd: 1}\n", "")
    folder.write("specs/triage.yaml", spec)
    plan = folder.batchspec("plan", "--emulate")
    assert plan.code == 4
    assert "triage may cost an unknown amount in one run; the policy allows $100." in plan.out


def test_the_schema_is_printed(project: MakeProject) -> None:
    """`batchspec schema policy` is for editors."""
    schema = json.loads(project().batchspec("schema", "policy").out)
    assert "forbidden_params" in schema["$defs"]["rule"]["properties"]
