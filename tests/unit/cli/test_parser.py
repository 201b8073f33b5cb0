"""The parser, its typed records, and what starting costs."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchspec.cli.arguments import record
from batchspec.cli.main import main
from batchspec.cli.parser import COMMANDS, build_parser, command_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchspec.cli.terminal import Terminal

    Said = Callable[[Terminal], tuple[str, str]]

SPARE = {
    "ci": ["keep"],
    "show": ["spec", "key"],
    "diff": ["spec"],
    "apply": ["plan.json"],
    "completion": ["bash"],
    "record": ["answers.jsonl"],
    "state": ["export", "state.tar.zst"],
}
"""Arguments that a command cannot do without."""


def test_every_command_has_its_module_and_no_module_is_unlisted() -> None:
    """The table of commands and the folder of modules are the same."""
    spec = importlib.util.find_spec("batchspec.cli.commands")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(next(iter(spec.submodule_search_locations)))
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert modules == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_records_match_options(name: str) -> None:
    """The fields of a command's record are exactly the options that its parser declares."""
    module = command_module(name)
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    options = {action.dest for action in parser._actions} - {"help"}
    assert options == {field.name for field in dataclasses.fields(module.Arguments)}


@pytest.mark.parametrize("name", COMMANDS)
def test_defaults_fill_the_record(name: str) -> None:
    """Every command's record can be read from a command line without options."""
    namespace = build_parser().parse_args([name, *SPARE.get(name, [])])
    args = record(command_module(name).Arguments, namespace)
    assert (args.project, args.format, args.no_color) == (None, "text", False)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples(
    name: str, capsys: pytest.CaptureFixture[str], terminal: Terminal
) -> None:
    """Each --help ends with examples that begin with the program and the command."""
    assert main([name, "--help"], terminal) == 0
    examples = capsys.readouterr().out.partition("examples:\n")[2].strip().splitlines()
    assert examples
    assert all(line.strip().startswith(f"batchspec {name}") for line in examples)


@pytest.mark.parametrize(
    "argv",
    [
        ["--project", "p", "--no-color", "plan"],
        ["plan", "--project", "p", "--no-color"],
        ["--project", "other", "plan", "--no-color", "--project", "p"],
    ],
)
def test_shared_options_on_both_sides(argv: list[str]) -> None:
    """--project and --no-color may stand before or after the command; the later one wins."""
    args = record(command_module("plan").Arguments, build_parser().parse_args(argv))
    assert (args.project, args.no_color) == (Path("p"), True)


def test_typed_values() -> None:
    """Amounts are exact decimals and specs a tuple."""
    namespace = build_parser().parse_args(["run", "a", "b.yaml", "--max-usd", "2.50", "--detach"])
    args = record(command_module("run").Arguments, namespace)
    assert args.specs == ("a", "b.yaml")
    assert args.max_usd == Decimal("2.50")
    assert args.detach is True


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["pln"], "plan"),
        (["plan", "--fromat", "json"], "--format"),
        (["plan", "--fromat=json"], "--format"),
        (["plan", "--format", "jsn"], "json"),
        (["state", "exprt", "a"], "export"),
    ],
)
def test_slips_of_the_pen_are_told_what_they_meant(
    argv: list[str], meant: str, terminal: Terminal, said: Said
) -> None:
    """Commands, options and values are suggested, after the sentence that names the mistake."""
    assert main(argv, terminal) == 2
    _, err = said(terminal)
    assert err.splitlines()[1].startswith(f"Did you mean {meant}? ")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "COMMAND"),
        (["frobnicate"], "invalid choice: 'frobnicate'"),
        (["run", "--max-usd", "lots"], "'lots' is not an amount in USD"),
        (["run", "--max-usd", "-1"], "'-1' is not an amount in USD"),
        (["run", "--max-usd", "NaN"], "'NaN' is not an amount in USD"),
        (["run", "--format", "markdown"], "invalid choice: 'markdown'"),
        (["plan", "--det"], "Unrecognized arguments: --det"),
        (["emulator", "--delay", "inf"], "'inf' is not a number of seconds"),
        (["emulator", "--speed", "0"], "'0' is not a number above zero"),
        (["emulator", "--unknown", "colour=red"], "unknown choice 'colour'"),
        (["schema", "specs"], "invalid choice: 'specs'"),
    ],
)
def test_usage(argv: list[str], words: str, terminal: Terminal, said: Said) -> None:
    """A wrong command line is one sentence, a hint, and exit code 2."""
    assert main(argv, terminal) == 2
    out, err = said(terminal)
    assert out == ""
    message, hint = err.splitlines()
    assert words in message
    assert hint.endswith("--help` shows what fits.")


def test_usage_as_json(terminal: Terminal, said: Said) -> None:
    """Even a wrong command line is answered in JSON when JSON was asked for."""
    assert main(["plan", "--frobnicate", "--format=json"], terminal) == 2
    assert json.loads(said(terminal)[0])["error"]["code"] == "usage"


def test_help_loads_nothing_heavy() -> None:
    """`--help` pays neither for rooms nor for libraries."""
    code = (
        "import sys; from batchspec.cli.main import entry; sys.argv=['batchspec', '--help'];"
        "entry(); print('\\n'.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split("exit codes:")[1].split())
    heavy = {"anthropic", "duckdb", "pyarrow", "pydantic", "jsonschema", "jinja2", "rich", "typing"}
    assert not loaded & heavy
    rooms = {name for name in loaded if name.startswith("batchspec.")}
    assert {name.split(".")[1] for name in rooms} == {"cli", "errors"}


NEVER = {
    "anthropic",
    "asyncio",
    "duckdb",
    "httpx2",
    "pyarrow.compute",
    "rich",
    "starlette",
    "uvicorn",
}
"""What no command needs before it works: DuckDB, the SDK and the emulator load with their use."""
OF_ROWS = {"jinja2", "jsonschema", "pyarrow"}
"""What only commands that plan, collect or sum up answers need."""


@pytest.mark.parametrize(
    ("command", "spared"),
    [
        ("collect", NEVER),
        ("history", NEVER | OF_ROWS),
        ("plan", NEVER),
        ("run", NEVER),
        ("status", NEVER | OF_ROWS),
        ("validate", NEVER | OF_ROWS),
    ],
)
def test_commands_load_only_what_they_need(command: str, spared: set[str]) -> None:
    """One import too many costs each start of the command a tenth of a second and 20 MB."""
    code = f"import sys, batchspec.cli.commands.{command}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not spared.intersection(done.stdout.split())
