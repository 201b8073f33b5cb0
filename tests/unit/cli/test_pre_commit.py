"""The hook for pre-commit: it runs a command that exists, on changes that matter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from batchspec.cli.parser import build_parser

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def hook() -> dict[str, object]:
    """Return the hook's definition."""
    text = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    (found,) = YAML(typ="safe").load(text)
    return dict(found)


@pytest.mark.parametrize(
    ("path", "matters"),
    [
        ("batchspec.yaml", True),
        ("specs/triage.yaml", True),
        ("jobs/prompts/deep/triage.md", True),
        ("schemas/triage.json", True),
        ("README.md", False),
        ("out/triage.jsonl", False),
        ("myspecs/triage.yaml", False),
    ],
)
def test_it_runs_when_specs_may_have_changed(
    hook: dict[str, object], path: str, *, matters: bool
) -> None:
    """Specs, prompts, schemas and the project file; it is not run for anything else."""
    assert bool(re.search(str(hook["files"]), path)) is matters


def test_it_validates_everything(hook: dict[str, object]) -> None:
    """The entry is a command line of ours, and it takes no file names."""
    _program, *args = str(hook["entry"]).split()
    assert build_parser().parse_args(args).command == "validate"
    assert hook["pass_filenames"] is False
    assert hook["language"] == "python"
