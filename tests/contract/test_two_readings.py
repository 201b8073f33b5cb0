"""What the rules refuse before anything is sent is what the emulator would refuse, model by model.

The rules and the emulator are two readings of the same facts. They may differ only where the facts
say nothing: there the rules let pass, and the emulator has to decide.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from batchspec.api.catalogue import load_catalogue
from batchspec.emulator.models import CATALOGUE
from batchspec.emulator.params import Terms, params_fault
from batchspec.problems import Severity
from batchspec.spec.project import load_project, load_specs

OLD, NEW, LONG = "2023-06-01", "2026-10-21", "output-300k-2026-03-24"
CLOSED = {"type": "object", "properties": {}, "additionalProperties": False}
TOOL = {"name": "t", "input_schema": CLOSED}
ASK = {"role": "user", "content": "x"}
ANSWER = {"type": "tool_result", "tool_use_id": "c", "content": "x"}
OTHER = {**ANSWER, "tool_use_id": "d"}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "t", "input": {}}]}
RESULT = {"role": "user", "content": [ANSWER]}
TEXT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}


def thinking(kind: str, effort: str | None = None) -> dict[str, Any]:
    """Return parameters that ask for a way of thinking."""
    budget = {"budget_tokens": 1024} if kind == "enabled" else {}
    config = {} if effort is None else {"output_config": {"effort": effort}}
    return {"thinking": {"type": kind, **budget}, **config}


COMBINATIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "adaptive": thinking("adaptive"),
    "between_tools": thinking("between_tools"),
    "disabled": thinking("disabled"),
    "enabled": thinking("enabled"),
    "disabled, xhigh": thinking("disabled", "xhigh"),
    "between_tools, max": thinking("between_tools", "max"),
    "adaptive, max": thinking("adaptive", "max"),
    "effort": {"output_config": {"effort": "low"}},
    "no effort": {"output_config": {"effort": "huge"}},
    "small budget": {"thinking": {"type": "enabled", "budget_tokens": 100}},
    "large budget": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    "forced tool": {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "t"}},
    "any tool": {"tools": [TOOL], "tool_choice": {"type": "any"}},
    "free tool": {"tools": [{**TOOL, "strict": True}], "tool_choice": {"type": "auto"}},
    "another tool": {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "u"}},
    "service's tool": {"tools": [{"type": "web_search_20260318", "name": "web_search"}]},
    "temperature": {"temperature": 0.5},
    "temperature before": {"temperature": 0.5, "version": OLD},
    "default temperature before": {"temperature": 1, "version": OLD},
    "top_k before": {"top_k": 5, "version": OLD},
    "temperature and top_p before": {"temperature": 1, "top_p": 0.5, "version": OLD},
    "temperature and thinking before": {"temperature": 0.5, "version": OLD, **thinking("enabled")},
    "a call and its result": {"messages": [ASK, CALL, RESULT], "tools": [TOOL]},
    "a call without its result": {"messages": [ASK, CALL, ASK], "tools": [TOOL]},
    "a result without its call": {"messages": [RESULT], "tools": [TOOL]},
    "a result of another call": {"messages": [ASK, CALL, {**RESULT, "content": [OTHER]}]},
    "region": {"inference_geo": "us"},
    "tier": {"service_tier": "priority"},
    "64,001 tokens": {"max_tokens": 64_001},
    "128,001 tokens": {"max_tokens": 128_001},
    "300,000 tokens": {"max_tokens": 300_000, "betas": [LONG]},
    "300,001 tokens": {"max_tokens": 300_001, "betas": [LONG]},
    "prefill": {"messages": [ASK, {"role": "assistant", "content": "{"}]},
    "system between": {"messages": [ASK, {"role": "system", "content": "s"}, ASK]},
    "document of the assistant": {"messages": [ASK, {"role": "assistant", "content": [TEXT]}, ASK]},
    "beta's parameter": {"mcp_servers": []},
    "beta's parameter and beta": {"mcp_servers": [], "betas": ["mcp-client-2025-11-20"]},
    "stream": {"stream": True},
}
"""Parameters; ``version``, ``betas``, ``max_tokens`` and ``messages`` have places of their own."""
NOT_ON_RECORD = {
    *(
        (model, kind)
        for model in ("claude-haiku-5-5", "claude-sonnet-5")
        for kind in ("between_tools", "between_tools, max", "enabled")
    ),
    ("claude-mythos-5-1", "forced tool"),
    ("claude-mythos-5-1", "any tool"),
}
"""Where the emulator refuses and the rules do not: the facts name neither."""
MODELS = [model.alias for model in CATALOGUE if model.alias != "claude-mythos-preview"]


def spec_of(name: str, model: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return a spec that asks with these parameters."""
    own = {"version", "betas", "max_tokens", "messages"}
    return {
        "version": 1,
        "name": name,
        "inputs": {"rows": [{"id": 1}], "key": "id"},
        "model": model,
        "max_tokens": wanted.get("max_tokens", 2000),
        "anthropic_version": wanted.get("version", NEW),
        "betas": wanted.get("betas", []),
        "prompt": {"messages": wanted.get("messages", [ASK])},
        "params": {key: value for key, value in wanted.items() if key not in own},
        "outputs": {"path": f"out/{name}.jsonl"},
    }


def refused_by_emulator(model: str, spec: dict[str, Any]) -> bool:
    """Tell whether the emulator would answer the spec's requests with an error."""
    params = {
        "model": model,
        "max_tokens": spec["max_tokens"],
        **spec["prompt"],
        **spec["params"],
    }
    terms = Terms(version=spec["anthropic_version"], betas=tuple(spec["betas"]))
    return params_fault(params, terms) is not None


@pytest.mark.parametrize("model", MODELS)
def test_rules_and_emulator_refuse_the_same(model: str, tmp_path: Path) -> None:
    """Each combination is refused by both or by none, and every refusal about a model is dated."""
    specs = {
        f"s{number}": (name, spec_of(f"s{number}", model, wanted))
        for number, (name, wanted) in enumerate(COMBINATIONS.items())
    }
    (tmp_path / "specs").mkdir()
    (tmp_path / "batchspec.yaml").write_text("version: 1\nname: readings\n")
    for stem, (_, spec) in specs.items():
        (tmp_path / f"specs/{stem}.yaml").write_text(json.dumps(spec))
    project, _ = load_project(tmp_path, {})
    assert project is not None
    today = dt.date(2026, 11, 23)
    found = load_specs(project, [], load_catalogue().facts(), today=today)[1]
    errors = {Path(p.where.file).stem: p for p in found if p.where and p.severity is Severity.ERROR}
    ours = {specs[stem][0] for stem in errors}
    theirs = {name for name, spec in specs.values() if refused_by_emulator(model, spec)}
    assert ours - theirs == set()
    assert theirs - ours == {name for other, name in NOT_ON_RECORD if other == model}
    for problem in errors.values():
        if model in problem.summary:
            assert "That was so on 2026-" in problem.detail, problem
