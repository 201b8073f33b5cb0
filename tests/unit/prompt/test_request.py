from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchspec.inputs.columns import Column
from batchspec.problems import Severity
from batchspec.prompt.canonical import canonical_json
from batchspec.prompt.contents import measure, without_contents
from batchspec.prompt.request import compile_prompt
from batchspec.spec.model import Api

if TYPE_CHECKING:
    from tests.unit.prompt.conftest import Compile, Load, ParamsOf, RendererOf, Write

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
    write: Write, compiled: Compile, row: dict[str, Any], renderer_of: RendererOf
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
    assert renderer.sent_schema == {"type": "object", "properties": {"label": {"type": "string"}}}


def test_a_schema_can_stand_in_a_file(
    write: Write, compiled: Compile, row: dict[str, Any], params_of: ParamsOf
) -> None:
    """The file's schema is sent and kept for validation."""
    write({"s.json": '{"type": "object"}'})
    text = "response: {schema: {file: s.json}}\nprompt: {user: '{{ id }}'}"
    sent = params_of(compiled(text), row)["output_config"]
    assert sent == {"format": {"type": "json_schema", "schema": {"type": "object"}}}


def test_one_trailing_newline_is_dropped(
    write: Write, compiled: Compile, row: dict[str, Any], params_of: ParamsOf
) -> None:
    """As in Jinja2, a template's last line break is not part of its text, others are."""
    write({"p.md": "{{ id }}\n\n"})
    params = params_of(compiled("prompt:\n  system: {file: p.md}\n  user: |\n    a\n    b\n"), row)
    assert params["system"] == "7\n"
    assert params["messages"][0]["content"] == "a\nb"


def test_a_byte_order_mark_is_no_part_of_a_prompt(
    write: Write, compiled: Compile, row: dict[str, Any], params_of: ParamsOf
) -> None:
    """Files saved with a byte order mark are read without it."""
    write({"p.md": "\ufeff{{ id }}"})
    params = params_of(compiled("prompt: {user: {file: p.md}}"), row)
    assert params["messages"][0]["content"] == "7"


def test_columns_come_before_the_names_every_template_has(
    root: Path, load: Load, renderer_of: RendererOf
) -> None:
    """A column called key or row is that column."""
    columns = [Column(name=name, type="VARCHAR") for name in ("id", "key", "row")]
    loaded = load("prompt: {user: '{{ key }} {{ row }}'}")
    renderer = renderer_of(compile_prompt(root, loaded, columns))
    text = renderer.render({"id": 7, "key": "mine", "row": "also mine"})
    assert b'"content":"mine also mine"' in text
    assert renderer.columns_used == ("key", "row")


def test_several_columns_make_a_list_of_a_key(
    root: Path, load: Load, renderer_of: RendererOf
) -> None:
    """The name key holds the values of all key columns, in their order."""
    columns = [Column(name=name, type="VARCHAR") for name in ("a", "b")]
    loaded = load("inputs: {table: a.csv, key: [b, a]}\nprompt: {user: '{{ key|join }}'}")
    renderer = renderer_of(compile_prompt(root, loaded, columns))
    assert b'"content":"21"' in renderer.render({"a": "1", "b": "2"})
    assert renderer.columns_used == ("a", "b")


def test_names_set_by_the_including_template_are_known(
    write: Write, compiled: Compile, row: dict[str, Any], params_of: ParamsOf
) -> None:
    """An include sees loop variables and assignments around it."""
    write({"w.md": "<{{ w }}>"})
    text = "prompt: {user: \"{% for w in words %}{% include 'w.md' %}{% endfor %}\"}"
    assert params_of(compiled(text), row)["messages"][0]["content"] == "<b><a><b>"


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
    write: Write,
    user: Compile,
    template: str,
    subject: str,
    words: list[str],
    renderer_of: RendererOf,
) -> None:
    """Splicing with a shared context equals `Template.render` and encoding the whole."""
    write({"p/inc.md": "[{{ subject }}]", "p/m.md": "{% macro f(x) %}({{ x }}){% endmacro %}"})
    renderer = renderer_of(user(template))
    row = {"id": 1, "subject": subject, "body": "{{ id }}", "words": words, "meta": None}
    (block,) = renderer._slots
    scope = {**row, "row": row, "key": 1}
    jinja = block.template._context.environment.from_string(block.template.text.source)
    encoded = renderer.render(row)
    params = json.loads(encoded)
    assert params["messages"][0]["content"] == jinja.render(scope)
    assert canonical_json(params) == encoded


def test_answers_are_data_and_never_templates(
    user: Compile, row: dict[str, Any], renderer_of: RendererOf
) -> None:
    """Braces in a value are written as they are."""
    row["subject"] = "{{ id }}{% include '.env' %}"
    text = renderer_of(user("{{ subject }}")).render(row).decode()
    assert "{{ id }}{% include '.env' %}" in text


def test_markers_cannot_be_confused_with_texts(
    compiled: Compile, row: dict[str, Any], params_of: ParamsOf
) -> None:
    """A prompt that looks like the marker of a varying text is kept."""
    spec = {"prompt": {"system": "batchspec-0-0 batchspec-1-", "user": "{{ id }}{{ subject }}"}}
    row["subject"] = "\0batchspec-2-0\0"
    params = params_of(compiled(json.dumps(spec)), row)
    assert params["system"] == "batchspec-0-0 batchspec-1-"
    assert params["messages"][0]["content"] == "7\0batchspec-2-0\0"


def test_version_and_betas_are_part_of_the_identity(
    compiled: Compile, renderer_of: RendererOf
) -> None:
    """Headers that change answers are told apart; the order of betas is not."""
    text = "prompt: {user: '{{ id }}'}"
    plain = renderer_of(compiled(text))
    assert plain.identity == b'{"anthropic_version":"2026-10-21","betas":[]}'
    one = renderer_of(compiled(text, api=Api(betas=("b", "a"))))
    own = f"{text}\nbetas: [a, b]\nanthropic_version: '2026-10-21'\n"
    assert renderer_of(compiled(own, api=Api(betas=("c",)))).identity == one.identity
    assert renderer_of(compiled(f"{text}\nbetas: []", api=Api(betas=("c",)))).identity == (
        plain.identity
    )
    two = renderer_of(compiled(text, api=Api(betas=("a", "b"))))
    assert one.identity == two.identity == plain.identity.replace(b"[]", b'["a","b"]')
    assert one.render_digest != plain.render_digest


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ('{image: "https://example.org/{{ id }}.png"}', (1, 0)),
        ('{image: "https://example.org/a.png"}', (1, 0)),
        ('{document: "https://example.org/a.pdf", title: T, citations: true}', (0, 1)),
        ('{file_id: "file_{{ id }}"}', (0, 1)),
        ('{file_id: "file_{{ id }}", as: image}', (1, 0)),
        ("{image: 'https://example.org/a\"b'}", (1, 0)),
        ("{type: image, source: {type: url, url: 'https://example.org/a.png'}}", (1, 0)),
        ('{document: {text: "{{ subject }}"}}', (0, 0)),
        ("""{text: '"source":{"type":"url","url":""}'}""", (0, 0)),
        ("{search_result: 'https://example.org', title: t, content: ['{{ subject }}']}", (0, 0)),
    ],
)
def test_files_whose_size_nobody_knows_are_counted(
    compiled: Compile,
    renderer_of: RendererOf,
    row: dict[str, Any],
    block: str,
    told: tuple[int, int],
) -> None:
    """By kind, so that a plan can take for each what the facts allow at most."""
    renderer = renderer_of(compiled(f"prompt: {{user: [{block}, {{text: '{{{{ id }}}}'}}]}}"))
    request = renderer.render(row)
    found = measure(request, uploaded=False, per_token=renderer.chars_per_token)
    assert found.unsized == told
    assert without_contents(request).unsized == told
    assert renderer.shows_files or told == (0, 0)


def test_missing_values_in_prompts_are_told(
    compiled: Compile, renderer_of: RendererOf, row: dict[str, Any]
) -> None:
    """The word None is sent as before; `null-in-prompt` says so, unless the template writes it."""
    renderer = renderer_of(compiled('prompt: {user: "{{ id }}: {{ subject }}"}'))
    renderer.render(row)
    assert renderer.problems() == ()
    empty = row | {"subject": None}
    assert b": None" in renderer.render(empty)
    (problem,) = renderer.problems()
    assert (problem.code, problem.severity) == ("null-in-prompt", Severity.WARNING)
    assert problem.summary == "prompts show missing values of subject as the word None"
    assert problem.detail.startswith("1 prompt does. ")
    for text in ('{{ subject or "." }}', "{{ subject or 'None' }}", "None {{ id }}"):
        renderer = renderer_of(compiled(f"prompt: {{user: {json.dumps(text)}}}"))
        renderer.render(empty)
        assert renderer.problems() == ()
