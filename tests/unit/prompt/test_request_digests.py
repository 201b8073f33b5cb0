from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.prompt.conftest import Compile, RendererOf, Write

LONG = "word " * 1000
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
    write: Write,
    compiled: Compile,
    change: dict[str, Any],
    parts: set[str],
    renderer_of: RendererOf,
) -> None:
    """A change shows in the part it belongs to, and in the digest of the whole."""
    write({"inc.md": "included"})
    before = renderer_of(compiled(json.dumps(BASE)))
    after = renderer_of(compiled(json.dumps({**BASE, **change})))
    assert set(before.parts) == {"prompt", "model", "params", "schema", "vars", "cache"}
    changed = {name for name in before.parts if before.parts[name] != after.parts[name]}
    assert changed == parts
    assert (before.render_digest != after.render_digest) == bool(parts)


def test_included_files_count_as_prompt(
    write: Write, compiled: Compile, renderer_of: RendererOf
) -> None:
    """A changed include is a changed prompt."""
    write({"inc.md": "included"})
    before = renderer_of(compiled(json.dumps(BASE)))
    write({"inc.md": "other"})
    after = renderer_of(compiled(json.dumps(BASE)))
    assert before.parts["prompt"] != after.parts["prompt"]
