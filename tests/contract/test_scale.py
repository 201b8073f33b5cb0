"""A full batch streams through in bounded memory."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchspec.emulator.probe import BATCHES, Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 100_000
TEXT = "lorem ipsum dolor sit amet " * 70
MOST_MEGABYTES = 160


def pieces() -> Iterator[bytes]:
    """Yield a create body of 100,000 requests and about 200 MB."""
    yield b'{"requests":['
    for start in range(0, COUNT, 1000):
        block = ",".join(
            f'{{"custom_id":"row-{number}","params":{{"model":"claude-haiku-4-5","max_tokens":9,'
            f'"messages":[{{"role":"user","content":"{number} {TEXT}"}}]}}}}'
            for number in range(start, start + 1000)
        )
        yield (block if start == 0 else "," + block).encode()
    yield b"]}"


def peak_megabytes(process: subprocess.Popen[str]) -> float:
    """Return the most memory a process has held."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_full_batch_needs_little_memory(tmp_path: Path) -> None:
    """200 MB in, 100,000 lines out, without holding either."""
    command = [sys.executable, "-m", "batchspec.emulator", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            probe = Probe(process.stdout.readline().split()[-1], timeout=120)
            host = probe.base_url.removeprefix("http://")
            connection = http.client.HTTPConnection(host, timeout=120)
            headers = {**probe.headers, "content-type": "application/json"}
            connection.request("POST", BATCHES, pieces(), headers, encode_chunked=True)
            batch = json.loads(connection.getresponse().read())
            assert batch["request_counts"]["processing"] == COUNT
            assert probe.batch(batch["id"])["request_counts"]["succeeded"] == COUNT
            connection.request("GET", f"{BATCHES}/{batch['id']}/results", headers=headers)
            response = connection.getresponse()
            assert sum(1 for _ in response) == COUNT
            connection.close()
            assert peak_megabytes(process) < MOST_MEGABYTES
        finally:
            process.kill()
