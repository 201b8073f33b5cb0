"""Environments: `--env` and BATCHSPEC_ENV choose an overlay; nothing of two of them mixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

SPEC = """\
version: 1
inputs: {table: tickets.csv, key: id}
model: claude-haiku-4-5
max_tokens: 64
prompt: {user: "Label {{ body }}"}
outputs: {path: out/triage.jsonl}
checks:
  - {row_count: {min: 30}}
"""
NEEDING = """\
version: 1
needs: [triage]
inputs: {sql: SELECT key AS id FROM triage, key: id}
model: claude-haiku-4-5
max_tokens: 64
prompt: {user: "Again {{ id }}"}
outputs: {path: out/again.jsonl}
"""
ROWS = "id,body\n" + "".join(f"{n},Body {n}\n" for n in range(30))
PROJECT = """\
version: 1
name: desk
environments:
  dev: {}
  prod:
    api: {key_env: PROD_API_KEY}
    budget: {max_requests: 40}
    defaults: {cache: "off"}
    outputs: published
  small: {sample: 3, policy: small.yaml, state: work/small}
"""


@pytest.fixture
def desk(project: MakeProject) -> Folder:
    """Return a project with three environments."""
    return project({"tickets.csv": ROWS, "specs/triage.yaml": SPEC, "batchspec.yaml": PROJECT})


def test_dev_draws_a_sample_and_says_so(desk: Folder) -> None:
    """Twenty items, apart from what a run without an environment writes and knows."""
    plan = desk.batchspec("plan", "--emulate", "--env", "dev")
    assert plan.code == 0, plan.err
    assert plan.out.startswith(
        "Environment dev, outputs below environments/dev/, at most 20 items of each spec "
        "(dev's default; `sample: all` takes all).\n"
    )
    assert "20 items to submit" in plan.out
    done = desk.batchspec("run", "--emulate", env={"BATCHSPEC_ENV": "dev"})
    assert (done.code, done.out.partition(",")[0]) == (0, "Environment dev"), done.err
    assert len(desk.rows("environments/dev/out/triage.jsonl")) == 20
    assert not (desk.root / "out").exists()
    whole = desk.batchspec("run", "--emulate", "--format", "json").json()
    assert "environment" not in whole
    assert whole["specs"][0]["requests_submitted"] == 30
    assert len(desk.rows("out/triage.jsonl")) == 30
    past = desk.batchspec("history", "--emulate", "--env", "dev", "--format", "json").json()
    assert [run["environment"] for run in past["runs"]] == ["dev"]
    again = desk.batchspec("--env", "dev", "run", "--emulate", "--format", "json").json()
    assert (again["environment"], again["specs"][0]["requests_submitted"]) == ("dev", 0)


def test_the_head_of_every_form(desk: Folder) -> None:
    """JSON, Markdown and status name the environment; commands that are told keep it."""
    plan = desk.batchspec("plan", "--emulate", "--env", "small", "--format", "json")
    desk.write("small.yaml", "rules: [{name: few, max_usd: 1}]\n")
    assert (plan.code, plan.json()["problems"][0]["code"]) == (1, "missing-policy")
    plan = desk.batchspec("plan", "--emulate", "--env", "small", "--format", "json")
    assert plan.json()["environment"] == {
        "name": "small",
        "outputs": "environments/small",
        "sample": {"rows": 3, "seed": 0},
        "sample_by_default": False,
    }
    markdown = desk.batchspec("plan", "--emulate", "--env", "small", "--format", "markdown")
    assert "\n\nEnvironment small, outputs below environments/small/, at most 3 " in markdown.out
    status = desk.batchspec("status", "--emulate", "--env", "small")
    assert status.out.startswith("Environment small.\n")
    status = desk.batchspec("status", "--emulate", "--env", "small", "--format", "json")
    assert status.json()["environment"] == "small"
    saved = desk.batchspec("plan", "--emulate", "--env", "small", "--out", "plan.json")
    assert "`batchspec apply plan.json --emulate --env small` submits it." in saved.err


def test_money_is_told_of_one_environment(desk: Folder) -> None:
    """`cost` and `report` name it, in every form; without one there is nothing to name."""
    assert desk.batchspec("run", "--emulate", "--env", "dev").code == 0
    shown = desk.batchspec("cost", "--emulate", "--env", "dev")
    assert shown.out.startswith("Environment dev.\nSpent $0."), shown.out
    nothing = desk.batchspec("cost", "--emulate", "--env", "prod")
    assert nothing.out.startswith("Environment prod.\nNothing was collected yet, ")
    report = desk.batchspec("report", "--emulate", "--env", "dev", "--format", "json").json()
    assert report["cost"]["environment"] == "dev"
    assert "Environment <strong>dev</strong>." in desk.read("report.html")
    assert "environment" not in desk.batchspec("cost", "--emulate", "--format", "json").json()


def test_a_plan_of_another_environment_is_stale(desk: Folder) -> None:
    """4: what was reviewed for prod is not applied anywhere else."""
    desk.batchspec("plan", "--emulate", "--env", "prod", "--out", "plan.json")
    for options in ([], ["--env", "dev", "--if-stale", "replan"]):
        done = desk.batchspec("apply", "plan.json", "--emulate", *options)
        assert done.code == 4
        assert "The saved plan was made in the environment prod, and this is " in done.err
        assert "Apply it with --env prod." in done.err
    done = desk.batchspec("apply", "plan.json", "--emulate", "--env", "prod")
    assert done.code == 0, done.err
    assert len(desk.rows("published/out/triage.jsonl")) == 30


def test_an_unknown_environment(desk: Folder) -> None:
    """1: with a suggestion, and where it was asked for."""
    done = desk.batchspec("plan", "--env", "prdo")
    assert done.code == 1
    assert "batchspec.yaml:3:1 unknown-environment: there is no environment prdo." in done.err
    assert "It was asked for by --env. Did you mean prod?" in done.err
    desk.write("batchspec.yaml", "version: 1\n")
    done = desk.batchspec("validate", env={"BATCHSPEC_ENV": "prod"})
    assert "unknown-environment: there is no environment prod." in done.out
    assert "by the environment variable BATCHSPEC_ENV. The project file has no env" in done.out


def test_real_work_has_keys_states_and_outputs_of_its_own(
    desk: Folder, emulator: MakeEmulator
) -> None:
    """Each environment has its own; what the same workspace has answered is not paid again."""
    server = emulator()
    desk.environ.update(ANTHROPIC_BASE_URL=server.base_url, BATCHSPEC_STATE="work/here")
    assert desk.batchspec("run", "--env", "prod").code == 5
    desk.environ["PROD_API_KEY"] = "canary-key-of-prod"
    assert desk.batchspec("run", "--env", "prod").code == 0
    desk.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    desk.write("batchspec.yaml", PROJECT.replace("max_requests: 40", "max_requests: 4"))
    done = desk.batchspec("run", "--env", "dev", "--format", "json")
    (spec,) = done.json()["specs"]
    assert (spec["items"], spec["requests_submitted"]) == (20, 0), done.err
    assert "already paid" in done.err
    assert sorted(path.name for path in (desk.root / "work").iterdir()) == ["here.dev", "here.prod"]
    verified = desk.batchspec("verify", "--env", "prod")
    assert verified.code == 0, verified.out
    desk.write("tickets.csv", ROWS + "30,One\n31,Two\n32,Three\n33,Four\n34,Five\n")
    refused = desk.batchspec("run", "--env", "prod")
    assert "the project's `budget.max_requests` is 4." in refused.err


def test_needs_are_read_within_the_environment(desk: Folder) -> None:
    """The output of the environment's own run is the table, not that of another."""
    desk.write("specs/again.yaml", NEEDING)
    desk.write("small.yaml", "rules: [{name: few, max_usd: 1}]\n")
    assert desk.batchspec("run", "--emulate").code == 0
    done = desk.batchspec("run", "--emulate", "--env", "small")
    assert done.code == 0, done.err
    assert len(desk.rows("out/again.jsonl")) == 30
    rows = desk.rows("environments/small/out/triage.jsonl")
    again = desk.rows("environments/small/out/again.jsonl")
    assert [row["key"] for row in again] == [row["key"] for row in rows]
    assert len(rows) == 3
