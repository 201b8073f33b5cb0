"""What an overlay does to a project file and to specs, and where its parts stand then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from batchspec.problems import Problem
from batchspec.spec.facts import ModelFacts
from batchspec.spec.model import Budget
from batchspec.spec.project import LoadedSpec, Project, load_project, load_specs

Write = Callable[[Mapping[str, str]], Path]

FILE = """\
version: 1
budget: {max_usd: 5, max_requests: 100}
defaults:
  cache: auto
  params: {stop_sequences: [a], service_tier: auto}
environments:
  prod:
    api: {base_url: "http://relay.example.com"}
    budget: {max_usd: 50}
    defaults:
      max_tokens: 100000
      params: {stop_sequences: [b]}
  tiny: {sample: {rows: 5, seed: 9}, outputs: ./tiny//here/}
  all: {sample: all, state: work/all}
"""
SPEC = """\
version: 1
inputs: {rows: [{id: 1, subject: Hello}], key: id, sample: {rows: 7, seed: 3}}
model: claude-haiku-4-5
prompt: {user: "{{ subject }}"}
outputs:
  - {path: out/a.jsonl}
  - {path: out/a.csv}
"""


def loaded(
    write: Write, env: str | None, facts: Mapping[str, ModelFacts], spec: str = SPEC
) -> tuple[Project | None, tuple[LoadedSpec, ...], tuple[Problem, ...]]:
    """Load the project in an environment."""
    root = write({"batchspec.yaml": FILE, "specs/a.yaml": spec})
    project, problems = load_project(root, {"BATCHSPEC_ALLOW_INSECURE_BASE_URL": ""}, env=env)
    if project is None:
        return None, (), problems
    specs, found = load_specs(project, (), facts)
    return project, specs, problems + found


def test_problems_stand_in_the_overlay(project: Write, facts: Mapping[str, ModelFacts]) -> None:
    """A base URL that cannot be used is told of where the environment names it."""
    _, _, (problem,) = loaded(project, "prod", facts)
    assert problem.where is not None
    place = (problem.where.file, problem.where.line, problem.where.column)
    assert (problem.code, place) == ("bad-base-url", ("batchspec.yaml", 8, 21))


def test_mappings_are_merged(project: Write, facts: Mapping[str, ModelFacts]) -> None:
    """The overlay wins key by key; the defaults of specs keep the places of both."""
    root = project({"batchspec.yaml": FILE.replace("http:", "https:"), "specs/a.yaml": SPEC})
    made, problems = load_project(root, {}, env="prod")
    assert problems == ()
    assert made is not None
    assert made.config.budget == Budget(max_usd=Decimal(50), max_requests=100)
    assert made.state_dir == root / ".batchspec/state.prod"
    assert made.emulated_dir == root / ".batchspec/emulated.prod"
    _, (problem,) = load_specs(made, (), facts)
    assert problem.where is not None
    assert (problem.code, problem.where.line) == ("max-tokens-too-large", 11)
    assert made.document is not None
    assert made.document.get("defaults", "params") == {
        "stop_sequences": ["b"],
        "service_tier": "auto",
    }


@pytest.mark.parametrize(
    ("env", "sample", "path", "state"),
    [
        (None, (7, 3), "out/a.jsonl", ".batchspec/state"),
        ("tiny", (5, 3), "tiny/here/out/a.jsonl", ".batchspec/state.tiny"),
        ("all", (7, 3), "environments/all/out/a.jsonl", "work/all"),
    ],
)
def test_specs_of_an_environment(
    project: Write,
    facts: Mapping[str, ModelFacts],
    env: str | None,
    sample: tuple[int, int],
    path: str,
    state: str,
) -> None:
    """The smaller sample with the spec's own seed, the folder of outputs, the state."""
    made, (one,), problems = loaded(project, env, facts, f"{SPEC}max_tokens: 64\n")
    assert problems == ()
    assert made is not None
    assert made.state_dir == made.root / state
    assert one.spec.inputs.sample is not None
    assert (one.spec.inputs.sample.rows, one.spec.inputs.sample.seed) == sample
    assert one.spec.outputs[0].path == path


def test_a_path_that_leads_out_is_told_of_as_it_stands(
    project: Write, facts: Mapping[str, ModelFacts]
) -> None:
    """The environment's folder in front of it must not make it look harmless."""
    spec = f"{SPEC}max_tokens: 64\n".replace("out/a.csv", "/tmp/a.csv")  # noqa: S108 - refused
    _, _, (problem,) = loaded(project, "tiny", facts, spec)
    assert problem.code == "path-outside-project"
