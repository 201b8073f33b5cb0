"""What the inputs room's tests share: a project folder, specs read from text, an engine on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import InputTable, Row, open_inputs, row_select
from batchspec.problems import Problem
from batchspec.spec.load import parse_yaml
from batchspec.spec.model import Spec
from batchspec.spec.project import LoadedSpec

Opened = tuple[InputTable | None, tuple[Problem, ...]]
Open = Callable[[str], Opened]
Load = Callable[[str], LoadedSpec]
Write = Callable[[Mapping[str, str | bytes]], Path]
RowsOf = Callable[[Engine, Opened], list[Row]]
Values = Callable[[str], list[dict[str, Any]]]

_REST: Mapping[str, Any] = {
    "version": 1,
    "name": "a-spec",
    "model": "claude-haiku-4-5",
    "max_tokens": 64,
    "prompt": {"user": "Hello"},
    "outputs": {"path": "out/a.jsonl"},
}


def load_text(text: str) -> LoadedSpec:
    """Read a spec from text without the spec room's rules, so that ours are met."""
    document, problems = parse_yaml(text.encode(), "specs/a.yaml")
    assert document is not None
    assert not problems
    spec = Spec.model_validate({**_REST, **document.data})
    return LoadedSpec(spec=spec, path="specs/a.yaml", document=document)


@pytest.fixture
def load() -> Load:
    """Return a function that reads a spec from text."""
    return load_text


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty project folder whose path is awkward on purpose."""
    folder = tmp_path / "a [project] with 'quotes'"
    folder.mkdir()
    return folder


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
def engine(root: Path, tmp_path: Path) -> Iterator[Engine]:
    """Return an engine on the project folder."""
    with Engine.open(root=root, temp=tmp_path / "tmp") as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project folder for all tests of a module; opening an engine takes 0.1 s."""
    folder = tmp_path_factory.mktemp("shared") / "a [project] with 'quotes'"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def shared(shared_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Return an engine for all tests of a module."""
    with Engine.open(root=shared_root, temp=tmp_path_factory.mktemp("tmp")) as opened:
        yield opened


@pytest.fixture
def open_text(root: Path, engine: Engine) -> Open:
    """Return a function that opens the inputs of a spec given as text."""

    def opener(text: str) -> Opened:
        return open_inputs(engine, root, load_text(text), {})

    return opener


@pytest.fixture
def rows_of() -> RowsOf:
    """Return a function that gives the rows of opened inputs, sorted by key."""

    def reader(engine: Engine, opened: Opened) -> list[Row]:
        table, problems = opened
        assert problems == ()
        assert table is not None
        return sorted(row_select(engine, table, None))

    return reader


@pytest.fixture
def values(engine: Engine, open_text: Open, rows_of: RowsOf) -> Values:
    """Return a function that gives the rows of a spec's inputs, sorted by key."""

    def reader(text: str) -> list[dict[str, Any]]:
        return [row.values for row in rows_of(engine, open_text(text))]

    return reader
