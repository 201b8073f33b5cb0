"""The project's own list of models as a file."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from batchspec.spec.listed import (
    MODELS_FILE,
    ListedModel,
    ListedModels,
    models_text,
    read_models,
)
from batchspec.spec.project import load_project
from batchspec.spec.schema import published_validator

LISTED = ListedModels(
    as_of=dt.date(2026, 11, 23),
    models=(
        ListedModel(id="b", retires_at=dt.date(2027, 1, 2), thinking=("adaptive",), batch=False),
        ListedModel(id="a", name="Ä"),
    ),
)


def test_what_is_written_is_read_and_described(tmp_path: Path) -> None:
    """One model a line, sorted, valid by the published schema, and the same after reading."""
    text = models_text(LISTED)
    published_validator("models").validate(json.loads(text))
    assert [line.strip()[:12] for line in text.splitlines() if '"id"' in line] == [
        '{"id": "a", ',
        '{"id": "b", ',
    ]
    (tmp_path / MODELS_FILE).write_text(text, encoding="utf-8")
    found, problems = read_models(tmp_path)
    assert problems == ()
    assert found is not None
    assert models_text(found) == text


def test_without_a_file_there_is_no_list(tmp_path: Path) -> None:
    """Most projects have none."""
    assert read_models(tmp_path) == (None, ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format_version": 2, "as_of": "2026-11-23", "models": []}',
        '{"format_version": 1, "as_of": "2026-13-23", "models": []}',
        '{"format_version": 1, "as_of": "2026-11-23", "models": [{"id": "m", "retires_at": "2"}]}',
    ],
)
def test_a_damaged_file_is_a_problem_of_the_project(tmp_path: Path, text: str) -> None:
    """It is not passed over, but for the command that writes it anew."""
    (tmp_path / MODELS_FILE).write_text(text, encoding="utf-8")
    project, problems = load_project(tmp_path, {})
    assert project is None
    assert [problem.code for problem in problems] == ["bad-models-file"]
    assert load_project(tmp_path, {}, with_models=False)[0] is not None
