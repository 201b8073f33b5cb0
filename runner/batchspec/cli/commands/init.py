"""Write a small working project: the starter with twelve tickets, or one of the examples.

With --ci, write the files that run a project in CI, into a repository that may have others.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from batchspec.cli.arguments import Shared, add_shared
from batchspec.cli.result import Result
from batchspec.errors import UsageFailure
from batchspec.records import frozen
from batchspec.report.figures import count, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

    from batchspec.cli.terminal import Terminal

EXAMPLES = """\
  batchspec init                                into the current folder
  batchspec init demo                           into demo/, made when missing
  batchspec init --template extraction demo     one of the examples
  batchspec init --list                         the templates, and what each shows
  batchspec init --ci github                    workflows that plan, apply and collect
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

CI_FILES = {
    "github": {
        ".github/actions/batchspec/action.yml": "github/action.yml",
        ".github/workflows/batchspec-plan.yml": "github/workflows/batchspec-plan.yml",
        ".github/workflows/batchspec-apply.yml": "github/workflows/batchspec-apply.yml",
        ".github/workflows/batchspec-collect.yml": "github/workflows/batchspec-collect.yml",
    },
    "gitlab": {"ci/batchspec.gitlab-ci.yml": "gitlab/batchspec.gitlab-ci.yml"},
}
"""By CI system: path in the repository, and below ``ci/`` of this one."""

_LESSON = re.compile(r"^\| \[([a-z-]+)\]\(\1/\) \| (.+) \|$", re.MULTILINE)
"""A row of the table in ``examples/README.md``."""

_NOT_COPIED = frozenset(("expected", "out", ".batchspec", "node_modules"))
"""Parts of an example that belong to its test or to a run of it."""


@frozen
class Arguments(Shared):
    """What `init` takes."""

    folder: Path
    template: str | None
    ci: str | None
    """The CI system whose files are written instead of a project."""
    list: bool


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
    parser.add_argument(
        "--template", metavar="NAME", help="begin with this example instead of the starter"
    )
    parser.add_argument(
        "--ci", choices=tuple(CI_FILES), help="write the files that run a project in this CI system"
    )
    parser.add_argument(
        "--list", action="store_true", help="print the templates and what they show; write nothing"
    )
    add_shared(parser)


def run(args: Arguments, _terminal: Terminal) -> Result:
    """Write the project's files, none of which may exist.

    Raises:
        UsageFailure: a file is in the way, DIR is not a folder, or there is no such template.
    """
    if args.list:
        return _listed()
    source = _source(args)
    _refuse_overwriting(args.folder, source)
    for target, file in source.items():
        path = args.folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read_bytes())
    return Result(
        text=_text(args.folder, source) + (_NEXT if args.ci is None else _NEXT_CI),
        json={"folder": args.folder.as_posix(), "files": list(source)},
    )


def examples_root() -> Traversable:
    """Return ``examples/``: beside the code in a wheel, at the repository root in a checkout."""
    return _beside("examples")


def _beside(name: str) -> Traversable:
    packaged = files("batchspec") / name
    if packaged.is_dir():
        return packaged
    return Path(__file__).resolve().parents[4] / name


def _source(args: Arguments) -> dict[str, Traversable]:
    """Return what is written: path in the folder, and the file that goes there."""
    if args.ci is not None:
        if args.template is not None:
            raise UsageFailure("`init` takes --template or --ci, not both.")
        root = _beside("ci")
        return {target: root / name for target, name in CI_FILES[args.ci].items()}
    return _starter() if args.template is None else _template(args.template)


def template_names() -> tuple[str, ...]:
    """Return the names of the examples that are projects, sorted."""
    root = examples_root()
    if not root.is_dir():
        return ()
    return tuple(
        sorted(folder.name for folder in root.iterdir() if (folder / "batchspec.yaml").is_file())
    )


def _starter() -> dict[str, Traversable]:
    source = files("batchspec.cli") / "starter"
    return {target: source / name for target, name in STARTER.items()}


def _template(name: str) -> dict[str, Traversable]:
    names = template_names()
    if name not in names:
        raise UsageFailure(
            f"There is no template {name!r}; there are {', '.join(names)}.",
            hint="`batchspec init` without --template writes the starter.",
        )
    found = dict(_files(examples_root() / name, ""))
    found.setdefault(".gitignore", files("batchspec.cli") / "starter" / "gitignore")
    return found


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name in _NOT_COPIED:
            continue
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry


def _refuse_overwriting(folder: Path, source: Mapping[str, Traversable]) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageFailure(f"{folder} is a file, so no project can be written into it.")
    taken = [name for name in source if (folder / name).exists()]
    if taken:
        raise UsageFailure(
            f"{folder}/ already has {', '.join(taken)}; nothing was written, so that no work "
            "of yours is lost.",
            hint="Choose another folder: `batchspec init DIR`.",
        )


def _listed() -> Result:
    names = template_names()
    shown = _lessons()
    rows = table([(name, shown.get(name, "")) for name in names])
    return Result(
        text="".join(f"{row.rstrip()}\n" for row in rows),
        json={"templates": list(names), "lessons": {name: shown.get(name) for name in names}},
    )


def _lessons() -> dict[str, str]:
    """Return what each template shows, as the table of the examples' own page says it."""
    page = examples_root() / "README.md"
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    return {name: shown.replace("`", "") for name, shown in _LESSON.findall(text)}


def _text(folder: Path, source: Mapping[str, Traversable]) -> str:
    enter = "" if folder == Path() else f"  cd {folder}\n"
    return (
        f"Wrote {count(len(source), 'file')} to {folder}/:\n"
        + "".join(f"  {name}\n" for name in source)
        + "\nNext:\n"
        + enter
    )


_NEXT = """\
  batchspec plan --emulate     what would be submitted, and its price
  batchspec run --emulate      the whole run, without a key or a network
  batchspec run                the real thing, with ANTHROPIC_API_KEY set
"""
_NEXT_CI = """\
  Read them, and set the ceiling in USD. The page "Run in CI" of batchspec's documentation says
  which secrets and which protection they need.
"""
