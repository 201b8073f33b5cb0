from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchspec.inputs.columns import Column
from batchspec.prompt.request import ItemError, compile_prompt

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.prompt.conftest import Compile, Compiled, Load, RendererOf, Write


def codes(compiled: Compiled) -> list[str]:
    """Return the codes of a prompt that must have been refused."""
    renderer, problems = compiled
    assert renderer is None
    return [problem.code for problem in problems]


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
        ("prompt: {user: [{image: a.png}, {text: x}]}", ["content-missing"]),
        (
            "prompt: {user: [{document: {text: '{{ nope }}'}, title: '{{ nope }}'}]}",
            ["undefined-name"] * 2,
        ),
        ("prompt: {user: [{type: x, a: [{b: '{{ nope }}'}]}]}", ["undefined-name"]),
        ("prompt: {user: [{text: {file: none.md}}]}", ["prompt-file-refused"]),
        (f"prompt: {{user: '{{{{ {'(' * 300}1{')' * 300} }}}}'}}", ["template-too-complex"]),
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


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ Created at }}", 'The column Created at is written row["Created at"] in a template.'),
        ("{{ Created_at }}", 'Did you mean row["Created at"]?'),
        ("Created at {{ id id }}", "got 'id'"),
    ],
)
def test_a_column_that_is_no_plain_name_is_spelt_out(
    root: Path, load: Load, template: str, said: str
) -> None:
    """Columns of a spreadsheet have spaces in their names; the message says how to write them."""
    columns = tuple(Column(name=name, type="VARCHAR") for name in ("id", "Created at"))
    _, (problem,) = compile_prompt(
        root, load(f"prompt: {{user: '{template}'}}\n"), columns, facts={}
    )
    assert said in problem.detail
    assert ("Created at" in said) == ("is written" in problem.detail or "mean" in problem.detail)


def test_a_mistake_in_a_file_is_placed_there(write: Write, compiled: Compile) -> None:
    """Included files are named themselves, not the spec."""
    write({"p/a.md": "{% include 'p/b.md' %}", "p/b.md": "x\n\n  {{ subjekt }}\n"})
    _, (problem,) = compiled("prompt: {user: {file: p/a.md}}")
    assert problem.where is not None
    assert (problem.where.file, problem.where.line, problem.where.column) == ("p/b.md", 3, 6)
    assert problem.where.source == "  {{ subjekt }}"


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
    *,
    template: str,
    summary: str,
    detail: str,
    renderer_of: RendererOf,
) -> None:
    """The template, the line and the reason are named, without the item's data."""
    write({"p/b.md": "x\n{{ meta.nope }}"})
    renderer = renderer_of(user(template, max_characters=6000))
    with pytest.raises(ItemError) as caught:
        renderer.render(row)
    assert summary in caught.value.summary
    assert detail in caught.value.detail


def test_half_a_character_is_an_items_mistake(
    user: Compile, row: dict[str, Any], renderer_of: RendererOf
) -> None:
    """A lone surrogate in the data cannot be sent."""
    row["subject"] = "a\ud83d"
    with pytest.raises(ItemError, match="surrogate"):
        renderer_of(user("{{ subject }}")).render(row)


def test_a_failed_item_leaves_no_trace_in_the_next(
    user: Compile, row: dict[str, Any], renderer_of: RendererOf
) -> None:
    """The shared context is clean again after a failure and after an assignment."""
    renderer = renderer_of(user("{% set x = meta.a %}{{ x }}{{ 1 / id }}"))
    first = renderer.render(row)
    with pytest.raises(ItemError):
        renderer.render({**row, "id": 0, "meta": {"a": 99}})
    assert renderer.render(row) == first
