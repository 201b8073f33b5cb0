"""Serve the local Message Batches emulator on loopback until Ctrl-C."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.cli.arguments import Shared, add_shared, port, positive_seconds
from batchspec.cli.result import Result
from batchspec.emulator.faults import FaultsError
from batchspec.emulator.replay import RecordingError
from batchspec.emulator.rules import AnswersError
from batchspec.emulator.server import RunningEmulator, start_emulator
from batchspec.emulator.settings import EmulatorSettings
from batchspec.errors import EnvironmentFailure, UsageFailure

if TYPE_CHECKING:
    import argparse

    from batchspec.cli.terminal import Terminal

EXAMPLES = """\
  batchspec emulator                                   a free port, answers that echo
  batchspec emulator --port 8000 --data-dir emulated   keep batches between starts
  batchspec emulator --answers answers.yaml --delay 5  your answers, after five seconds
  batchspec emulator --replay cassette.jsonl --replay-only  what `batchspec record` wrote
"""
_KEY = "emulator-needs-no-key"
_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
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
    add_shared(parser)


def run(args: Arguments, terminal: Terminal) -> Result:
    """Serve until interrupted.

    Raises:
        UsageFailure: the answers, faults or recording cannot be used.
        EnvironmentFailure: the port cannot be used.
    """
    with _start(args) as server:
        _announce(server.base_url, terminal)
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


def _file(option: str, path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise UsageFailure(f"{option} {path} is not a file.")
    return path


def _announce(base_url: str, terminal: Terminal) -> None:
    """Print what another terminal has to set; progress and hints go to stderr."""
    if terminal.format == "json":
        terminal.data_json({"base_url": base_url, "api_key": _KEY})
        return
    terminal.data(f"export ANTHROPIC_BASE_URL={base_url}\nexport ANTHROPIC_API_KEY={_KEY}\n")
    terminal.note(f"The emulator listens on {base_url}; Ctrl-C ends it.")
