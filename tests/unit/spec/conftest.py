"""What the spec room's tests share: facts of a few models, and projects written from mappings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from batchspec.spec.facts import ModelFacts

TODAY = dt.date(2026, 11, 23)

_OLD = ModelFacts(
    id="claude-haiku-4-5",
    max_output=64_000,
    max_output_300k=False,
    context=200_000,
    prefill=True,
    sampling=True,
    structured_outputs=True,
    min_cache_tokens=4096,
    tokenizer="old",
    retires_at=None,
    deprecated=False,
    geo=False,
    as_of=dt.date(2026, 11, 22),
)


def _like(name: str, **changes: object) -> ModelFacts:
    values = {field: getattr(_OLD, field) for field in ModelFacts.__dataclass_fields__}
    return ModelFacts(**{**values, "id": name, **changes})


FACTS: Mapping[str, ModelFacts] = {
    facts.id: facts
    for facts in (
        _OLD,
        _like(
            "claude-sonnet-5",
            max_output=128_000,
            max_output_300k=True,
            prefill=False,
            sampling=False,
            tokenizer="new",
            thinking_up_to_high=("between_tools",),
            geo=True,
        ),
        _like("claude-sonnet-4-5", deprecated=True, retires_at=dt.date(2026, 11, 30)),
        _like("claude-past-1", deprecated=True, retires_at=dt.date(2026, 6, 30)),
        _like("claude-past-2", structured_outputs=False),
        _like("claude-past-3", retired=True, deprecated=True, retires_at=dt.date(2026, 6, 30)),
        _like(
            "claude-odd-1",
            batch=False,
            effort=False,
            thinking=("adaptive", "between_tools"),
            forced_tool_choice=False,
        ),
        _like(
            "claude-odd-2",
            efforts=("low", "high"),
            missing=frozenset({"citations", "code_execution", "image_input", "web_search"}),
        ),
    )
}


@pytest.fixture
def today() -> dt.date:
    """Return the day on which the rules about retiring models are asked."""
    return TODAY


@pytest.fixture
def facts() -> Mapping[str, ModelFacts]:
    """Return facts that no change of the catalogue touches."""
    return FACTS


SPEC = """\
version: 1
inputs: {table: data/tickets.csv, key: id}
model: claude-haiku-4-5
max_tokens: 64
prompt: {user: "{{ subject }}"}
outputs: {path: out/NAME.jsonl}
"""


@pytest.fixture
def project(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Return a function that writes files and returns their folder.

    The text ``SPEC`` stands for a small spec; further lines may follow it.
    """

    def write(files: Mapping[str, str]) -> Path:
        root = tmp_path.resolve() / "project"
        root.mkdir(exist_ok=True)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("SPEC", SPEC.replace("NAME", path.stem)), "utf-8")
        return root

    return write
