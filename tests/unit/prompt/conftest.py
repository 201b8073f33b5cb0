"""What the prompt room's tests share: specs read from text, compiled against fixed columns."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from batchspec.inputs.columns import Column
from batchspec.problems import Problem
from batchspec.prompt.canonical import canonical_json
from batchspec.prompt.request import Renderer, compile_prompt
from batchspec.spec.facts import ModelFacts
from batchspec.spec.load import parse_yaml
from batchspec.spec.model import Spec
from batchspec.spec.project import LoadedSpec

COLUMNS = tuple(
    Column(name=name, type=kind)
    for name, kind in {
        "id": "BIGINT",
        "subject": "VARCHAR",
        "body": "VARCHAR",
        "price": "DECIMAL(9,2)",
        "due": "DATE",
        "words": "VARCHAR[]",
        "meta": "STRUCT(a INTEGER)",
        "raw": "BLOB",
        "empty": "VARCHAR",
    }.items()
)
ROW: Mapping[str, Any] = {
    "id": 7,
    "subject": "hello world",
    "body": "b" * 5000,
    "price": Decimal("1.10"),
    "due": dt.date(2026, 11, 23),
    "words": ["b", "a", "b"],
    "meta": {"a": 1, "items": "mine"},
    "raw": b"\x00\xff",
    "empty": None,
}
FACTS = ModelFacts(
    id="claude-haiku-4-5",
    max_output=64_000,
    max_output_300k=False,
    context=200_000,
    prefill=True,
    sampling=True,
    structured_outputs=True,
    min_cache_tokens=1024,
    tokenizer="old",
    retires_at=None,
    deprecated=False,
)
_REST: Mapping[str, Any] = {
    "version": 1,
    "name": "a-spec",
    "model": "claude-haiku-4-5",
    "max_tokens": 64,
    "inputs": {"table": "a.csv", "key": ["id"]},
    "outputs": {"path": "out/a.jsonl"},
}

Compiled = tuple[Renderer | None, tuple[Problem, ...]]
Compile = Callable[..., Compiled]
Load = Callable[[str], LoadedSpec]
Write = Callable[[Mapping[str, str | bytes]], Path]
RendererOf = Callable[[Compiled], Renderer]
ParamsOf = Callable[[Compiled, dict[str, Any]], dict[str, Any]]


def load_text(text: str) -> LoadedSpec:
    """Read a spec from text without the spec room's rules, so that ours are met."""
    document, problems = parse_yaml(text.encode(), "specs/a.yaml")
    assert document is not None
    assert not problems, problems
    spec = Spec.model_validate({**_REST, **document.data})
    return LoadedSpec(spec=spec, path="specs/a.yaml", document=document)


@pytest.fixture
def load() -> Load:
    """Return a function that reads a spec from text."""
    return load_text


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty project folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def row() -> dict[str, Any]:
    """Return a row for the fixed columns."""
    return dict(ROW)


@pytest.fixture
def write(root: Path) -> Write:
    """Return a function that writes files below the project folder."""

    def writer(files: Mapping[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return writer


@pytest.fixture
def compiled(root: Path) -> Compile:
    """Return a function that compiles the prompt of a spec given as text."""

    def compiler(text: str, **options: Any) -> Compiled:
        return compile_prompt(root, load_text(text), COLUMNS, facts={FACTS.id: FACTS}, **options)

    return compiler


@pytest.fixture
def user(compiled: Compile) -> Compile:
    """Return a function that compiles a user template."""

    def compiler(template: str, **options: Any) -> Compiled:
        indented = template.replace("\n", "\n    ")
        return compiled(f"prompt:\n  user: |\n    {indented}\n", **options)

    return compiler


@pytest.fixture
def renderer_of() -> RendererOf:
    """Return a function that gives the renderer of a prompt that must have been compiled."""

    def getter(compiled: Compiled) -> Renderer:
        renderer, problems = compiled
        assert problems == ()
        assert renderer is not None
        return renderer

    return getter


@pytest.fixture
def params_of(renderer_of: RendererOf) -> ParamsOf:
    """Return a function that gives the params of a row, after checking that they are canonical."""

    def getter(compiled: Compiled, row: dict[str, Any]) -> dict[str, Any]:
        encoded = renderer_of(compiled).render(row)
        params: dict[str, Any] = json.loads(encoded)
        assert canonical_json(params) == encoded
        return params

    return getter
