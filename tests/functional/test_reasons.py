"""Why an item is asked again, in all its detail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import Folder

SPEC = """\
version: 1
name: triage
inputs: {table: tickets.csv, key: id}
model: claude-haiku-4-5
max_tokens: 40
vars: {tone: terse}
prompt:
  system: {file: prompts/system.md}
  user: "Ticket: {{ body }}"
response: {schema: {file: schema.json}}
outputs: {path: out.jsonl}
"""
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string"}},
    "required": ["label"],
    "additionalProperties": False,
}


@pytest.fixture
def folder(served: Folder) -> Folder:
    """Return a project that has been run once."""
    served.write("tickets.csv", "id,body\n1,The shop is down\n2,An invoice is wrong\n")
    served.write("prompts/system.md", "{% include 'prompts/tone.md' %} Label these tickets.\n")
    served.write("prompts/tone.md", "Be {{ tone }}.")
    served.write("schema.json", json.dumps(SCHEMA))
    served.write("specs/triage.yaml", SPEC)
    assert served.batchspec("run").code == 0
    return served


def planned(folder: Folder) -> dict[str, Any]:
    """Return the plan of the only spec."""
    done = folder.batchspec("plan", "--format", "json")
    assert done.code == 0, done.err
    (spec,) = done.json()["specs"]
    assert isinstance(spec, dict)
    return spec


def reasons(spec: dict[str, Any]) -> dict[str, int]:
    """Return the reasons that have items."""
    return {name: count for name, count in spec["reasons"].items() if count}


def test_each_part_is_a_reason_of_its_own(folder: Folder) -> None:
    """A file of the prompt, the schema's file, a var: each is told from an edit of the prompt."""
    folder.write("prompts/tone.md", "Be very {{ tone }}.")
    spec = planned(folder)
    assert reasons(spec) == {"files": 2}
    assert spec["changed_files"] == ["prompts/tone.md"]
    folder.write("prompts/tone.md", "Be {{ tone }}.")
    assert reasons(planned(folder)) == {}
    changed = {**SCHEMA, "properties": {"label": {"type": "string", "enum": ["a", "b"]}}}
    folder.write("schema.json", json.dumps(changed))
    assert reasons(planned(folder)) == {"schema": 2}
    folder.write("schema.json", json.dumps(SCHEMA))
    folder.write("specs/triage.yaml", SPEC.replace("terse", "kind"))
    assert reasons(planned(folder)) == {"vars": 2}


def test_a_moved_file_with_the_same_content_submits_nothing(folder: Folder) -> None:
    """The request is the same, wherever its text stands."""
    (folder.root / "prompts/system.md").rename(folder.root / "prompts/moved.md")
    folder.write("specs/triage.yaml", SPEC.replace("prompts/system.md", "prompts/moved.md"))
    spec = planned(folder)
    assert (spec["requests"], reasons(spec)) == (0, {})
    folder.write("specs/triage.yaml", SPEC.replace("{file: schema.json}", json.dumps(SCHEMA)))
    (folder.root / "prompts/moved.md").rename(folder.root / "prompts/system.md")
    assert planned(folder)["requests"] == 0


def test_the_plan_shows_words_that_changed(folder: Folder) -> None:
    """In JSON, text and Markdown, one example for each way of changing, from what was sent."""
    text = folder.read("prompts/system.md")
    folder.write("prompts/system.md", text.replace("these", "the"))
    folder.write("tickets.csv", "id,body\n1,The shop is down\n2,An invoice is right\n")
    spec = planned(folder)
    assert reasons(spec) == {"files": 1, "input": 1}
    first, second = spec["reworded"]
    assert (first["key"], first["reason"]) == (1, "files")
    assert first["places"] == [
        {
            "path": "system",
            "pieces": [
                {"op": "same", "text": "Be terse. Label "},
                {"op": "removed", "text": "these"},
                {"op": "added", "text": "the"},
                {"op": "same", "text": " tickets."},
            ],
        }
    ]
    assert [place["path"] for place in second["places"]] == ["messages[0].content", "system"]
    shown = folder.batchspec("plan").out
    assert "  changed for 2 (input):\n" in shown
    assert "Ticket: An invoice is [-wrong-]{+right+}" in shown
    markdown = folder.batchspec("plan", "--format", "markdown").out
    assert "2 changed requests, word by word</summary>" in markdown
    assert "[-wrong-]{+right+}" in markdown


def test_examples_need_what_was_sent(folder: Folder) -> None:
    """Without the segments of the requests the plan is the same but for the examples."""
    folder.write("prompts/tone.md", "Be very {{ tone }}.")
    for path in (folder.root / ".batchspec/state/segments").glob("req-*"):
        path.unlink()
    spec = planned(folder)
    assert reasons(spec) == {"files": 2}
    assert "reworded" not in spec


def shown(folder: Folder, key: str) -> dict[str, Any]:
    """Return what `show` says of an item."""
    done = folder.batchspec("show", "triage", key, "--format", "json")
    assert done.code == 0, done.err
    found = done.json()
    assert isinstance(found, dict)
    return found


def test_show_explains_an_item_as_the_plan_does(folder: Folder) -> None:
    """Unchanged, changed in one or more ways, new; with the words and the cost of its answer."""
    found = shown(folder, "1")
    nothing: dict[str, Any] = {
        "action": "unchanged",
        "reason": None,
        "changed": [],
        "changed_files": [],
    }
    assert (found["plan"], found["former"]) == (nothing, None)
    assert float(found["history"][0]["usd"]) > 0
    folder.write("prompts/tone.md", "Be very {{ tone }}.")
    folder.write("tickets.csv", "id,body\n1,The shop is down\n2,An invoice is right\n3,New\n")
    first, second, third = (shown(folder, key) for key in "123")
    assert first["plan"]["reason"] == "files"
    assert first["plan"]["changed_files"] == ["prompts/tone.md"]
    assert first["former"]["request_hash"] == found["request_hash"]
    assert first["former"]["rewording"]["places"][0]["path"] == "system"
    assert (second["plan"]["reason"], second["plan"]["changed"]) == ("input", ["input", "files"])
    assert (third["plan"]["reason"], third["former"]) == ("new", None)
    text = folder.batchspec("show", "triage", "2").out
    assert "plan: submit, because: input\n" in text
    assert "An invoice is [-wrong-]{+right+}" in text


def test_show_of_an_item_that_cannot_be_rendered_is_a_problem(folder: Folder) -> None:
    """It has a place in the spec, and is not a bug of the program."""
    folder.write("specs/triage.yaml", SPEC.replace("{{ body }}", "{{ body|int + tone }}"))
    done = folder.batchspec("show", "triage", "2")
    assert done.code == 1, done.err
    assert "specs/triage.yaml:9" in done.out + done.err
