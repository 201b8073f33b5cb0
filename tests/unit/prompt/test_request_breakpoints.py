from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.prompt.conftest import Compile, ParamsOf, RendererOf

LONG = "word " * 1000


@pytest.mark.parametrize(
    ("prompt", "where"),
    [
        (
            {"system": LONG, "user": "{{ id }}"},
            {"system": [{"type": "text", "text": LONG, "cache_control": True}]},
        ),
        (
            {"system": [{"text": LONG}, {"text": "end"}], "user": "{{ id }}"},
            {
                "system": [
                    {"type": "text", "text": LONG},
                    {"type": "text", "text": "end", "cache_control": True},
                ]
            },
        ),
        (
            {
                "system": LONG,
                "messages": [
                    {"role": "user", "content": "example"},
                    {"role": "assistant", "content": "answer"},
                    {"role": "user", "content": "{{ id }}"},
                ],
            },
            {
                "system": LONG,
                "messages": [
                    {"role": "user", "content": "example"},
                    {
                        "role": "assistant",
                        "content": [{"type": "text", "text": "answer", "cache_control": True}],
                    },
                    {"role": "user", "content": "7"},
                ],
            },
        ),
        (
            {"user": [{"text": LONG}, {"text": "{{ id }}"}]},
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": LONG, "cache_control": True},
                            {"type": "text", "text": "7"},
                        ],
                    }
                ]
            },
        ),
        (
            {"system": "{{ id }}", "user": LONG},
            {"system": "7", "messages": [{"role": "user", "content": LONG}]},
        ),
    ],
)
def test_the_breakpoint_stands_where_the_shared_part_ends(
    compiled: Compile,
    row: dict[str, Any],
    prompt: dict[str, Any],
    where: dict[str, Any],
    params_of: ParamsOf,
) -> None:
    """A text becomes a list of blocks only where a breakpoint needs one."""
    params = params_of(compiled(json.dumps({"prompt": prompt})), row)
    control = {"type": "ephemeral", "ttl": "1h"}
    expected = json.loads(json.dumps(where).replace("true", json.dumps(control)))
    assert {name: params[name] for name in where} == expected


def test_the_breakpoint_can_stand_on_the_last_tool(
    compiled: Compile, row: dict[str, Any], params_of: ParamsOf
) -> None:
    """When even the system prompt varies, the tools alone are cached."""
    tools = [{"name": "a"}, {"name": "b", "description": LONG}]
    spec = {"params": {"tools": tools}, "prompt": {"system": "{{ id }}", "user": "x"}}
    sent = params_of(compiled(json.dumps(spec)), row)["tools"]
    assert sent == [tools[0], {**tools[1], "cache_control": {"type": "ephemeral", "ttl": "1h"}}]


def test_caching_facts_are_told(compiled: Compile, renderer_of: RendererOf) -> None:
    """The plan learns the prefix, its lifetime, or why there is none."""
    cached = renderer_of(compiled(json.dumps({"prompt": {"system": LONG, "user": "{{ id }}"}})))
    assert (cached.cache_ttl, cached.prefix_chars, cached.notes) == ("1h", 5000, ())
    plain = renderer_of(compiled("prompt: {system: short, user: '{{ id }}'}"))
    assert (plain.cache_ttl, plain.prefix_chars) == (None, 0)
    assert "claude-haiku-4-5 caches from 1,024 on" in plain.notes[0]
