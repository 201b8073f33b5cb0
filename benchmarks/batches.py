"""How long submitting and collecting take, beside the script a user would write with the SDK.

    python benchmarks/batches.py [--items 100000] [--rounds 3] [--alone]

Starts the emulator as a server of its own, generates items of about 600 bytes, and then, each in
processes of its own and interleaved:

* submit: read the items, make requests, create the batch (`batchspec run --detach`);
* collect: poll, read the results, write JSONL (`batchspec collect`).

Prints CPU seconds, wall seconds, peak memory and ratios to the SDK script; medians of the rounds.
The script's stages stream what they can. `SDK whole` is the script in one piece, as it is written
to have the answers in the order of the rows: it keeps both, and only its memory is compared. CPU is
also given without the time of the imports: of the SDK for the script, of the command's modules for
batchspec. With --alone the script is left out: for more items than fit into the one batch that it
makes.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPEC = """\
version: 1
name: bench
inputs: {table: items.csv, key: id}
model: claude-haiku-4-5
max_tokens: 64
canary: 0
prompt:
  system: You label support tickets by urgency. Answer with one word.
  user: "Ticket {{ id }} in {{ lang }}: {{ subject }}\\n\\n{{ body }}"
outputs: {path: out/bench.jsonl}
"""
SDK_SUBMIT = """\
import csv, pathlib
import anthropic
client = anthropic.Anthropic()
requests = []
for row in csv.DictReader(open("items.csv", newline="")):
    requests.append({"custom_id": f"row-{row['id']}", "params": {
        "model": "claude-haiku-4-5", "max_tokens": 64,
        "system": "You label support tickets by urgency. Answer with one word.",
        "messages": [{"role": "user", "content":
            f"Ticket {row['id']} in {row['lang']}: {row['subject']}\\n\\n{row['body']}"}]}})
batch = client.messages.batches.create(requests=requests)
pathlib.Path("batch-id").write_text(batch.id)
"""
SDK_COLLECT = """\
import json, pathlib, time
import anthropic
client = anthropic.Anthropic()
batch_id = pathlib.Path("batch-id").read_text()
while client.messages.batches.retrieve(batch_id).processing_status != "ended":
    time.sleep(0.2)
with open("out.jsonl", "w") as out:
    for line in client.messages.batches.results(batch_id):
        text = None
        if line.result.type == "succeeded":
            text = "".join(b.text for b in line.result.message.content if b.type == "text")
        out.write(json.dumps({"id": line.custom_id, "type": line.result.type, "text": text}))
        out.write("\\n")
"""


SDK_WHOLE = """\
import csv, json, time
import anthropic
client = anthropic.Anthropic()
rows = list(csv.DictReader(open("items.csv", newline="")))
requests = [{"custom_id": f"row-{row['id']}", "params": {
    "model": "claude-haiku-4-5", "max_tokens": 64,
    "system": "You label support tickets by urgency. Answer with one word.",
    "messages": [{"role": "user", "content":
        f"Ticket {row['id']} in {row['lang']}: {row['subject']}\\n\\n{row['body']}"}]}}
    for row in rows]
batch = client.messages.batches.create(requests=requests)
while client.messages.batches.retrieve(batch.id).processing_status != "ended":
    time.sleep(5)
answers = {line.custom_id: line.result for line in client.messages.batches.results(batch.id)}
with open("whole.jsonl", "w") as out:
    for row in rows:
        result = answers[f"row-{row['id']}"]
        text = None
        if result.type == "succeeded":
            text = "".join(b.text for b in result.message.content if b.type == "text")
        out.write(json.dumps({"id": row["id"], "type": result.type, "text": text}))
        out.write("\\n")
"""
IMPORTS = {
    "SDK submit": "import anthropic",
    "SDK collect": "import anthropic",
    "SDK whole": "import anthropic",
    "batchspec submit": "import batchspec.cli.commands.run, duckdb, httpx2",
    "batchspec collect": "import batchspec.cli.commands.collect, duckdb, httpx2",
}
"""What each stage imports before it begins."""
SECONDS = 60.0
"""From a batch's creation to its end; longer than submitting takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What one process took."""

    cpu: float
    wall: float
    peak_mb: float


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="leave the script out")
    options = parser.parse_args()
    found: dict[str, list[Measure]] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        generate(base / "items.csv", options.items)
        for number in range(options.rounds):
            for name in sorted(set(IMPORTS.values())):
                one = measure([sys.executable, "-c", name], base, {})
                found.setdefault(name, []).append(one)
            for name, one in round_of(base, number, alone=options.alone).items():
                found.setdefault(name, []).append(one)
    report(found, options.items)


def round_of(base: Path, number: int, *, alone: bool) -> dict[str, Measure]:
    """Measure all stages once, against a fresh server."""
    folder = base / f"round-{number}"
    folder.mkdir()
    shutil.copy(base / "items.csv", folder)
    (folder / "specs").mkdir()
    (folder / "specs/bench.yaml").write_text(SPEC)
    (folder / "batchspec.yaml").write_text("version: 1\nname: bench\n")
    program = [sys.executable, "-m", "batchspec"]
    with served(folder, SECONDS) as url:
        env = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "bench", "HOME": str(folder)}
        env |= {"BATCHSPEC_POLL_SECONDS": "0.2"}
        measures = {}
        if not alone:
            measures["SDK submit"] = measure([sys.executable, "-c", SDK_SUBMIT], folder, env)
        measures["batchspec submit"] = measure([*program, "run", "--detach"], folder, env)
        # The batches end, and the server writes their results, outside of what is measured.
        time.sleep(SECONDS)
        settle(url)
        if not alone:
            measures["SDK collect"] = measure([sys.executable, "-c", SDK_COLLECT], folder, env)
        measures["batchspec collect"] = measure([*program, "collect"], folder, env)
        if not alone:  # last: nobody else has to read its batch
            measures["SDK whole"] = measure([sys.executable, "-c", SDK_WHOLE], folder, env)
    written = rows_in(folder / "out/bench.jsonl")
    wanted = rows_in(folder / "items.csv") - 1
    if written != wanted or not (alone or rows_in(folder / "out.jsonl") == wanted):
        raise SystemExit(f"batchspec wrote {written} rows of {wanted}")
    shutil.rmtree(folder)
    return measures


def rows_in(path: Path) -> int:
    """Return the number of lines of a file."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


def settle(url: str) -> None:
    """Look at every batch once, so that the server has its results ready."""
    listing = f"{url}/v1/messages/batches?limit=1000"
    for batch in fetch(listing)["data"]:
        fetch(f"{url}/v1/messages/batches/{batch['id']}")


def fetch(url: str) -> Any:
    """Return the JSON at a URL of the emulator."""
    headers = {"Authorization": "Bearer bench", "anthropic-version": "2026-10-21"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        return json.load(answer)


@contextmanager
def served(folder: Path, delay: float) -> Iterator[str]:
    """Run the emulator, whose batches end so many seconds after their creation; yield its URL."""
    command = [sys.executable, "-m", "batchspec.emulator", "--port", "0", "--delay", str(delay)]
    command += ["--data-dir", str(folder / "server")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline() if server.stdout else ""
        yield line.split()[-1]
    finally:
        server.terminate()
        server.wait()


def measure(command: list[str], cwd: Path, env: dict[str, str]) -> Measure:
    """Run a command to its end and return what it took."""
    started = time.monotonic()
    environ, quiet = {**os.environ, **env}, subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=cwd, env=environ, stdout=quiet, stderr=quiet)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:4]} ended with {process.returncode}")
    return Measure(
        cpu=usage.ru_utime + usage.ru_stime,
        wall=time.monotonic() - started,
        peak_mb=usage.ru_maxrss / 1024,
    )


def generate(path: Path, items: int) -> None:
    """Write items of about 600 bytes."""
    draw = random.Random(7)
    words = [f"word{n}" for n in range(500)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "lang", "subject", "body"])
        for number in range(items):
            body = " ".join(draw.choices(words, k=75))
            writer.writerow([number, draw.choice(["en", "de"]), f"Subject {number}", body])


def report(found: dict[str, list[Measure]], items: int) -> None:
    """Print medians and ratios."""
    middle = {
        name: Measure(
            cpu=statistics.median(m.cpu for m in measures),
            wall=statistics.median(m.wall for m in measures),
            peak_mb=statistics.median(m.peak_mb for m in measures),
        )
        for name, measures in found.items()
    }
    imports = {name: middle[text].cpu for name, text in IMPORTS.items()}
    less = {name: one.cpu - imports[name] for name, one in middle.items() if name in imports}
    print(f"{items:,} items")
    print(f"{'':<18} {'CPU s':>8} {'wall s':>8} {'peak MB':>8} {'CPU less import':>16}")
    for name in filter(middle.__contains__, IMPORTS):
        one = middle[name]
        print(f"{name:<18} {one.cpu:8.1f} {one.wall:8.1f} {one.peak_mb:8.0f} {less[name]:16.1f}")
    for stage in ("submit", "collect"):
        if f"SDK {stage}" not in middle:
            continue
        ours, theirs = middle[f"batchspec {stage}"], middle[f"SDK {stage}"]
        without = less[f"batchspec {stage}"] / less[f"SDK {stage}"]
        print(
            f"{stage}: wall {ours.wall / theirs.wall:.2f}, CPU {ours.cpu / theirs.cpu:.2f}, "
            f"CPU less import {without:.2f}, "
            f"memory {ours.peak_mb / theirs.peak_mb:.2f} of the SDK script's, "
            f"{ours.peak_mb / middle['SDK whole'].peak_mb:.2f} of the whole script's"
        )


if __name__ == "__main__":
    main()
