"""The list of models, refreshed and used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeProject

SPEC = """\
version: 1
inputs: {rows: [{id: 1}], key: id}
model: claude-haiku-4-5
max_tokens: 64
prompt: {user: "Hello {{ id }}"}
outputs: {path: out.jsonl}
"""


def test_models_are_listed_without_a_key(project: MakeProject) -> None:
    """Limits, batch prices and retirements, with the day of the data."""
    done = project().batchspec("models")
    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    assert ["claude-haiku-4-5", "active", "200,000", "64,000", "0.5", "2.5", "2026-11-22"] in lines
    deprecated = {line[0]: " ".join(line[1:]) for line in lines if line[1:2] == ["deprecated,"]}
    assert deprecated["claude-mythos-preview"].startswith("deprecated, was to retire 2026-06-30")
    assert " 1,000,000 - unknown " in deprecated["claude-mythos-preview"]
    assert "retire" in deprecated["claude-sonnet-4-5"]
    found = project().batchspec("models", "--format", "json").json()
    haiku = next(model for model in found["models"] if model["id"] == "claude-haiku-4-5")
    assert haiku["prices"]["input"] == "1"
    assert found["refreshed"] is None


def test_a_refresh_is_kept_and_the_rules_follow_it(served: Folder) -> None:
    """The file is deterministic, its limits and retirements become problems with its date."""
    served.write("specs/hello.yaml", SPEC)
    done = served.batchspec("models", "--refresh", "--format", "json")
    assert done.code == 0, done.err
    text = served.read("batchspec.models.json")
    listed = json.loads(text)
    assert done.json()["refreshed"] == listed["as_of"]
    assert served.batchspec("validate").code == 0
    listed["as_of"] = "2026-11-01"
    for model in listed["models"]:
        if model["id"].startswith("claude-haiku-4-5"):
            model |= {"max_output": 50, "lifecycle": "retired", "retires_at": "2026-10-30"}
    served.write("batchspec.models.json", json.dumps(listed))
    found = served.batchspec("validate")
    assert found.code == 1
    assert "was retired on 2026-10-30" in found.out
    assert "answers with at most 50" in found.out
    assert "2026-11-01" in found.out
    served.write("batchspec.models.json", "{")
    assert served.batchspec("models").code == 1
    assert served.batchspec("models", "--refresh").code == 0
    assert served.read("batchspec.models.json") == text


def test_a_refresh_needs_the_key_and_the_api(served: Folder) -> None:
    """Exit code 5, and the project's list is left as it is."""
    served.write("batchspec.models.json", "{")
    assert served.batchspec("models", "--refresh", env={"ANTHROPIC_API_KEY": ""}).code == 5
    gone = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    assert served.batchspec("models", "--refresh", env=gone).code == 5
    assert served.read("batchspec.models.json") == "{"
