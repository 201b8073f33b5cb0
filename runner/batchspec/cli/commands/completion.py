"""Print a completion script for bash, zsh or fish."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from batchspec.cli.arguments import Shared, add_shared
from batchspec.cli.commands.init import template_names
from batchspec.cli.parser import COMMANDS, build_parser, command_module
from batchspec.cli.result import Result
from batchspec.records import frozen
from batchspec.report import completion

if TYPE_CHECKING:
    from batchspec.cli.terminal import Terminal

EXAMPLES = """\
  batchspec completion bash >> ~/.bash_completion       for every new bash
  batchspec completion zsh > "${fpath[1]}/_batchspec"   for every new zsh
  batchspec completion fish > ~/.config/fish/completions/batchspec.fish
"""
SHELLS = {"bash": completion.bash, "zsh": completion.zsh, "fish": completion.fish}
_SPECS = ("spec", "specs")
_LISTED = {"template": template_names}
"""Options whose values are no choices of the parser: the command says more when there is none."""


@frozen
class Arguments(Shared):
    """What `completion` takes."""

    shell: str
    """One of `SHELLS`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that completes")
    add_shared(parser)


def run(args: Arguments, _terminal: Terminal) -> Result:
    """Return the script."""
    commands = tuple(described(name) for name in COMMANDS)
    script = SHELLS[args.shell](_described(build_parser(), "batchspec", ""), commands)
    return Result(text=script, json={"shell": args.shell, "script": script})


def described(name: str) -> completion.Command:
    """Return a command's options and arguments."""
    parser = argparse.ArgumentParser(prog=f"batchspec {name}")
    command_module(name).add_arguments(parser)
    return _described(parser, name, COMMANDS[name])


def _described(parser: argparse.ArgumentParser, name: str, summary: str) -> completion.Command:
    actions = [
        action
        for action in parser._actions  # noqa: SLF001 - argparse has no other way to list them
        if not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001 - as above
    ]
    words = [_word(action) for action in actions]
    return completion.Command(
        name=name,
        help=summary,
        options=tuple(word for word in words if word.flags),
        arguments=tuple(word for word in words if not word.flags),
    )


def _word(action: argparse.Action) -> completion.Word:
    choices = _choices(action)
    return completion.Word(
        flags=tuple(action.option_strings),
        help=(action.help or "").replace("%(prog)s", "batchspec"),
        takes="choice" if choices else _takes(action),
        choices=choices,
        metavar=str(action.metavar or ""),
    )


def _choices(action: argparse.Action) -> tuple[str, ...]:
    listed = _LISTED.get(action.dest)
    return tuple(str(choice) for choice in action.choices or (listed() if listed else ()))


def _takes(action: argparse.Action) -> completion.Takes:
    if action.nargs == 0:
        return "nothing"
    if action.dest in _SPECS:
        return "spec"
    metavar = str(action.metavar or "")
    if metavar == "DIR":
        return "folder"
    return "file" if "FILE" in metavar else "value"
