"""A reader at a terminal, who types what a page shows and compares what comes out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(
    r"^(?:<!-- file: (?P<file>\S+) -->\n)?"
    r"```(?P<kind>\w*)(?P<wrong> mistaken)?\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
CODE = "echo $?"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block."""

    kind: str
    """The word after the fence: yaml, console, …; may be empty."""
    text: str
    file: str | None
    """The project file that it shows."""
    mistaken: bool
    """It shows mistakes on purpose: ``mistaken`` stands after its kind."""
    line: int
    """Where it begins in its page."""


def fenced(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page in order."""
    for match in FENCE.finditer(text):
        yield Block(
            kind=match["kind"],
            text=match["text"],
            file=match["file"],
            mistaken=match["wrong"] is not None,
            line=text.count("\n", 0, match.start()) + 1,
        )


@dataclass(kw_only=True)
class Shell:
    """A reader at a terminal: a folder, an environment, and the exit code of the last command."""

    folder: Path
    environ: dict[str, str]
    last: int = 0
    story: list[str] = field(default_factory=list)

    def run(self, command: str) -> tuple[str, str]:
        """Run one command line; return stdout and stderr."""
        if command == CODE:
            return f"{self.last}\n", ""
        if command.startswith("cd "):
            self.folder = (self.folder / command[3:]).resolve()
            return "", ""
        if command.startswith("export "):
            name, _, value = command[7:].partition("=")
            self.environ[name] = value
            return "", ""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        self.last = done.returncode
        self.story += [f"$ {command}  # {done.returncode}", done.stdout, done.stderr]
        return done.stdout, done.stderr


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Yield the commands of a console block, each with the output shown below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def pattern(shown: str) -> re.Pattern[str]:
    """Return what fits the output that a page shows: ``…`` stands for anything left out."""
    lines = [
        "(?:.*\n)?" if line == "…" else re.escape(line).replace("…", "[^\n]*") + "\n"
        for line in shown.rstrip("\n").split("\n")
    ]
    return re.compile("".join(lines), re.DOTALL)


def play(name: str, blocks: Iterable[Block], shell: Shell) -> int:
    """Write the files and run the commands of a page; return how many commands it has."""
    count = 0
    for block in blocks:
        if block.file is not None:
            target = shell.folder / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        if block.kind != "console":
            continue
        found = list(steps(block.text))
        for (command, shown), (after, _) in zip(found, [*found[1:], ("", "")], strict=True):
            out, err = shell.run(command)
            count += 1
            place = f"{name}:{block.line}: $ {command}\n" + "\n".join(shell.story[-6:])
            assert shell.last == 0 or CODE in (after, command), place
            fits = pattern(shown).fullmatch
            seen = (out, err, out + err, err + out)
            assert not shown.strip() or any(fits(text.rstrip("\n") + "\n") for text in seen), place
    return count
