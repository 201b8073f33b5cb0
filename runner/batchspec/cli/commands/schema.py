"""Print a published JSON Schema: of specs, projects, policies, plans, manifests and more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchspec.cli.arguments import Shared, add_shared
from batchspec.cli.result import Result
from batchspec.errors import EnvironmentFailure
from batchspec.records import frozen
from batchspec.spec.schema import schema_root

if TYPE_CHECKING:
    import argparse

    from batchspec.cli.terminal import Terminal

EXAMPLES = """\
  batchspec schema > spec.schema.json       for an editor: # yaml-language-server: $schema=…
  batchspec schema output-row               what a line of an output may be
"""
NAMES = ("spec", "project", "policy", "plan", "manifest", "output-row", "models")


@frozen
class Arguments(Shared):
    """What `schema` takes."""

    name: str
    """One of `NAMES`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        choices=NAMES,
        default="spec",
        help=f"{', '.join(NAMES[:-1])} or {NAMES[-1]} (default: spec)",
    )
    add_shared(parser)


def run(args: Arguments, _terminal: Terminal) -> Result:
    """Return the schema's text, byte for byte as published.

    Raises:
        EnvironmentFailure: the installation lacks its schemas.
    """
    source = schema_root() / f"{args.name}.schema.json"
    if not source.is_file():
        raise EnvironmentFailure(
            f"This installation of batchspec has no {args.name} schema, so it is not complete.",
            hint="Install batchspec again.",
        )
    text = source.read_text(encoding="utf-8")
    return Result(text=text, json=text)
