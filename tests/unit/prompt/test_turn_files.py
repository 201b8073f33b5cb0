"""Turns kept in files: examples for the model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.prompt.conftest import Compile, ParamsOf, Write

SPEC = "prompt: {messages: [{file: shots.jsonl}, {role: user, content: '{{ id }}'}]}"


def test_turns_come_in_the_order_of_the_file(
    write: Write, compiled: Compile, params_of: ParamsOf
) -> None:
    """Pairs and single turns may be mixed, and nothing in them is a template."""
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    lines = [
        {"user": "{{ id }}?", "assistant": "{1}"},
        {"role": "user", "content": [image]},
        {"assistant": "A cat."},
        {"role": "system", "content": "Be brief."},
    ]
    write({"shots.jsonl": "\n\n".join(map(json.dumps, lines)) + "\n"})
    assert params_of(compiled(SPEC), {"id": 7})["messages"] == [
        {"role": "user", "content": "{{ id }}?"},
        {"role": "assistant", "content": "{1}"},
        {"role": "user", "content": [image]},
        {"role": "assistant", "content": "A cat."},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "7"},
    ]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "it has no turns"),
        ("[1]", 1, "not a JSON object"),
        ('{"user": "a"}\n{"user": ', 2, "Expecting value"),
        ('{"user": "a", "bot": "b"}', 1, "it needs"),
        ('{"role": "robot", "content": "b"}', 1, "it needs"),
        ('{"user": " "}', 1, "not empty"),
        ('{"user": []}', 1, "list of blocks"),
        ('{"user": [{"text": "a"}]}', 1, "list of blocks"),
        ('{"user": [{"type": "a", "n": 1e999}]}', 1, "canonical"),
        ("[" * 20_000, 1, "nested too deeply"),
    ],
)
def test_a_bad_line_is_named(
    write: Write, compiled: Compile, text: str, line: int, why: str
) -> None:
    """File, line and reason, before anything is asked."""
    write({"shots.jsonl": text})
    renderer, (problem,) = compiled(SPEC)
    assert renderer is None
    assert problem.code == "bad-turns-file"
    assert problem.where is not None
    assert (problem.where.file, problem.where.line) == ("shots.jsonl", line)
    assert why in problem.detail


def test_the_file_is_one_of_the_files(write: Write, compiled: Compile) -> None:
    """Other examples in it are another content of that file, and the same prompt."""
    write({"shots.jsonl": '{"user": "a", "assistant": "b"}'})
    before, _ = compiled(SPEC)
    write({"shots.jsonl": '{"user": "a", "assistant": "c"}'})
    after, _ = compiled(SPEC)
    assert before is not None
    assert after is not None
    assert {name for name in before.parts if before.parts[name] != after.parts[name]} == {"files"}
    assert before.files.keys() == after.files.keys() == {"shots.jsonl"}


def test_a_file_of_turns_has_to_be_there(compiled: Compile) -> None:
    """It is refused like any other file of the prompt."""
    renderer, (problem,) = compiled(SPEC)
    assert renderer is None
    assert problem.code == "prompt-file-refused"
