from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from batchspec.problems import Problem
from batchspec.prompt.request import ItemError, Renderer

HERE = Path(__file__).parent
ESCAPES = (HERE / "escapes.txt").read_text(encoding="utf-8").splitlines()
FLOODS = YAML(typ="safe").load(HERE / "floods.yaml")
GIVEN_AWAY = re.compile(
    r"<|0x[0-9a-f]|class|function|method|module|canary|builtin|2026\b(?!-11-23)"
)

User = Callable[..., tuple[Renderer | None, tuple[Problem, ...]]]


@pytest.fixture
def files(write: Callable[[Mapping[str, str | bytes]], Path]) -> None:
    """Write templates to include, and canaries that must stay unread."""
    root = write(
        {
            "p/m.md": "{% macro f(x) %}{{ x }}{% endmacro %}{% set _secret = 'canary' %}",
            "p/inc.md": "[{{ subject }}]",
            ".env": "canary",
        }
    )
    (root.parent / "secret.txt").write_text("canary")
    (root / "p" / "link.md").symlink_to(root.parent / "secret.txt")


def outcome(user: User, template: str, row: dict[str, Any]) -> str | None:
    """Return what a template writes, or None when it is refused, before or while rendering."""
    renderer, problems = user(template)
    if renderer is None:
        assert problems
        return None
    try:
        return renderer.render(row).decode()
    except ItemError:
        return None


def test_the_corpora_are_large() -> None:
    """The lists of attacks are as long as they were meant to be."""
    assert len(ESCAPES) >= 140
    assert len(FLOODS) >= 60


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("template", ESCAPES)
def test_templates_cannot_escape(user: User, row: dict[str, Any], template: str) -> None:
    """No object behind a value is reached, nothing is changed, and no other file is read."""
    before = repr(row)
    text = outcome(user, "{{ id }} " + template, row)
    assert repr(row) == before
    if text is not None:
        assert not GIVEN_AWAY.search(text.split('"messages"')[1])


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: str(flood["name"]))
def test_templates_cannot_flood(user: User, row: dict[str, Any], flood: dict[str, Any]) -> None:
    """What would take forever or fill the memory is refused within seconds."""
    line, times = flood.get("repeat", ("", 0))
    template = flood.get("before", "") + line * times + flood.get("after", "")
    start = time.process_time()
    text = outcome(user, "{{ id }}" + template, row)
    assert time.process_time() - start < 20
    assert text is None or len(text) < 4_100_000


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ subject|upper }}", "HELLO WORLD"),
        ("{{ subject.title() }}", "Hello World"),
        ("{{ subject.split(' ')|join('-') }}", "hello-world"),
        ("{{ subject[0] }}{{ subject[-1] }}{{ subject[1:4] }}", "hdell"),
        ("{{ subject ~ '!' ~ id }}", "hello world!7"),
        ("{{ 'a' + 'b' }}", "ab"),
        ("{{ ([1] + [2])|length }}", "2"),
        ("{{ id + 1 }} {{ id * 2 }} {{ id // 2 }} {{ id % 4 }} {{ id ** 2 }}", "8 14 3 3 49"),
        ("{{ price }} {{ price * 2 }}", "1.10 2.20"),
        ("{{ due }}", "2026-11-23"),
        ("{{ empty }}", "None"),
        ("{{ empty or 'nothing' }}", "nothing"),
        ("{{ empty|default('nothing', true) }}", "nothing"),
        ("{{ meta.a }} {{ meta['a'] }} {{ meta.items }}", "1 1 mine"),
        ("{{ row.subject }} {{ row['id'] }} {{ row.get('id') }}", "hello world 7 7"),
        ("{{ row.keys()|list|length }}", "9"),
        ("{% for k, v in meta|items %}{{ k }}={{ v }};{% endfor %}", "a=1;items=mine;"),
        ("{% for k, v in row.items() if k == 'id' %}{{ v }}{% endfor %}", "7"),
        ("{{ key }}", "7"),
        (
            "{% for w in words %}{{ loop.index }}{{ w }}{{ ',' if not loop.last }}{% endfor %}",
            "1b,2a,3b",
        ),
        ("{% for w in words %}{{ loop.cycle('x', 'y') }}{% endfor %}", "xyx"),
        ("{% for w in words %}{{ loop.length }}{{ loop.revindex }}{% endfor %}", "333231"),
        ("{% for w in [] %}x{% else %}empty{% endfor %}", "empty"),
        ("{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }} {% endfor %}", "3 7 "),
        ("{{ words|unique|join }} {{ words|sort|join }} {{ words|reverse|join }}", "ba abb bab"),
        ("{{ words|first }}{{ words|last }}{{ words|length }}{{ words|max }}", "bb3b"),
        ("{{ words|map('upper')|join }} {{ words|select('eq', 'a')|list|length }}", "BAB 1"),
        ("{% for g, l in words|groupby(0) %}{{ g }}{{ l|length }} {% endfor %}", "a1 b2 "),
        ("{% for b in words|batch(2) %}{{ b|join }};{% endfor %}", "ba;b;"),
        ("{{ [1, 2, 3]|sum }} {{ [{'a': 1}, {'a': 2}]|sum(attribute='a') }}", "6 3"),
        ("{{ [{'a': 'x'}]|map(attribute='a')|first }}", "x"),
        ("{{ meta|dictsort }}", "[('a', 1), ('items', 'mine')]"),
        ("{{ {'é': [1, none, true, 1.5]}|tojson }}", '{"é": [1, null, true, 1.5]}'),
        ("{{ [price, due]|tojson }}", '[1.1, "2026-11-23"]'),
        ("{{ '<a> & \"b\"'|e }}", "&lt;a&gt; &amp; &#34;b&#34;"),
        ("{{ 'a\nb'|indent(2) }}", "a\n  b"),
        ("{{ 'one two three'|truncate(8, leeway=0) }}", "one..."),
        ("{{ 'a b'|urlencode }} {{ 'a b c'|wordcount }}", "a%20b 3"),
        ("{{ 2.567|round(1) }} {{ '42'|int }} {{ '1.5'|float }} {{ -3|abs }}", "2.6 42 1.5 3"),
        ("{{ ' x '|trim }}|{{ 'aXa'|replace('a', 'b') }}", "x|bXb"),
        ("{% if id is odd and subject is string %}yes{% endif %}", "yes"),
        ("{{ 'world' in subject }} {{ id in [7] }}", "True True"),
        ("{% set x = id %}{{ x }}", "7"),
        ("{% set x %}<{{ id }}>{% endset %}{{ x }}", "<7>"),
        ("{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, b=3) }}", "1213"),
        ("{% macro m() %}({{ caller() }}){% endmacro %}{% call m() %}x{% endcall %}", "(x)"),
        ("{% filter upper %}{{ subject }}{% endfilter %}", "HELLO WORLD"),
        ("{% include 'p/inc.md' %}", "[hello world]"),
        ("{% import 'p/m.md' as m %}{{ m.f(id) }}", "7"),
        ("{% from 'p/m.md' import f %}{{ f(id) }}", "7"),
        ("{% include 'p/none.md' ignore missing %}x", "x"),
        ("{% include ['p/none.md', 'p/inc.md'] %}", "[hello world]"),
        ("{% raw %}{{ id }}{% endraw %}{# comment #}x", "{{ id }}x"),
        ("{{ 'yes' if id == 7 else 'no' }}{{ 'x' if false }}", "yes"),
        ("{{ words }}", "['b', 'a', 'b']"),
    ],
)
@pytest.mark.usefixtures("files")
def test_ordinary_templates_work(
    user: User, row: dict[str, Any], template: str, expected: str
) -> None:
    """What prompts need of Jinja2 is there."""
    text = outcome(user, template, row)
    assert text is not None
    assert json.loads(text)["messages"][0]["content"] == expected
