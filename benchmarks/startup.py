"""How long the program takes to start, beside an empty Python program.

    python benchmarks/startup.py [--rounds 9]

Measures, each in processes of its own and interleaved, CPU seconds, wall seconds and peak memory of

* python -c pass
* batchspec --help
* batchspec validate, of one spec of about 40 lines
* batchspec plan, of the same spec and ten items, all of them new

and prints medians, and the ratio of the wall times to that of the empty program.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPEC = ROOT / "specs/classify-packages.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What one process cost."""

    cpu: float
    wall: float
    peak_mb: float


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    program = [sys.executable, "-m", "batchspec"]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "--help": [*program, "--help"],
        "validate": [*program, "validate", "classify-packages"],
        "plan": [*program, "plan", "classify-packages"],
    }
    with tempfile.TemporaryDirectory() as folder:
        project = prepared(Path(folder))
        found: dict[str, list[Measure]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                found[name].append(measure(command, project))
    report(found)


def prepared(folder: Path) -> Path:
    """Return a project with the quickstart's spec and ten of its items."""
    shutil.copytree(SPEC.parent, folder / "specs")
    shutil.copy(ROOT / "batchspec.yaml", folder)
    items = folder / "specs/data/packages.csv"
    with items.open(newline="") as file:
        rows = list(islice(csv.reader(file), 11))
    with items.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


def measure(command: list[str], cwd: Path) -> Measure:
    """Run a command to its end and return what it took."""
    environ = os.environ | {"PYTHONPATH": str(ROOT / "runner"), "HOME": str(cwd)}
    started, quiet = time.monotonic(), subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=cwd, env=environ, stdout=quiet, stderr=quiet)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[1:]} ended with {process.returncode}")
    return Measure(
        cpu=usage.ru_utime + usage.ru_stime,
        wall=time.monotonic() - started,
        peak_mb=usage.ru_maxrss / 1024,
    )


def report(found: dict[str, list[Measure]]) -> None:
    """Print medians and ratios."""
    base = statistics.median(one.wall for one in found["python -c pass"])
    print(f"{'':<16} {'CPU s':>7} {'wall s':>7} {'peak MB':>8} {'wall ratio':>11}")
    for name, measures in found.items():
        cpu = statistics.median(one.cpu for one in measures)
        wall = statistics.median(one.wall for one in measures)
        peak = statistics.median(one.peak_mb for one in measures)
        print(f"{name:<16} {cpu:7.2f} {wall:7.2f} {peak:8.0f} {wall / base:11.1f}")


if __name__ == "__main__":
    main()
