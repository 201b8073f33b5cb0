"""Where items come from: ``sql``, ``files``, ``table`` or ``rows``, each as one query."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from batchspec.inputs.columns import Column, quote_identifier
from batchspec.inputs.files import load_files
from batchspec.inputs.globs import find_files
from batchspec.inputs.hardened import FileRefused, read_below
from batchspec.inputs.literals import load_rows
from batchspec.inputs.places import inside, one_line
from batchspec.inputs.readers import TableRefused, format_of, table_query
from batchspec.inputs.sql_errors import AuthorSqlError
from batchspec.problems import Place, Problem, Severity, has_errors
from batchspec.records import frozen
from batchspec.spec.model import FileRef

if TYPE_CHECKING:
    from pathlib import Path

    from batchspec.inputs.author_sql import AuthorSelect
    from batchspec.inputs.engine import Engine
    from batchspec.spec.project import LoadedSpec


@frozen
class Source:
    """The query behind a spec's items."""

    sql: str
    where: Place
    """Where the spec names it."""
    files: tuple[str, ...] = ()
    """Files it reads, relative to the project root, sorted."""
    exact: str | None = None
    """See `readers.TableQuery.exact`."""
    columns: tuple[Column, ...] | None = None
    """Its columns, when they were needed to check it."""
    certain: bool = True
    """False: two runs over equal files may differ."""

    def problem(self, error: AuthorSqlError) -> Problem:
        """Return the problem that DuckDB cannot make sense of the source."""
        return Problem(
            code="inputs-unreadable",
            summary="the inputs cannot be read",
            detail=one_line(error.message),
            where=self.where,
        )


def open_source(
    engine: Engine, root: Path, loaded: LoadedSpec, table: str
) -> tuple[Source | None, tuple[Problem, ...]]:
    """Return the query for a spec's items.

    Args:
        engine: The engine that will run it.
        root: The project root, symlinks resolved.
        loaded: The spec.
        table: Name for a table of the engine, should one be needed.

    Returns:
        The source, or None, and every problem.
    """
    inputs = loaded.spec.inputs
    if inputs.sql is not None:
        return _from_sql(engine, root, loaded, inputs.sql)
    if inputs.files is not None:
        return _from_files(engine, root, loaded, table)
    if inputs.table is not None:
        return _from_table(engine, root, loaded, inputs.table)
    return _from_rows(engine, loaded, table)


def _from_sql(
    engine: Engine, root: Path, loaded: LoadedSpec, given: str | FileRef
) -> tuple[Source | None, tuple[Problem, ...]]:
    file = given.file if isinstance(given, FileRef) else None
    path = ("inputs", "sql") if file is None else ("inputs", "sql", "file")
    where = loaded.document.place(path)
    try:
        text = given if isinstance(given, str) else read_below(root, given.file).decode("utf-8-sig")
    except FileRefused as refused:
        return None, (_refused(f"the file {file} {refused.reason}", where),)
    except UnicodeDecodeError:
        return None, (_refused(f"the file {file} is not UTF-8 text", where),)

    def place(error: AuthorSqlError) -> Place:
        return inside(loaded, path, text=text, file=file, line=error.line, column=error.column)

    try:
        select = engine.select(text)
        columns = engine.names_of(select)
    except AuthorSqlError as error:
        return None, (_bad_sql(error, place(error)),)
    source = Source(
        sql=f"FROM ({select.sql})",
        columns=columns,
        where=where,
        files=select.files,
        certain=not select.unstable,
    )
    return source, _unstable(select, where)


def _from_files(
    engine: Engine, root: Path, loaded: LoadedSpec, table: str
) -> tuple[Source | None, tuple[Problem, ...]]:
    paths, problems = load_files(engine, root, loaded, table)
    if has_errors(problems):
        return None, problems
    where = loaded.document.place(("inputs", "files"))
    return Source(sql=f"FROM {quote_identifier(table)}", where=where, files=paths), problems


def _from_table(
    engine: Engine, root: Path, loaded: LoadedSpec, pattern: str
) -> tuple[Source | None, tuple[Problem, ...]]:
    where = loaded.document.place(("inputs", "table"))
    try:
        paths = find_files(root, pattern)
        if not paths:
            return None, (_no_file(root, pattern, where),)
        query = table_query(root, paths, engine.names, loaded.spec.inputs.types)
    except FileRefused as refused:
        return None, (_refused(f"the input {pattern} {refused.reason}", where),)
    except TableRefused as refused:
        problem = Problem(
            code=refused.code, summary=refused.summary, detail=refused.detail, where=where
        )
        return None, (problem,)
    except AuthorSqlError as error:
        return None, (Source(sql="", where=where).problem(error),)
    return Source(sql=query.sql, exact=query.exact, where=where, files=paths), ()


def _no_file(root: Path, pattern: str, where: Place) -> Problem:
    folder = posixpath.dirname(pattern)
    shown = f"the folder {folder} of the project" if folder else "the project's folder"
    there = () if "*" in folder else find_files(root, posixpath.join(folder, "*"))
    tables = [path for path in there if format_of(path) is not None]
    listed = f" The data files in {shown} are {', '.join(tables[:5])}." if tables else ""
    return Problem(
        code="no-input-files",
        summary=f'no file matches "{pattern}"',
        detail=f"Paths start at the project folder.{listed}",
        where=where,
    )


def _from_rows(
    engine: Engine, loaded: LoadedSpec, table: str
) -> tuple[Source | None, tuple[Problem, ...]]:
    where = loaded.document.place(("inputs", "rows"))
    sql, problems = load_rows(engine, loaded, table)
    if problems:
        return None, problems
    if not sql:
        problem = Problem(
            code="empty-table",
            summary="inputs.rows has no rows with columns",
            detail="Write at least one mapping such as {id: 1, text: …}.",
            where=where,
        )
        return None, (problem,)
    return Source(sql=sql, where=where), ()


def _bad_sql(error: AuthorSqlError, where: Place) -> Problem:
    return Problem(
        code="bad-sql",
        summary="the SQL of the inputs is refused",
        detail=one_line(error.message),
        where=where,
    )


def _refused(summary: str, where: Place) -> Problem:
    return Problem(
        code="input-file-refused",
        summary=summary,
        detail="Files are read below the project folder only, without following links.",
        where=where,
    )


def _unstable(select: AuthorSelect, where: Place) -> tuple[Problem, ...]:
    if not select.unstable:
        return ()
    problem = Problem(
        code="unstable-sql",
        summary=f"the SQL may give other rows each time: {', '.join(select.unstable)}",
        detail="A changed row is a new question and is paid for again. Make the query depend on"
        " the files alone, and give every LIMIT and every collecting function an ORDER BY.",
        severity=Severity.WARNING,
        where=where,
    )
    return (problem,)
