"""Answers that are calls, labels in prose or JSON in a fence: read, validated and typed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeProject

HEAD = """\
version: 1
name: grade
inputs:
  rows: [{id: 1, text: good}, {id: 2, text: bad}, {id: 3, text: odd}]
  key: id
model: claude-haiku-4-5
max_tokens: 100
prompt: {user: "Grade: {{ text }}"}
outputs: {path: out/grade.jsonl, select: "SELECT id, status, result, answer, text FROM results"}
"""
SCHEMA = """\
  schema:
    type: object
    required: [grade]
    properties: {grade: {enum: [high, low]}, score: {type: integer, maximum: 10}}
"""
TOOL = """\
params:
  tools: [{name: record, input_schema: {type: object, properties: {grade: {type: string}}}}]
  tool_choice: {type: auto}
"""


@pytest.fixture
def folder(project: MakeProject) -> Folder:
    """Return a project whose emulator answers by a file."""
    made = project()
    made.environ["BATCHSPEC_EMULATOR_ANSWERS"] = "answers.yaml"
    return made


def run(folder: Folder, spec: str, answers: str, code: int = 0) -> list[Any]:
    """Run the spec against a folder of emulated answers, and return the output's rows."""
    folder.write("specs/grade.yaml", spec)
    folder.write("answers.yaml", answers)
    done = folder.batchspec("run", "--emulate")
    assert done.code == code, done.out + done.err
    return folder.rows("out/grade.jsonl")


def test_a_call_becomes_the_answer(folder: Folder) -> None:
    """Its input is parsed, validated and typed; an answer without a call is invalid."""
    answers = """\
rules:
  - {when: {text: good}, outcome: tool_use, json: {grade: high, score: 9}}
  - {when: {text: bad}, outcome: tool_use, json: {grade: worst}}
  - {answer: I would rather talk.}
"""
    response = "response:\n  parse: tool\n  on_invalid: fail\n" + SCHEMA
    found = run(folder, HEAD + TOOL + response, answers, code=3)
    assert [(row["id"], row["status"], row["answer"]) for row in found] == [
        (1, "succeeded", {"grade": "high", "score": 9}),
        (2, "invalid", {"grade": "worst", "score": None}),
        (3, "invalid", {"grade": None, "score": None}),
    ]
    assert found[0]["result"] == {"grade": "high", "score": 9}
    assert found[2]["text"] == "I would rather talk."


def test_a_pattern_finds_typed_values_in_prose(folder: Folder) -> None:
    """What the pattern does not find is asked again, and named when it stays so."""
    answers = """\
rules:
  - {when: {text: good}, answer: 'I say: high (9).'}
  - {when: {text: odd}, answer: 'Hm.', times: 1}
  - {answer: 'low (2)'}
"""
    response = "response:\n  parse: regex\n  pattern: '(?P<grade>high|low) \\((?P<score>\\d+)\\)'\n"
    found = run(folder, HEAD + response + SCHEMA, answers)
    assert [row["answer"] for row in found] == [
        {"grade": "high", "score": 9},
        {"grade": "low", "score": 2},
        {"grade": "low", "score": 2},
    ]


def test_another_pattern_reads_the_same_answers(folder: Folder) -> None:
    """How answers are read is no part of a question: nothing is asked or paid again."""
    answers = "rules:\n  - {answer: 'grade high, grade low'}\n"
    regex = "response: {parse: regex, on_invalid: fail, pattern: 'grade (\\w+)'}\n"
    head = HEAD.replace("result, answer, text", "result")
    assert [row["result"] for row in run(folder, head + regex, answers)] == ["high"] * 3
    found = run(folder, head + regex.replace("'grade (", "', grade ("), answers)
    assert [row["result"] for row in found] == ["low"] * 3
    found = run(folder, head + regex.replace("'grade (", "'mark ("), answers, code=3)
    assert {row["status"] for row in found} == {"invalid"}
    plan = folder.batchspec("plan", "--emulate", "--format", "json").json()["specs"][0]
    assert (plan["requests"], plan["counts"]["failed"]) == (0, 3)
    found = run(folder, head + regex, answers)
    assert [row["status"] for row in found] == ["succeeded"] * 3
    found = run(folder, head, answers)
    assert [row["result"] for row in found] == ["grade high, grade low"] * 3


def test_json_that_only_the_prompt_asks_for(folder: Folder) -> None:
    """The schema is not sent; a Markdown fence around the JSON does no harm."""
    answers = """\
rules:
  - {when: {text: good}, answer: "```json\\n{\\"grade\\": \\"high\\"}\\n```"}
  - {json: {grade: low}}
"""
    spec = HEAD + "response:\n  parse: json\n  send: none\n" + SCHEMA
    found = run(folder, spec, answers)
    assert [row["result"]["grade"] for row in found] == ["high", "low", "low"]
    shown = folder.batchspec("show", "grade", "1", "--emulate", "--format", "json").json()
    assert "output_config" not in shown["request"]


def test_part_of_a_schema_is_sent_and_all_of_it_validated(folder: Folder) -> None:
    """The plan says what is only checked here."""
    spec = HEAD + "response:\n  send: subset\n  order: written\n  on_invalid: fail\n" + SCHEMA
    folder.write("specs/grade.yaml", spec)
    plan = folder.batchspec("plan", "--emulate")
    assert (
        "note: Structured outputs cannot have /additionalProperties, /properties/score/maximum of"
        " the schema as written; answers are validated against all of it here." in plan.out
    )
    answers = "rules:\n  - {when: {text: bad}, json: {grade: low, score: 11}}\n"
    found = run(folder, spec, answers + "  - {json: {grade: high, score: 1}}\n", code=3)
    assert [row["status"] for row in found] == ["succeeded", "invalid", "succeeded"]
    shown = folder.batchspec("show", "grade", "1", "--emulate", "--format", "json").json()
    sent = shown["request"]["output_config"]["format"]["schema"]
    assert sent["additionalProperties"] is False
    assert sent["properties"]["score"] == {"description": "(maximum: 10)", "type": "integer"}


def test_the_order_of_properties_is_kept_when_asked_for(folder: Folder) -> None:
    """Sorted by default, and the plan says so; `order: written` is another question."""
    schema = """\
  schema:
    type: object
    additionalProperties: false
    required: [reasoning, grade]
    properties: {reasoning: {type: string}, grade: {type: string}}
"""
    folder.write("specs/grade.yaml", HEAD + "response:\n" + schema)
    plan = folder.batchspec("plan", "--emulate")
    assert "are sent sorted by name (grade, reasoning)" in plan.out
    before = shown_request(folder)
    assert before.index('"grade"') < before.index('"reasoning"')
    folder.write("specs/grade.yaml", HEAD + "response:\n  order: written\n" + schema)
    plan = folder.batchspec("plan", "--emulate")
    assert "sorted by name" not in plan.out
    after = shown_request(folder)
    assert after.index('"reasoning"') < after.index('"grade"')


def shown_request(folder: Folder) -> str:
    """Return the schema's properties of an item's request, as they are sent."""
    done = folder.batchspec("show", "grade", "1", "--emulate", "--format", "json")
    request = done.json()["request"]
    return json.dumps(request["output_config"]["format"]["schema"]["properties"])
