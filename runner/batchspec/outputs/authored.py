"""SQL that a spec's author wrote over results and outputs, read, or told as problems."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from batchspec.inputs.author_sql import AuthorSelect
from batchspec.inputs.engine import AuthorSqlError, Engine
from batchspec.inputs.hardened import FileRefused, read_below
from batchspec.inputs.places import inside, one_line
from batchspec.problems import Place, Problem, Severity
from batchspec.records import frozen
from batchspec.spec.document import NodePath
from batchspec.spec.model import FileRef
from batchspec.spec.project import LoadedSpec


@frozen
class Authored:
    """Author SQL that was read, and where it stands."""

    loaded: LoadedSpec
    path: NodePath
    text: str
    file: str | None
    what: str
    """What it is, for messages: ``outputs.select``."""
    select: AuthorSelect

    def problem(self, error: AuthorSqlError) -> Problem:
        """Return the problem that the SQL fails, at its line and column where known."""
        return bad_sql(
            self.what, error, _place(self.loaded, self.path, self.text, self.file, error)
        )

    def warnings(self) -> tuple[Problem, ...]:
        """Return a warning when the same answers may give other rows each time."""
        if not self.select.unstable:
            return ()
        return (
            Problem(
                code="unstable-sql",
                summary=f"{self.what} may give other rows each time:"
                f" {', '.join(self.select.unstable)}",
                detail="The output's bytes would change without a changed answer. Give every LIMIT"
                " and every collecting function an ORDER BY, and leave out random values.",
                severity=Severity.WARNING,
                where=self.loaded.document.place(self.path),
            ),
        )


def read_authored(
    engine: Engine,
    root: Path,
    loaded: LoadedSpec,
    path: NodePath,
    given: str | FileRef,
    *,
    is_coming: Callable[[str], bool] = lambda _: False,
) -> tuple[Authored | None, tuple[Problem, ...]]:
    """Read one SELECT from a spec or from the file it names.

    Args:
        engine: The engine that will run it.
        root: The project root.
        loaded: The spec.
        path: Where the SQL stands in the spec.
        given: The SQL, or its file.
        is_coming: Tells of a path without a file whether the run writes it: no problem then.
    """
    what = ".".join(str(part) for part in path if not isinstance(part, int))
    file = given.file if isinstance(given, FileRef) else None
    at: NodePath = path if file is None else (*path, "file")
    try:
        text = given if isinstance(given, str) else read_below(root, given.file).decode("utf-8-sig")
    except (FileRefused, UnicodeDecodeError) as error:
        reason = error.reason if isinstance(error, FileRefused) else "is not UTF-8 text"
        problem = Problem(
            code="input-file-refused",
            summary=f"the file {file} {reason}",
            detail="Files are read below the project folder only, without following links.",
            where=loaded.document.place(at),
        )
        return None, (problem,)
    try:
        select = engine.select(text)
    except AuthorSqlError as error:
        if error.missing is not None and is_coming(error.missing):
            return None, ()
        return None, (bad_sql(what, error, _place(loaded, at, text, file, error)),)
    authored = Authored(loaded=loaded, path=at, text=text, file=file, what=what, select=select)
    return authored, ()


def bad_sql(what: str, error: AuthorSqlError, where: Place) -> Problem:
    """Return the problem that DuckDB, or batchspec, refuses author SQL."""
    return Problem(
        code="bad-sql",
        summary=f"the SQL of {what} is refused",
        detail=one_line(error.message),
        where=where,
    )


def _place(
    loaded: LoadedSpec, path: NodePath, text: str, file: str | None, error: AuthorSqlError
) -> Place:
    return inside(loaded, path, text=text, file=file, line=error.line, column=error.column)
