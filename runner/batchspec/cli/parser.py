"""The argument parser: one sub-parser per command, filled only when its command is used.

Start-up is part of the contract (`batchspec --help` within four times `python -c pass`), so that a
command's module, and all that it imports, is loaded only for that command.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re

import batchspec
from batchspec.errors import UsageFailure

TYPE_CHECKING = False  # `typing` itself would be a tenth of the time that `--help` takes
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn, Protocol

    from batchspec.cli.result import Result
    from batchspec.cli.terminal import Terminal

    class CommandModule(Protocol):
        """What a module in `cli.commands` offers."""

        EXAMPLES: str
        """The epilog of its help."""
        Arguments: type[Any]
        """A frozen record whose fields are the parser's options."""

        def add_arguments(self, parser: argparse.ArgumentParser) -> None:
            """Declare the command's options."""
            ...

        def run(self, args: Any, terminal: Terminal) -> Result:
            """Do the work and return what to print."""
            ...


COMMANDS = {
    "init": "write a small working project",
    "validate": "report all problems of all specs, offline",
    "plan": "show what would be submitted, why, and its price",
    "run": "plan, submit, wait, collect, write outputs, check",
    "apply": "submit exactly a saved plan, or refuse it as stale",
    "status": "show submissions and what they wait for",
    "collect": "take in the results of batches that have ended",
    "cancel": "cancel batches in flight",
    "recover": "find paid batches that the state does not know",
    "show": "show one item: request, hash, result, history",
    "diff": "show how answers differ between two versions of a spec",
    "verify": "check every digest of outputs and state",
    "cost": "show what was spent, on what, and what could be saved",
    "history": "show who did what when; export it for an audit",
    "report": "write one page about costs, batches, failures and answers",
    "state": "export or import the state as one file",
    "record": "write what was answered as a file that the emulator replays",
    "ci": "steps of CI jobs: comment, fetch a plan, publish outputs",
    "models": "list models: limits, prices, retirements; refresh them",
    "emulator": "serve the local emulator on loopback",
    "schema": "print a published JSON Schema",
    "completion": "print a completion script for a shell",
}
"""Every command and its one-line help, in the order of a working day."""

_EPILOG = """\
examples:
  batchspec init demo                  a small working project
  batchspec plan                       what would be submitted, why, and its price
  batchspec run --emulate              everything, without a key or a network
  batchspec run --max-usd 5            the real thing, with a ceiling

exit codes:
  0 done   1 problems in specs   2 usage   3 finished, but items or checks failed
  4 refused before spending   5 environment   10 `plan --detailed-exitcode` found work
  70 bug   130 interrupted (submitted work goes on)
"""


def command_module(name: str) -> CommandModule:
    """Load a command's module."""
    module: Any = importlib.import_module(f"batchspec.cli.commands.{name}")
    return module  # type: ignore[no-any-return]  # a test holds every module to the protocol


_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")
_QUOTED = re.compile(r"[\w-]+")
_UNKNOWN = "unrecognized arguments: "
"""What argparse says of mistakes that may be slips of the pen."""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal; argparse would load `shutil` to find that out."""

    def __init__(self, prog: str) -> None:
        try:
            columns = os.get_terminal_size().columns
        except OSError:
            columns = 80
        super().__init__(prog, width=min(columns - 2, 98))


class Parser(argparse.ArgumentParser):
    """A parser that raises `UsageFailure` and fills itself when its command is first used."""

    command: str | None = None
    """The command that this parser parses; None for the parser of the program."""

    def parse_known_args(  # type: ignore[override]  # the stub's overloads say no more than this
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, after declaring the command's options."""
        of_command = self.command is not None
        self.fill()
        found, unknown = super().parse_known_args(args, namespace)
        if unknown and of_command:  # here, where the command's options are known
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def fill(self) -> None:
        """Declare the command's options, once."""
        name, self.command = self.command, None
        if name is None:
            return
        module = command_module(name)
        self.description = (module.__doc__ or "").strip()
        self.epilog = f"examples:\n{module.EXAMPLES}"
        module.add_arguments(self)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            UsageFailure: always.
        """
        text = message[:1].upper() + message[1:]
        meant = self._meant(message)
        hint = f"Did you mean {meant}? " if meant else ""
        raise UsageFailure(
            f"{text.rstrip('.')}.", hint=f"{hint}`{self.prog} --help` shows what fits."
        )

    def _meant(self, message: str) -> str | None:
        """Return the command, option or value that was probably meant."""
        import difflib  # noqa: PLC0415 - only a mistake needs it

        choice = _CHOICE.search(message)
        if choice is not None:
            word, known = choice[1], _QUOTED.findall(choice[2])
        elif message.startswith(_UNKNOWN):
            word, known = message.removeprefix(_UNKNOWN).split()[0], [*self._option_string_actions]
            word = word.partition("=")[0]
        else:
            return None
        found = difflib.get_close_matches(word, known, n=1)
        return found[0] if found else None


def build_parser() -> Parser:
    """Return the program's parser, with an unfilled sub-parser per command."""
    parser = Parser(
        prog="batchspec",
        description="Config-as-code for LLM batch jobs: specs in git, plans with a price, runs "
        "that never pay twice.",
        epilog=_EPILOG,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {batchspec.__version__}")
    parser.add_argument("--project", metavar="DIR", help="the project's folder")
    parser.add_argument("--env", metavar="NAME", help="an environment of the project file")
    parser.add_argument("--no-color", action="store_true", help="no colours and no moving progress")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", required=True, parser_class=Parser
    )
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=summary,
            formatter_class=_Help,
            allow_abbrev=False,
        )
        sub.command = name
    return parser
