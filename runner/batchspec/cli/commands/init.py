"""Write a small working project: a spec, its prompt, its response schema and twelve tickets."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.cli.arguments import Shared, add_shared
from batchspec.cli.result import Result
from batchspec.errors import UsageFailure
from batchspec.report.figures import count

if TYPE_CHECKING:
    import argparse

    from batchspec.cli.terminal import Terminal

EXAMPLES = """\
  batchspec init                 into the current folder
  batchspec init demo            into demo/, made when missing
"""
STARTER = {
    "batchspec.yaml": "batchspec.yaml",
    "specs/hello.yaml": "specs/hello.yaml",
    "prompts/triage.md": "prompts/triage.md",
    "schemas/triage.json": "schemas/triage.json",
    "data/tickets.csv": "data/tickets.csv",
    ".gitignore": "gitignore",
}
"""Path in the new project and in the package, where a dot file would take effect itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments(Shared):
    """What `init` takes."""

    folder: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        type=Path,
        default=Path(),
        help="folder of the project (default: the current one)",
    )
    add_shared(parser)


def run(args: Arguments, _terminal: Terminal) -> Result:
    """Write the starter's files, none of which may exist.

    Raises:
        UsageFailure: a file is in the way, or DIR is not a folder.
    """
    _refuse_overwriting(args.folder)
    source = files("batchspec.cli") / "starter"
    for target, name in STARTER.items():
        path = args.folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((source / name).read_bytes())
    return Result(
        text=_text(args.folder),
        json={"folder": args.folder.as_posix(), "files": list(STARTER)},
    )


def _refuse_overwriting(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageFailure(f"{folder} is a file, so no project can be written into it.")
    taken = [name for name in STARTER if (folder / name).exists()]
    if taken:
        raise UsageFailure(
            f"{folder}/ already has {', '.join(taken)}; nothing was written, so that no work "
            "of yours is lost.",
            hint="Choose another folder: `batchspec init DIR`.",
        )


def _text(folder: Path) -> str:
    enter = "" if folder == Path() else f"  cd {folder}\n"
    return (
        f"Wrote {count(len(STARTER), 'file')} to {folder}/:\n"
        + "".join(f"  {name}\n" for name in STARTER)
        + "\nNext:\n"
        + enter
        + "  batchspec plan --emulate     what would be submitted, and its price\n"
        "  batchspec run --emulate      the whole run, without a key or a network\n"
        "  batchspec run                the real thing, with ANTHROPIC_API_KEY set\n"
    )
