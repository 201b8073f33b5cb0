"""Options that commands share, and the typed records they are read into."""

from __future__ import annotations

import argparse
import dataclasses
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from batchspec.records import frozen

_LAST_PORT = 65535


@frozen
class Shared:
    """Options of every command."""

    project: Path | None
    """The project's folder; None: found from the current folder upward."""
    env: str | None
    """The project's environment; None: ``BATCHSPEC_ENV``, else none."""
    format: str
    """``text``, ``json``, for some commands also ``markdown``."""
    no_color: bool


@frozen
class Selecting(Shared):
    """Options of commands that work on specs."""

    specs: tuple[str, ...]
    """Paths or names; empty: every spec of the project."""
    emulate: bool
    """Use the emulator and its separate state instead of the API."""


def command_of(name: str, *, emulate: bool, env: str | None = None) -> str:
    """Return what hints tell to type: ``--emulate`` stays, or following one would cost money."""
    options = [*(["--emulate"] if emulate else []), *([f"--env {env}"] if env else [])]
    return " ".join(["batchspec", name, *options])


Record = TypeVar("Record", bound=Shared)


def record(kind: type[Record], namespace: argparse.Namespace) -> Record:
    """Read parsed options into their typed record; lists become tuples."""
    values: dict[str, Any] = {}
    for declared in dataclasses.fields(kind):
        value = getattr(namespace, declared.name)
        values[declared.name] = tuple(value) if isinstance(value, list) else value
    project = values["project"]
    values["project"] = None if project is None else Path(project)
    return kind(**values)


def add_shared(
    parser: argparse.ArgumentParser, formats: tuple[str, ...] = ("text", "json")
) -> None:
    """Declare the options of every command.

    ``--project``, ``--env`` and ``--no-color`` may stand before the command too; their defaults are
    suppressed here so that a value given there is not overwritten.
    """
    parser.add_argument(
        "--project", metavar="DIR", default=argparse.SUPPRESS, help="the project's folder"
    )
    parser.add_argument(
        "--env",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="an environment of the project file (default: BATCHSPEC_ENV)",
    )
    parser.add_argument(
        "--no-color",
        action="store_true",
        default=argparse.SUPPRESS,
        help="no colours and no moving progress",
    )
    parser.add_argument(
        "--format",
        choices=formats,
        default="text",
        help="form of what is written to stdout (default: text)",
    )


def add_specs(parser: argparse.ArgumentParser) -> None:
    """Declare the SPEC arguments."""
    parser.add_argument(
        "specs",
        metavar="SPEC",
        nargs="*",
        help="a spec's path or name (default: every spec of the project)",
    )


def add_selecting(
    parser: argparse.ArgumentParser, formats: tuple[str, ...] = ("text", "json")
) -> None:
    """Declare the options of `Selecting`."""
    add_specs(parser)
    add_emulate(parser)
    add_shared(parser, formats)


def add_emulate(parser: argparse.ArgumentParser) -> None:
    """Declare ``--emulate``."""
    parser.add_argument(
        "--emulate",
        action="store_true",
        help="use the local emulator and its separate state: no key, no network, no cost",
    )


def add_submitting(parser: argparse.ArgumentParser) -> None:
    """Declare the options of commands that submit: `run` and `apply`."""
    parser.add_argument(
        "--detach", action="store_true", help="submit and return; `collect` later, or `run` again"
    )
    parser.add_argument(
        "--max-usd",
        metavar="X",
        type=usd,
        help="refuse before submitting when the run may cost more than X USD",
    )
    parser.add_argument(
        "--assume-foreign",
        action="store_true",
        help="unknown batches in progress are somebody else's: do not wait for them",
    )
    add_retry_failed(parser)


def add_retry_failed(parser: argparse.ArgumentParser) -> None:
    """Declare ``--retry-failed``."""
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="ask again for items whose retries are spent",
    )


def usd(text: str) -> Decimal:
    """Read an amount of USD.

    Raises:
        argparse.ArgumentTypeError: not a finite amount of zero or more.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount in USD such as 2.50")
    return amount


def positive_seconds(text: str) -> float:
    """Read a number of seconds.

    Raises:
        argparse.ArgumentTypeError: not a number of zero or more.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def positive_number(text: str) -> float:
    """Read a number.

    Raises:
        argparse.ArgumentTypeError: not a finite number above zero.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return value


def positive_count(text: str) -> int:
    """Read a number of things.

    Raises:
        argparse.ArgumentTypeError: not a whole number of one or more.
    """
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of one or more")
    return number


def port(text: str) -> int:
    """Read a TCP port; 0 means any free one.

    Raises:
        argparse.ArgumentTypeError: not a whole number from 0 to 65535.
    """
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number <= _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to {_LAST_PORT}")
    return number
