from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchspec.inputs.columns import Column
from batchspec.problems import Problem
from batchspec.prompt.canonical import canonical_json
from batchspec.prompt.request import ItemError, Renderer, compile_prompt
from batchspec.spec.model import Api
from batchspec.spec.project import LoadedSpec

Compiled = tuple[Renderer | None, tuple[Problem, ...]]
Compile = Callable[..., Compiled]
Load = Callable[[str], LoadedSpec]
Write = Callable[[Mapping[str, str | bytes]], Path]


def renderer_of(compiled: Compiled) -> Renderer:
    """Return the renderer of a prompt that must have been compiled."""
    renderer, problems = compiled
    assert problems == ()
    assert renderer is not None
    return renderer


def params_of(compiled: Compiled, row: dict[str, Any]) -> dict[str, Any]:
    """Return the params of a row, after checking that they are canonical."""
    encoded = renderer_of(compiled).render(row)
    params: dict[str, Any] = json.loads(encoded)
    assert canonical_json(params) == encoded
    return params


def codes(compiled: Compiled) -> list[str]:
    """Return the codes of a prompt that must have been refused."""
    renderer, problems = compiled
    assert renderer is None
    return [problem.code for problem in problems]


FULL = """
vars: {product: Desk}
params:
  stop_sequences: ["\\n\\n"]
  output_config: {effort: low}
  tools: [{name: look, input_schema: {type: object}}]
response:
  schema: {type: object, properties: {label: {type: string}}}
prompt:
  system:
    - {text: "You label tickets of {{ product }}."}
    - {type: text, text: "Item {{ id }}"}
  messages:
    - {role: user, content: "Example"}
    - {role: assistant, content: "{\\"label\\": \\"low\\"}"}
    - {role: system, content: "Be brief."}
    - {role: user, content: [{text: "{{ subject }}"}, {text: {file: p/tail.md}}]}
"""


def test_params_hold_everything_of_the_spec(
    write: Write, compiled: Compile, row: dict[str, Any]
) -> None:
    """System, messages, schema, tools and other parameters arrive, in canonical bytes."""
    write({"p/tail.md": "Due {{ due }}.\n"})
    renderer = renderer_of(compiled(FULL))
    assert renderer.render(row).decode() == (
        '{"max_tokens":64,"messages":['
        '{"content":"Example","role":"user"},'
        '{"content":"{\\"label\\": \\"low\\"}","role":"assistant"},'
        '{"content":"Be brief.","role":"system"},'
        '{"content":[{"text":"hello world","type":"text"},'
        '{"text":"Due 2026-11-23.","type":"text"}],"role":"user"}],'
        '"model":"claude-haiku-4-5",'
        '"output_config":{"effort":"low","format":{"schema":'
        '{"properties":{"label":{"type":"string"}},"type":"object"},"type":"json_schema"}},'
        '"stop_sequences":["\\n\\n"],'
        '"system":[{"text":"You label tickets of Desk.","type":"text"},'
        '{"text":"Item 7","type":"text"}],'
        '"tools":[{"input_schema":{"type":"object"},"name":"look"}]}'
    )
    assert renderer.columns_used == ("due", "id", "subject")
    assert renderer.schema == {"type": "object", "properties": {"label": {"type": "string"}}}


def test_a_schema_can_stand_in_a_file(write: Write, compiled: Compile, row: dict[str, Any]) -> None:
    """The file's schema is sent and kept for validation."""
    write({"s.json": '{"type": "object"}'})
    text = "response: {schema: {file: s.json}}\nprompt: {user: '{{ id }}'}"
    sent = params_of(compiled(text), row)["output_config"]
    assert sent == {"format": {"type": "json_schema", "schema": {"type": "object"}}}


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
    compiled: Compile, row: dict[str, Any], prompt: dict[str, Any], where: dict[str, Any]
) -> None:
    """A text becomes a list of blocks only where a breakpoint needs one."""
    params = params_of(compiled(json.dumps({"prompt": prompt})), row)
    control = {"type": "ephemeral", "ttl": "1h"}
    expected = json.loads(json.dumps(where).replace("true", json.dumps(control)))
    assert {name: params[name] for name in where} == expected


def test_the_breakpoint_can_stand_on_the_last_tool(compiled: Compile, row: dict[str, Any]) -> None:
    """When even the system prompt varies, the tools alone are cached."""
    tools = [{"name": "a"}, {"name": "b", "description": LONG}]
    spec = {"params": {"tools": tools}, "prompt": {"system": "{{ id }}", "user": "x"}}
    sent = params_of(compiled(json.dumps(spec)), row)["tools"]
    assert sent == [tools[0], {**tools[1], "cache_control": {"type": "ephemeral", "ttl": "1h"}}]


def test_caching_facts_are_told(compiled: Compile) -> None:
    """The plan learns the prefix, its lifetime, or why there is none."""
    cached = renderer_of(compiled(json.dumps({"prompt": {"system": LONG, "user": "{{ id }}"}})))
    assert (cached.cache_ttl, cached.prefix_chars, cached.notes) == ("1h", 5000, ())
    plain = renderer_of(compiled("prompt: {system: short, user: '{{ id }}'}"))
    assert (plain.cache_ttl, plain.prefix_chars) == (None, 0)
    assert "claude-haiku-4-5 caches from 1,024 on" in plain.notes[0]


def test_one_trailing_newline_is_dropped(
    write: Write, compiled: Compile, row: dict[str, Any]
) -> None:
    """As in Jinja2, a template's last line break is not part of its text, others are."""
    write({"p.md": "{{ id }}\n\n"})
    params = params_of(compiled("prompt:\n  system: {file: p.md}\n  user: |\n    a\n    b\n"), row)
    assert params["system"] == "7\n"
    assert params["messages"][0]["content"] == "a\nb"


def test_a_byte_order_mark_is_no_part_of_a_prompt(
    write: Write, compiled: Compile, row: dict[str, Any]
) -> None:
    """Files saved with a byte order mark are read without it."""
    write({"p.md": "\ufeff{{ id }}"})
    params = params_of(compiled("prompt: {user: {file: p.md}}"), row)
    assert params["messages"][0]["content"] == "7"


def test_columns_come_before_the_names_every_template_has(root: Path, load: Load) -> None:
    """A column called key or row is that column."""
    columns = [Column(name=name, type="VARCHAR") for name in ("id", "key", "row")]
    loaded = load("prompt: {user: '{{ key }} {{ row }}'}")
    renderer = renderer_of(compile_prompt(root, loaded, columns))
    text = renderer.render({"id": 7, "key": "mine", "row": "also mine"})
    assert b'"content":"mine also mine"' in text
    assert renderer.columns_used == ("key", "row")


def test_several_columns_make_a_list_of_a_key(root: Path, load: Load) -> None:
    """The name key holds the values of all key columns, in their order."""
    columns = [Column(name=name, type="VARCHAR") for name in ("a", "b")]
    loaded = load("inputs: {table: a.csv, key: [b, a]}\nprompt: {user: '{{ key|join }}'}")
    renderer = renderer_of(compile_prompt(root, loaded, columns))
    assert b'"content":"21"' in renderer.render({"a": "1", "b": "2"})
    assert renderer.columns_used == ("a", "b")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("prompt: {user: '{{ nope }}'}", ["undefined-name"]),
        ("prompt: {user: '{{ nope }} {{ nada }}', system: '{{ nil }}'}", ["undefined-name"] * 3),
        ("prompt: {user: '{% if nope is defined %}x{% endif %}'}", ["undefined-name"]),
        ("prompt: {user: '{{ row.nope }}'}", ["undefined-name"]),
        ("prompt: {user: \"{{ row['nope'] }}\"}", ["undefined-name"]),
        ("prompt: {user: '{{ id|nope }}'}", ["undefined-name"]),
        ("prompt: {user: '{{ id is nope }}'}", ["undefined-name"]),
        ("prompt: {user: '{% if id %}{{ id|nope }}{% endif %}'}", ["undefined-name"]),
        ("prompt: {user: '{{ id'}", ["template-syntax"]),
        ("prompt: {user: '{% for %}'}", ["template-syntax"]),
        ("prompt: {user: '{% extends \"a\" %}'}", ["template-syntax"]),
        ("prompt: {user: '{% include \"none.md\" %}'}", ["include-missing"]),
        ("prompt: {user: '{% include \"latin.md\" %}'}", ["include-missing"]),
        ("prompt: {user: '{% include id %}'}", ["dynamic-include"]),
        ("prompt: {user: '{% include \"loop.md\" %}'}", ["include-cycle"]),
        ("prompt: {user: '{% include \"ping.md\" %}'}", ["include-cycle"]),
        ("prompt: {user: '{% include \"d0.md\" %}'}", ["include-cycle"]),
        ("prompt: {user: '{% include \"bad.md\" %}'}", ["undefined-name"]),
        ("prompt: {user: '{% import \"uses.md\" as m %}'}", ["undefined-name"]),
        ("prompt: {user: {file: none.md}}", ["prompt-file-refused"]),
        ("prompt: {user: {file: ../x.md}}", ["prompt-file-refused"]),
        ("prompt: {user: {file: latin.md}}", ["prompt-file-refused"]),
        ("prompt: {user: [{image: a.png}, {text: x}]}", ["not-supported-yet"]),
        ("prompt: {user: [{type: document, source: {}}]}", ["not-supported-yet"]),
        ("vars: {id: 1}\nprompt: {user: x}", ["name-clash"]),
        ("vars: {row: 1, key: 2}\nprompt: {user: x}", ["name-clash", "name-clash"]),
        ("response: {schema: {file: none.json}}\nprompt: {user: x}", ["bad-schema-file"]),
        ("response: {schema: {file: latin.md}}\nprompt: {user: x}", ["bad-schema-file"]),
        ("response: {schema: {file: d0.md}}\nprompt: {user: x}", ["bad-schema-file"]),
        ("response: {schema: {file: list.json}}\nprompt: {user: x}", ["bad-schema-file"]),
        ("prompt: {system: ' ', user: '{{ id }}'}", ["render-failed"]),
        ("vars: {a: 1}\nprompt: {system: '{{ a / 0 }}', user: '{{ id }}'}", ["render-failed"]),
    ],
)
def test_mistakes_are_found_before_anything_is_rendered(
    write: Write, compiled: Compile, text: str, found: list[str]
) -> None:
    """Each kind of mistake has its code, and all of them are reported."""
    write(
        {
            "latin.md": b"\xe9",
            "loop.md": "{% include 'loop.md' %}",
            "ping.md": "{% include 'pong.md' %}",
            "pong.md": "{% include 'ping.md' %}",
            **{f"d{number}.md": f"{{% include 'd{number + 1}.md' %}}" for number in range(12)},
            "d12.md": "end",
            "bad.md": "{{ nope }}",
            "uses.md": "{{ id }}",
            "list.json": "[1]",
        }
    )
    assert codes(compiled(text)) == found


def test_an_undefined_name_has_its_place_and_a_suggestion(compiled: Compile) -> None:
    """Line and column are those of the name inside the YAML block."""
    _, (problem,) = compiled("prompt:\n  user: |\n    subjekt\n    {{ id }} {{ subjekt }}\n")
    assert problem.message() == (
        "specs/a.yaml:4:17 undefined-name: the template uses subjekt, which does not exist. Did you"
        " mean subject? Known here: body, due, empty, id, key, meta, price, raw, row, subject,"
        " words."
    )


def test_a_mistake_in_a_file_is_placed_there(write: Write, compiled: Compile) -> None:
    """Included files are named themselves, not the spec."""
    write({"p/a.md": "{% include 'p/b.md' %}", "p/b.md": "x\n\n  {{ subjekt }}\n"})
    _, (problem,) = compiled("prompt: {user: {file: p/a.md}}")
    assert problem.where is not None
    assert (problem.where.file, problem.where.line, problem.where.column) == ("p/b.md", 3, 6)
    assert problem.where.source == "  {{ subjekt }}"


def test_names_set_by_the_including_template_are_known(
    write: Write, compiled: Compile, row: dict[str, Any]
) -> None:
    """An include sees loop variables and assignments around it."""
    write({"w.md": "<{{ w }}>"})
    text = "prompt: {user: \"{% for w in words %}{% include 'w.md' %}{% endfor %}\"}"
    assert params_of(compiled(text), row)["messages"][0]["content"] == "<b><a><b>"


@pytest.mark.parametrize(
    ("template", "summary", "detail"),
    [
        ("{{ meta.nope }}", "(prompt.user, line 1)", "'dict object' has no attribute 'nope'."),
        (
            "a\n\n{{ 1 / (id - 7) }}",
            "(prompt.user, line 3)",
            "zero division error: ",
        ),
        ("{{ id < 'a' }}", "(prompt.user, line 1)", "type error: "),
        ("{% include 'p/b.md' %}", "(p/b.md, line 2)", "has no attribute 'nope'"),
        ("{% set x = empty %}{{ x if x }}", "a prompt is empty (prompt.user)", "visible character"),
        ("{{ body }}{{ body }}", "a prompt cannot be rendered", "more than 6,000 characters"),
    ],
)
def test_an_item_that_fails_says_where_and_why(
    write: Write,
    user: Compile,
    row: dict[str, Any],
    template: str,
    summary: str,
    detail: str,
) -> None:
    """The template, the line and the reason are named, without the item's data."""
    write({"p/b.md": "x\n{{ meta.nope }}"})
    renderer = renderer_of(user(template, max_characters=6000))
    with pytest.raises(ItemError) as caught:
        renderer.render(row)
    assert summary in caught.value.summary
    assert detail in caught.value.detail


def test_half_a_character_is_an_items_mistake(user: Compile, row: dict[str, Any]) -> None:
    """A lone surrogate in the data cannot be sent."""
    row["subject"] = "a\ud83d"
    with pytest.raises(ItemError, match="surrogate"):
        renderer_of(user("{{ subject }}")).render(row)


def test_a_failed_item_leaves_no_trace_in_the_next(user: Compile, row: dict[str, Any]) -> None:
    """The shared context is clean again after a failure and after an assignment."""
    renderer = renderer_of(user("{% set x = meta.a %}{{ x }}{{ 1 / id }}"))
    first = renderer.render(row)
    with pytest.raises(ItemError):
        renderer.render({**row, "id": 0, "meta": {"a": 99}})
    assert renderer.render(row) == first


TEMPLATES = (
    "Subject: {{ subject }}\n\n{{ body }}",
    "{% for w in words %}{{ loop.index }}{{ w|upper }}{% endfor %}{% set x = id %}{{ x ~ '!' }}",
    "{% include 'p/inc.md' %}{% import 'p/m.md' as m %}{{ m.f(id) }}{{ row|tojson }}{{ key }}",
)


@given(subject=st.text(st.characters(codec="utf-8"), min_size=1), words=st.lists(st.text("ab{%")))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize("template", TEMPLATES)
def test_the_fast_way_writes_what_jinja_writes(
    write: Write, user: Compile, template: str, subject: str, words: list[str]
) -> None:
    """Splicing with a shared context equals `Template.render` and encoding the whole."""
    write({"p/inc.md": "[{{ subject }}]", "p/m.md": "{% macro f(x) %}({{ x }}){% endmacro %}"})
    renderer = renderer_of(user(template))
    row = {"id": 1, "subject": subject, "body": "{{ id }}", "words": words, "meta": None}
    (block,) = renderer._blocks
    scope = {**row, "row": row, "key": 1}
    jinja = block.template._context.environment.from_string(block.template.text.source)
    encoded = renderer.render(row)
    params = json.loads(encoded)
    assert params["messages"][0]["content"] == jinja.render(scope)
    assert canonical_json(params) == encoded


def test_answers_are_data_and_never_templates(user: Compile, row: dict[str, Any]) -> None:
    """Braces in a value are written as they are."""
    row["subject"] = "{{ id }}{% include '.env' %}"
    text = renderer_of(user("{{ subject }}")).render(row).decode()
    assert "{{ id }}{% include '.env' %}" in text


BASE: dict[str, Any] = {
    "vars": {"product": "Desk"},
    "params": {"stop_sequences": ["x"]},
    "response": {"schema": {"type": "object"}},
    "prompt": {"system": LONG, "user": "{% include 'inc.md' %}{{ id }}{{ product }}"},
}


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"description": "words for people"}, set()),
        ({"budget": {"max_usd": 1}, "retry": {"errored": 1}}, set()),
        ({"name": "another-name"}, set()),
        ({"model": "claude-x"}, {"model"}),
        ({"max_tokens": 65}, {"params"}),
        ({"params": {"stop_sequences": ["y"]}}, {"params"}),
        ({"vars": {"product": "Chair"}}, {"vars"}),
        ({"response": {"schema": {"type": "array"}}}, {"schema"}),
        ({"cache": "off"}, {"cache"}),
        ({"cache": "5m"}, {"cache"}),
        ({"prompt": {"system": LONG + "!", "user": BASE["prompt"]["user"]}}, {"prompt"}),
        (
            {"prompt": {"system": [{"text": LONG}], "user": BASE["prompt"]["user"]}},
            {"prompt"},
        ),
        ({"inputs": {"table": "a.csv", "key": ["subject"]}}, {"prompt"}),
    ],
)
def test_each_part_of_a_request_has_its_digest(
    write: Write, compiled: Compile, change: dict[str, Any], parts: set[str]
) -> None:
    """A change shows in the part it belongs to, and in the digest of the whole."""
    write({"inc.md": "included"})
    before = renderer_of(compiled(json.dumps(BASE)))
    after = renderer_of(compiled(json.dumps({**BASE, **change})))
    assert set(before.parts) == {"prompt", "model", "params", "schema", "vars", "cache"}
    changed = {name for name in before.parts if before.parts[name] != after.parts[name]}
    assert changed == parts
    assert (before.render_digest != after.render_digest) == bool(parts)


def test_included_files_count_as_prompt(write: Write, compiled: Compile) -> None:
    """A changed include is a changed prompt."""
    write({"inc.md": "included"})
    before = renderer_of(compiled(json.dumps(BASE)))
    write({"inc.md": "other"})
    after = renderer_of(compiled(json.dumps(BASE)))
    assert before.parts["prompt"] != after.parts["prompt"]


def test_version_and_betas_are_part_of_the_identity(compiled: Compile) -> None:
    """Headers that change answers are told apart; the order of betas is not."""
    text = "prompt: {user: '{{ id }}'}"
    plain = renderer_of(compiled(text))
    assert plain.identity == b'{"anthropic_version":"2026-10-21","betas":[]}'
    one = renderer_of(compiled(text, api=Api(betas=("b", "a"))))
    two = renderer_of(compiled(text, api=Api(betas=("a", "b"))))
    assert one.identity == two.identity == plain.identity.replace(b"[]", b'["a","b"]')
    assert one.render_digest != plain.render_digest


def test_markers_cannot_be_confused_with_texts(compiled: Compile, row: dict[str, Any]) -> None:
    """A prompt that looks like the marker of a varying text is kept."""
    spec = {"prompt": {"system": "batchspec-0-0 batchspec-1-", "user": "{{ id }}{{ subject }}"}}
    row["subject"] = "\0batchspec-2-0\0"
    params = params_of(compiled(json.dumps(spec)), row)
    assert params["system"] == "batchspec-0-0 batchspec-1-"
    assert params["messages"][0]["content"] == "7\0batchspec-2-0\0"
