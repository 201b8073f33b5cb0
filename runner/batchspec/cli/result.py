"""What a command returns; the boundary prints it and turns it into an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchspec.cli.exits import DONE, PROBLEMS
from batchspec.records import frozen

if TYPE_CHECKING:
    from batchspec.problems import Problem


@frozen
class Result:
    """The end of a command."""

    exit_code: int = DONE
    """One of `cli.exits`."""
    text: str = ""
    """Data for stdout in text and Markdown form, with its final line break."""
    json: Any = None
    """Data for stdout with ``--format json``: a value, or JSON text, whole or as an iterator of its
    pieces, that is printed as it is."""
    problems: tuple[Problem, ...] = ()
    """Problems beside the data: stderr in text form; the data itself in JSON when ``json`` is
    None."""


def stopped_by(problems: tuple[Problem, ...]) -> Result:
    """Return the end of a command that problems of the specs kept from working."""
    return Result(exit_code=PROBLEMS, problems=problems)
