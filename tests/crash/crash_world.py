"""The crash suite: the real program, killed; the emulator's own record says what was paid."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchspec.emulator.server import EmulatorSettings, RunningEmulator, start_emulator

ITEMS = 12
SPEC = """\
version: 1
name: crash
inputs:
  rows: [{rows}]
  key: id
model: claude-haiku-4-5
max_tokens: 20
prompt: {{user: "Say {{{{ word }}}}."}}
batch: {{max_requests: {chunk}}}
outputs: {{path: out/crash.jsonl}}
"""
KILLED = -signal.SIGKILL
DONE = 0


class Zygote:
    """A process that forks the program on demand."""

    def __init__(self) -> None:
        path = Path(__file__).with_name("zygote.py")
        self._process = subprocess.Popen(
            [sys.executable, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, order: dict[str, Any]) -> int:
        """Fork the program; return its pid."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def wait(self) -> int:
        """Wait for the program forked last; return its exit code, negative for a signal."""
        status = int(self._line())
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@dataclass(frozen=True, kw_only=True)
class World:
    """One project, one emulated API, and the means to kill and to judge."""

    root: Path
    server: RunningEmulator
    zygote: Zygote
    environ: dict[str, str] = field(default_factory=dict)
    items: int = ITEMS
    figures: Counter[str] = field(default_factory=Counter)
    """What was tried and found, for the summary of `make crash`."""

    @property
    def log(self) -> Path:
        """What all runs printed."""
        return self.root / "log.txt"

    def order(self, *args: str, env: dict[str, str] | None = None) -> dict[str, Any]:
        """Return what the zygote needs to know of a command line."""
        return {
            "args": list(args),
            "env": self.environ | (env or {}),
            "cwd": str(self.root),
            "out": str(self.log),
        }

    def run(self, *args: str, env: dict[str, str] | None = None) -> int:
        """Run a command line to its end; return its exit code."""
        self.zygote.start(self.order(*(args or ("run",)), env=env))
        return self._ended()

    def run_and_kill(self, seconds: float) -> int:
        """Run, and kill after so many seconds unless it has ended by itself."""
        pid = self.zygote.start(self.order("run"))
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return self._ended()

    def _ended(self) -> int:
        code = self.zygote.wait()
        self.figures["kills"] += code == KILLED
        return code

    def fault(self, **fault: Any) -> None:
        """Set one fault of the emulator's menu."""
        self._tell("faults", fault)

    def advance(self, seconds: float) -> None:
        """Move the emulator's clock."""
        self._tell("clock", {"advance_seconds": seconds})

    def _tell(self, what: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.server.base_url}/_emulator/{what}",
            data=json.dumps(body).encode(),
            method="POST",
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            answer.read()

    def paid_lines(self) -> list[dict[str, Any]]:
        """Return the emulator's record of every request that was paid."""
        with urllib.request.urlopen(f"{self.server.base_url}/_emulator/paid") as answer:  # noqa: S310 - loopback
            return [json.loads(line) for line in answer.read().splitlines()]

    def paid(self) -> Counter[str]:
        """Return how often each question was paid, by the hash in its custom_id."""
        return Counter(line["custom_id"].split("-")[2] for line in self.paid_lines())

    def output(self) -> bytes:
        """Return the output's bytes."""
        return (self.root / "out/crash.jsonl").read_bytes()

    def answered(self) -> int:
        """Return how many items are answered in the output."""
        return self.output().count(b'"status":"succeeded"')

    def story(self) -> str:
        """Return the end of what the runs printed, for a failing test."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]

    def judge(self, expected: bytes) -> None:
        """Assert that each question was paid exactly once and each answer stands in the output."""
        paid = self.paid()
        self.figures["questions"] += self.items
        self.figures["double payments"] += sum(paid.values()) - len(paid)
        self.figures["lost answers"] += self.items - self.answered()
        assert len(paid) == self.items, self.story()
        assert set(paid.values()) == {1}, f"{paid}\n{self.story()}"
        assert self.output() == expected, self.story()


class Worlds:
    """Makes worlds and closes their servers."""

    def __init__(self, base: Path, zygote: Zygote) -> None:
        self._base = base
        self._zygote = zygote
        self._count = 0
        self._open: list[RunningEmulator] = []
        self.figures: Counter[str] = Counter()
        """The sum over all worlds of the test."""

    def make(self, *, chunk: int = 5, items: int = ITEMS, **settings: Any) -> World:
        """Return a new project with an API of its own."""
        self._count += 1
        root = self._base / f"world-{self._count}"
        root.mkdir()
        server = start_emulator(EmulatorSettings(data_dir=root / "server", **settings))
        self._open.append(server)
        rows = ", ".join(f"{{id: {n}, word: w{n}}}" for n in range(items))
        (root / "specs").mkdir()
        (root / "specs/crash.yaml").write_text(SPEC.format(rows=rows, chunk=chunk))
        (root / "batchspec.yaml").write_text("version: 1\nname: crash\n")
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(root / "home"),
            "LANG": "C.UTF-8",
            "ANTHROPIC_BASE_URL": server.base_url,
            "ANTHROPIC_API_KEY": "canary-key-of-the-crash-suite",
            "BATCHSPEC_POLL_SECONDS": "0.05",
            "BATCHSPEC_SETTLE_SECONDS": "0.3",
        }
        self.figures["worlds"] += 1
        return World(
            root=root,
            server=server,
            zygote=self._zygote,
            environ=environ,
            items=items,
            figures=self.figures,
        )

    def close(self, world: World) -> None:
        """Stop a world's server before the test ends."""
        world.server.close()
        self._open.remove(world.server)

    def close_all(self) -> None:
        """Stop every server."""
        for server in self._open:
            server.close()
