"""The entry point: parse, load one command, run it inside the boundary."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from itertools import pairwise

from batchspec.cli.boundary import guarded
from batchspec.cli.parser import build_parser, command_module
from batchspec.cli.terminal import Terminal, system_terminal

TYPE_CHECKING = False  # `typing` itself would be a tenth of the time that `--help` takes
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn, TextIO

    from batchspec.cli.result import Result

STDOUT, STDERR = 1, 2
YOUNG_OBJECTS = 100_000
"""So many new objects make Python look for cycles among them; its own default is 700. Imports make
half as many, all of which stay: looking through them took a tenth of `validate`."""


def program() -> NoReturn:
    """Run the command line of this process, and end the process with its exit code."""
    _open_streams()
    code = entry()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)  # Python says what it cannot write, and how it ends then
    # What was opened is closed by now. Taking the memory apart object by object would take a tenth
    # of a small command, and a quarter of a second after a large one.
    atexit._run_exitfuncs()  # noqa: SLF001 - nothing public runs them
    os._exit(code)


def _open_streams() -> None:
    """Open what was closed from the start.

    A file that is opened later, such as the ledger, would get the number of a standard stream, and
    what is said would be written into it.
    """
    if sys.stdin and sys.stdout and sys.stderr:
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or _silent(STDOUT)
    sys.stderr = sys.stderr or _silent(STDERR)


def _silent(descriptor: int) -> TextIO:
    return open(descriptor, "w", encoding="utf-8", errors="backslashreplace")


def entry() -> int:
    """Run the command line of this process and return its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    # A plan makes millions of small records and no cycles: looking for them took a tenth of a run.
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    # Arrow's own allocators keep what is freed: a submit of a million items peaked 20 MB higher.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # To find plugins of pydantic it reads the metadata of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    return main(sys.argv[1:], system_terminal())


def main(argv: Sequence[str], terminal: Terminal) -> int:
    """Run one command line and return its exit code."""
    if _wants_json(argv):
        terminal.format = "json"
    return guarded(lambda: _dispatch(argv, terminal), terminal, argv)


def _dispatch(argv: Sequence[str], terminal: Terminal) -> Result:
    namespace = build_parser().parse_args(argv)
    from batchspec.cli.arguments import record  # noqa: PLC0415 - `--help` needs no records

    module = command_module(namespace.command)
    args = record(module.Arguments, namespace)
    terminal.configure(format=args.format, color=not args.no_color)
    terminal.emulate = getattr(args, "emulate", False)
    terminal.env, terminal.command = args.env, namespace.command
    return module.run(args, terminal)


def _wants_json(argv: Sequence[str]) -> bool:
    """Tell whether errors must be JSON, before the command line is known to be right."""
    return "--format=json" in argv or ("--format", "json") in pairwise(argv)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Treat SIGTERM like Ctrl-C: leave submitted work running and say how to resume."""
    raise KeyboardInterrupt
