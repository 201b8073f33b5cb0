"""The reference page: everything is named, every curl example runs."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from batchspec.emulator.faults import KINDS
from batchspec.emulator.rules import OUTCOMES, parse_rules
from batchspec.emulator.settings import Unknowns

if TYPE_CHECKING:
    from batchspec.emulator.probe import Probe

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "emulator.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
SCRIPTS = [block for kind, block in BLOCKS if kind == "bash"]


def test_every_fault_has_an_example_with_its_options() -> None:
    """Each kind of the menu stands in a curl example, and each of its options somewhere."""
    examples = "\n".join(SCRIPTS)
    for name, kind in KINDS.items():
        assert f'"kind": "{name}"' in examples
        for option in kind.options:
            assert f'"{option}"' in examples


def test_every_choice_and_outcome_is_described() -> None:
    """The table of choices begins each row with the default."""
    for field in dataclasses.fields(Unknowns):
        default = str(field.default)
        default = default.lower() if isinstance(field.default, bool) else default
        assert f"| `{field.name}` | {default}, " in TEXT
    for outcome in OUTCOMES:
        assert f"`{outcome}`" in TEXT


def test_every_option_of_the_program_is_described() -> None:
    """The help text and the table name the same options."""
    command = [sys.executable, "-m", "batchspec.emulator", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    options = set(re.findall(r"--[a-z-]+", shown)) - {"--help"}
    table = TEXT.split("## Options")[1].split("## What")[0]
    assert set(re.findall(r"`(--[a-z-]+)`", table)) == options


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.split()[0])
def test_examples_run(probe: Probe, script: str) -> None:
    """Every shell example works against a running emulator."""
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"EMULATOR": probe.base_url, "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def test_the_answers_example_is_valid() -> None:
    """The YAML of the page is an answers file."""
    documents: list[Any] = [
        YAML(typ="safe", pure=True).load(block) for kind, block in BLOCKS if kind == "yaml"
    ]
    assert [len(parse_rules(document)) for document in documents] == [5]
