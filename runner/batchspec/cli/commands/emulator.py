"""Serve the local Message Batches emulator on loopback until Ctrl-C."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.cli.arguments import (
    Shared,
    add_shared,
    port,
    positive_count,
    positive_number,
    positive_seconds,
)
from batchspec.cli.result import Result
from batchspec.emulator.faults import FaultsError
from batchspec.emulator.replay import RecordingError
from batchspec.emulator.rules import AnswersError
from batchspec.emulator.server import RunningEmulator, start_emulator
from batchspec.emulator.settings import EmulatorSettings, Limits, Unknowns, keys_of
from batchspec.errors import EnvironmentFailure, UsageFailure
from batchspec.records import frozen

if TYPE_CHECKING:
    from batchspec.cli.terminal import Terminal

EXAMPLES = """\
  batchspec emulator                                   a free port, answers that echo
  batchspec emulator --port 8000 --data-dir emulated   keep batches between starts
  batchspec emulator --answers answers.yaml --delay 5  your answers, after five seconds
  batchspec emulator --delay 600 --speed 60            ten minutes that take ten seconds
  batchspec emulator --rpm 50 --queue 1000             with rate limits
  batchspec emulator --replay cassette.jsonl --replay-only  what `batchspec record` wrote
"""
_ANY_KEY = "emulator-needs-no-key"
_HOUR = 3600.0


@frozen
class Arguments(Shared):
    """What `emulator` takes."""

    port: int
    """0: any free port."""
    data_dir: Path
    answers: Path | None
    faults: Path | None
    replay: tuple[Path, ...]
    replay_only: bool
    delay: float
    """Seconds from creation to the end of a batch."""
    cancel_delay: float
    """Seconds a cancelled batch stays ``canceling`` at most."""
    seed: int
    speed: float
    """Emulated seconds per real second."""
    stepped: bool
    """Time moves only through the admin endpoint."""
    key: tuple[str, ...]
    """``KEY`` or ``KEY=WORKSPACE``; empty: any key."""
    rpm: int | None
    """Calls per minute to the batch endpoints; None: no limit."""
    queue: int | None
    """Requests that may wait; None: no limit."""
    unknown: tuple[str, ...]
    """``NAME=VALUE``: choices where the real behaviour is not known."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--port", metavar="PORT", type=port, default=0, help="port (default: any free port)"
    )
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        type=Path,
        default=Path(".batchspec/emulator"),
        help="folder of its batches (default: .batchspec/emulator)",
    )
    parser.add_argument("--answers", metavar="FILE", type=Path, help="YAML of matchers and answers")
    parser.add_argument("--faults", metavar="FILE", type=Path, help="YAML of faults to inject")
    parser.add_argument(
        "--replay",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="recorded answers, of `batchspec record`; may be given several times",
    )
    parser.add_argument(
        "--replay-only",
        action="store_true",
        help="a question that was not recorded is an errored line, and no made-up answer",
    )
    parser.add_argument(
        "--delay",
        metavar="SECONDS",
        type=positive_seconds,
        default=0.0,
        help="time from creation to the end of a batch (default: 0)",
    )
    _add_time(parser)
    _add_limits(parser)
    add_shared(parser)


def _add_time(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cancel-delay",
        metavar="SECONDS",
        type=positive_seconds,
        default=0.0,
        help="time a cancelled batch stays canceling at most (default: 0)",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=int,
        default=0,
        help="varies answers, the order of results and every choice by rate (default: 0)",
    )
    parser.add_argument(
        "--speed",
        metavar="X",
        type=positive_number,
        default=1.0,
        help="emulated seconds per real second (default: 1)",
    )
    parser.add_argument(
        "--stepped",
        action="store_true",
        help="time stands still, and moves only through POST /_emulator/clock",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key",
        metavar="KEY[=WORKSPACE]",
        action="append",
        default=[],
        help="a key to accept, bound to its workspace; may be given several times (default: any)",
    )
    parser.add_argument(
        "--rpm",
        metavar="N",
        type=positive_count,
        help="calls per minute to the batch endpoints (default: no limit)",
    )
    parser.add_argument(
        "--queue",
        metavar="N",
        type=positive_count,
        help="requests that may wait in the processing queue (default: no limit)",
    )
    parser.add_argument(
        "--unknown",
        metavar="NAME=VALUE",
        type=_choice,
        action="append",
        default=[],
        help="a choice where the real behaviour is not known; the reference lists them",
    )


def run(args: Arguments, terminal: Terminal) -> Result:
    """Serve until interrupted.

    Raises:
        UsageFailure: the answers, faults or recording cannot be used.
        EnvironmentFailure: the port cannot be used.
    """
    with _start(args) as server:
        key = args.key[0].partition("=")[0] if args.key else _ANY_KEY
        _announce(server.base_url, key, terminal)
        try:
            while True:
                terminal.clock.sleep(_HOUR)
        except KeyboardInterrupt:
            terminal.note("The emulator stops; its batches stay in its data folder.")
    return Result()


def _start(args: Arguments) -> RunningEmulator:
    settings = EmulatorSettings(
        data_dir=args.data_dir,
        answers=_file("--answers", args.answers),
        faults=_file("--faults", args.faults),
        replay=tuple(path for path in args.replay if _file("--replay", path)),
        replay_only=args.replay_only,
        delay_seconds=args.delay,
        cancel_seconds=args.cancel_delay,
        seed=args.seed,
        speed=args.speed,
        stepped=args.stepped,
        keys=keys_of(args.key) if args.key else None,
        limits=Limits(requests_per_minute=args.rpm, queue_requests=args.queue),
        unknowns=Unknowns.of(args.unknown),
    )
    try:
        return start_emulator(settings, port=args.port)
    except (AnswersError, FaultsError, RecordingError) as error:
        raise UsageFailure(str(error)) from error
    except OSError as error:
        raise EnvironmentFailure(
            f"The emulator cannot start on port {args.port}: {error.strerror}.",
            hint="Choose another port, or leave --port out for any free one.",
        ) from error


def _choice(text: str) -> str:
    """Let a choice pass that there is.

    Raises:
        argparse.ArgumentTypeError: its name or its value is not known.
    """
    try:
        Unknowns.of([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _file(option: str, path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise UsageFailure(f"{option} {path} is not a file.")
    return path


def _announce(base_url: str, key: str, terminal: Terminal) -> None:
    """Print what another terminal has to set; progress and hints go to stderr."""
    if terminal.format == "json":
        terminal.data_json({"base_url": base_url, "api_key": key})
        return
    terminal.data(f"export ANTHROPIC_BASE_URL={base_url}\nexport ANTHROPIC_API_KEY={key}\n")
    terminal.note(f"The emulator listens on {base_url}; Ctrl-C ends it.")
