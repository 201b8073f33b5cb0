"""Functional tests read like a session: a project from files, the program, what it left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from batchspec.emulator.server import EmulatorSettings, RunningEmulator, start_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return stdout as JSON."""
        return json.loads(self.out)


class RunningCommand(subprocess.Popen[str]):
    """A program that runs beside the test, and is killed where a ``with`` is left by a failure.

    Without that the failure would wait for the program's end, which may never come.
    """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the pipes and wait for the end."""
        if kind is not None:
            self.kill()
        super().__exit__(kind, value, traceback)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A project's folder and the program run in it."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    """The whole environment of the program; tests may add to it."""

    def batchspec(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 120,
    ) -> Finished:
        """Run a command line to its end."""
        done = subprocess.run(
            self.command(*args),
            cwd=cwd or self.root,
            env=self.environ | dict(env or {}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        return Finished(code=done.returncode, out=done.stdout, err=done.stderr)

    def start(self, *args: str | Path, env: Mapping[str, str] | None = None) -> RunningCommand:
        """Start a command line and leave it running; the test ends it."""
        return RunningCommand(
            self.command(*args),
            cwd=self.root,
            env=self.environ | dict(env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    @staticmethod
    def command(*args: str | Path) -> list[str]:
        """Return the program's command line."""
        return [sys.executable, "-m", "batchspec", *map(str, args)]

    def write(self, path: str, text: str | bytes) -> Path:
        """Write a file below the project."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        return target

    def read(self, path: str) -> str:
        """Return a file's text."""
        return (self.root / path).read_text(encoding="utf-8")

    def rows(self, path: str) -> list[Any]:
        """Return a JSONL file's values."""
        return [json.loads(line) for line in self.read(path).splitlines()]

    def tree(self) -> dict[str, bytes]:
        """Return every file outside ``.batchspec/`` with its bytes; receipts tell times, so not."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
            and ".batchspec" not in path.relative_to(self.root).parts
            and not path.name.endswith(".receipt.json")
        }


class MakeProject(Protocol):
    """Makes a project's folder."""

    def __call__(self, files: Mapping[str, str | bytes] | None = None) -> Folder:
        """Write the files into a new folder."""


class MakeEmulator(Protocol):
    """Starts emulators."""

    def __call__(self, **settings: Any) -> RunningEmulator:
        """Start one; the arguments are fields of `EmulatorSettings`."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Return an environment without keys, with a home of its own and quick polling."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "BATCHSPEC_POLL_SECONDS": "0.05",
        "BATCHSPEC_SETTLE_SECONDS": "0.2",
    }


@pytest.fixture
def project(tmp_path: Path, environ: dict[str, str]) -> MakeProject:
    """Make projects from a mapping of paths to texts; each gets a folder of its own."""
    made: list[Folder] = []

    def make(files: Mapping[str, str | bytes] | None = None) -> Folder:
        root = tmp_path / f"project-{len(made)}"
        root.mkdir()
        folder = Folder(root=root, environ=dict(environ))
        for path, text in (files or {}).items():
            folder.write(path, text)
        made.append(folder)
        return folder

    return make


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[MakeEmulator]:
    """Start emulators in this process; all are closed after the test."""
    running: list[RunningEmulator] = []

    def start(**settings: Any) -> RunningEmulator:
        settings.setdefault("data_dir", tmp_path / f"emulator-{len(running)}")
        running.append(start_emulator(EmulatorSettings(**settings)))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture
def served(project: MakeProject, emulator: MakeEmulator) -> Folder:
    """Make an empty project whose API is an emulator with default settings."""
    folder = project()
    folder.environ["ANTHROPIC_BASE_URL"] = emulator().base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    return folder
