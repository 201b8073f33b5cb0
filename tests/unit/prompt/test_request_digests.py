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
    named = {"prompt", "files", "model", "params", "schema", "vars", "cache"}
    assert set(before.parts) == named
    changed = {name for name in before.parts if before.parts[name] != after.parts[name]}
    assert changed == parts
    assert (before.render_digest != after.render_digest) == bool(parts)


def test_files_of_the_prompt_are_a_part_of_their_own(
    write: Write, compiled: Compile, renderer_of: RendererOf
) -> None:
    """A changed file, named or included, is not a changed prompt; another file's name is both."""
    spec = {**BASE, "prompt": {**BASE["prompt"], "system": {"file": "system.md"}}}
    write({"inc.md": "included", "system.md": LONG, "other.md": LONG})
    before = renderer_of(compiled(json.dumps(spec)))
    assert set(before.files) == {"inc.md", "system.md"}
    for name in before.files:
        write({"inc.md": "included", "system.md": LONG, name: f"{LONG} other"})
        after = renderer_of(compiled(json.dumps(spec)))
        assert {n for n in after.parts if after.parts[n] != before.parts[n]} == {"files"}
        assert {n for n in after.files if after.files[n] != before.files[n]} == {name}
    moved = {**spec, "prompt": {**BASE["prompt"], "system": {"file": "other.md"}}}
    after = renderer_of(compiled(json.dumps(moved)))
    assert {n for n in after.parts if after.parts[n] != before.parts[n]} == {"files", "prompt"}
