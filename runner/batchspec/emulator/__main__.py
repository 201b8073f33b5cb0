"""``python -m batchspec.emulator``: an emulator in the foreground."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from batchspec.emulator.faults import FaultsError
from batchspec.emulator.replay import RecordingError
from batchspec.emulator.rules import AnswersError
from batchspec.emulator.server import serve
from batchspec.emulator.settings import EmulatorSettings, Limits, Unknowns, keys_of


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="batchspec.emulator", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    add("--data-dir", type=Path, required=True, help="folder of the store")
    add("--answers", type=Path, help="YAML of rules and answers")
    add("--faults", type=Path, help="YAML of faults")
    add("--replay", type=Path, action="append", default=[], help="recorded results (JSON lines)")
    add("--replay-only", action="store_true", help="what is not recorded is an errored line")
    add("--delay", type=float, default=0.0, help="seconds from creation to end")
    add("--cancel-delay", type=float, default=0.0, help="seconds a batch stays canceling")
    add("--seed", type=int, default=0, help="varies answers and choices")
    add("--speed", type=float, default=1.0, help="emulated seconds per real second")
    add("--stepped", action="store_true", help="time moves only through POST /_emulator/clock")
    add(
        "--key",
        action="append",
        metavar="KEY[=WORKSPACE]",
        help="an API key to accept; without any, every key is accepted",
    )
    add("--placeholders", action="store_true", help="know the ids of the SDKs' own test suites")
    add("--rpm", type=int, help="HTTP requests per minute over the batch endpoints")
    add("--queue", type=int, help="requests that may wait in the processing queue")
    add(
        "--unknown",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a choice where the real behaviour is not known; see the reference",
    )
    return parser


def _settings(arguments: argparse.Namespace) -> EmulatorSettings:
    return EmulatorSettings(
        data_dir=arguments.data_dir,
        answers=arguments.answers,
        faults=arguments.faults,
        replay=tuple(arguments.replay),
        replay_only=arguments.replay_only,
        delay_seconds=arguments.delay,
        cancel_seconds=arguments.cancel_delay,
        seed=arguments.seed,
        speed=arguments.speed,
        stepped=arguments.stepped,
        placeholders=arguments.placeholders,
        keys=keys_of(arguments.key) if arguments.key else None,
        limits=Limits(requests_per_minute=arguments.rpm, queue_requests=arguments.queue),
        unknowns=Unknowns.of(arguments.unknown),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run it; return the exit code."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    try:
        serve(
            _settings(parsed),
            parsed.host,
            parsed.port,
            lambda url: print(f"emulator listening on {url}", flush=True),
        )
    except (AnswersError, FaultsError, RecordingError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
