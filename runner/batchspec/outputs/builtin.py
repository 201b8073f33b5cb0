"""Built-in checks as SQL: which rows of which relation fail."""

# ruff: noqa: S608 - names are quoted, literals are quoted, and author SQL was read before.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Final, TypeVar

from batchspec.inputs.engine import (
    AuthorSqlError,
    Column,
    Engine,
    quote_identifier,
    quote_literal,
)
from batchspec.inputs.tables import InputTable
from batchspec.outputs.authored import bad_sql
from batchspec.outputs.cells import Kind
from batchspec.outputs.fields import Field, field_of, near
from batchspec.outputs.results import RESULTS
from batchspec.problems import Problem
from batchspec.records import frozen
from batchspec.spec.checks import RATE_KINDS, kind_of_check
from batchspec.spec.document import NodePath
from batchspec.spec.model import Check
from batchspec.spec.project import LoadedSpec

_STATUS_OF: Final = {
    "max_refused": "refused",
    "max_truncated": "truncated",
    "max_invalid": "invalid",
}


Setting = TypeVar("Setting")


def setting_of(setting: Setting | None) -> Setting:
    """Return what stands under a check's kind.

    Raises:
        ValueError: The check is of another kind.
    """
    if setting is None:
        raise ValueError("The check is of another kind.")
    return setting


class CheckProblemError(Exception):
    """A check that cannot be evaluated, as the problem to report."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.summary)
        self.problem = problem


@frozen
class Source:
    """The rows that a built-in check looks at."""

    check: Check
    number: int
    """Its index in the spec."""
    loaded: LoadedSpec
    engine: Engine
    inputs: InputTable
    sql: str
    """A query of the rows, ``where`` applied."""
    columns: tuple[Column, ...]
    table: str

    @property
    def kind(self) -> str:
        """The check's kind."""
        return kind_of_check(self.check)

    def field(self, name: str, *path: str) -> Field:
        """Return a value of the rows by the name that the check gives it.

        Raises:
            CheckProblemError: There is no such column.
        """
        found = field_of(self.columns, name)
        if found is None:
            raise self.no_column(name, self.table, self.columns, *path)
        return found

    def no_column(
        self, name: str, table: str, columns: Sequence[Column], *path: str
    ) -> CheckProblemError:
        """Return the problem that a check names what is no column of a table."""
        return CheckProblemError(
            Problem(
                code="check-column",
                summary=f"the check {self.kind} names {name}, which is no column of {table}",
                detail=near(columns, name),
                where=self.loaded.document.place(self.place(*path)),
            )
        )

    def place(self, *path: str) -> NodePath:
        """Return where something of the check stands in the spec."""
        return ("checks", self.number, self.kind, *path)

    def relation(self, name: str, *path: str) -> tuple[str, tuple[Column, ...]]:
        """Return the SQL and the columns of another table, or of a data file.

        Raises:
            CheckProblemError: It cannot be read.
        """
        is_file = "/" in name or PurePosixPath(name).suffix
        target = quote_literal(name) if is_file else quote_identifier(name)
        try:
            select = self.engine.select(f"SELECT * FROM {target}")
            return f"({select.sql})", self.engine.names_of(select)
        except AuthorSqlError as error:
            where = self.loaded.document.place(self.place(*path))
            raise CheckProblemError(bad_sql(f"checks.{self.kind}", error, where)) from None


def source_of(engine: Engine, loaded: LoadedSpec, number: int, inputs: InputTable) -> Source:
    """Return the rows that a built-in check looks at.

    Raises:
        CheckProblemError: The table is not there, or ``where`` is refused.
    """
    check = loaded.spec.checks[number]
    table = RESULTS if kind_of_check(check) in RATE_KINDS else check.table
    part, text = "table", f"SELECT * FROM {quote_identifier(table)}"
    if check.where is not None:
        part, text = "where", f"{text} WHERE (\n{check.where}\n)"
    try:
        select = engine.select(text)
        columns = engine.names_of(select)
    except AuthorSqlError as error:
        where = loaded.document.place(("checks", number, part))
        raise CheckProblemError(bad_sql(f"checks.{part}", error, where)) from None
    return Source(
        check=check,
        number=number,
        loaded=loaded,
        engine=engine,
        inputs=inputs,
        sql=f"({select.sql})",
        columns=columns,
        table=table,
    )


def failing_rows(source: Source) -> str:
    """Return the query of the rows that fail a check of `spec.checks.ROW_KINDS`.

    Raises:
        CheckProblemError: It names a column that is not there.
    """
    return _ROW_KINDS[source.kind](source)


def _where(source: Source, condition: str) -> str:
    return f"SELECT * FROM {source.sql} WHERE {condition}"


def _not_null(source: Source) -> str:
    names = source.check.not_null or ()
    return _where(source, " OR ".join(f"{source.field(name).text} IS NULL" for name in names))


def _unique(source: Source) -> str:
    texts = [source.field(name).text for name in source.check.unique or ()]
    present = " AND ".join(f"{text} IS NOT NULL" for text in texts)
    window = f"count(*) OVER (PARTITION BY {', '.join(texts)})"
    return _where(source, f"{present} QUALIFY {window} > 1")


def _accepted_values(source: Source) -> str:
    setting = setting_of(source.check.accepted_values)
    field = source.field(setting.column, "column")
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in setting.values)
    if field.is_number and numbers:
        listed = ", ".join(format(Decimal(str(value)), "f") for value in setting.values)
        return _where(source, f"{field.value} NOT IN ({listed})")
    listed = ", ".join(quote_literal(_text(value)) for value in setting.values)
    return _where(source, f"{field.text} NOT IN ({listed})")


def _text(value: object) -> str:
    """Return a value of YAML as the text that a JSON value or a column has."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _matches(source: Source) -> str:
    setting = setting_of(source.check.matches)
    regex = quote_literal(setting.regex)
    try:
        source.engine.one(f"SELECT regexp_matches('', {regex})")
    except AuthorSqlError as error:
        where = source.loaded.document.place(source.place("regex"))
        raise CheckProblemError(bad_sql("checks.matches.regex", error, where)) from None
    return _where(
        source, f"NOT regexp_matches({source.field(setting.column, 'column').text}, {regex})"
    )


def _range(source: Source) -> str:
    setting = setting_of(source.check.range)
    field = source.field(setting.column, "column")
    bounds = {"<": setting.min, ">": setting.max}
    if any(isinstance(bound, Decimal) for bound in bounds.values()):
        number = field.number()
        outside = [
            f"{number} {sign} {format(bound, 'f')}"
            for sign, bound in bounds.items()
            if isinstance(bound, Decimal)
        ]
        unusable = f"{number} IS NULL OR isnan({number}::DOUBLE)"
        return _where(
            source, f"{field.text} IS NOT NULL AND ({unusable} OR {' OR '.join(outside)})"
        )
    value = field.value if field.kind is Kind.PLAIN else field.text
    outside = [
        f"{value} {sign} {quote_literal(str(bound))}"
        for sign, bound in bounds.items()
        if bound is not None
    ]
    return _where(source, " OR ".join(outside))


def _relationships(source: Source) -> str:
    setting = setting_of(source.check.relationships)
    field = source.field(setting.column, "column")
    relation, columns = source.relation(setting.to, "to")
    other = field_of(columns, setting.field)
    if other is None:
        raise source.no_column(setting.field, setting.to, columns, "field")
    both = field.is_number and other.is_number
    here, there = (field.value, other.value) if both else (field.text, other.text)
    known = f"SELECT {there} FROM {relation} WHERE {there} IS NOT NULL"
    return _where(source, f"{here} IS NOT NULL AND {here} NOT IN ({known})")


_ROW_KINDS: Final[Mapping[str, Callable[[Source], str]]] = {
    "not_null": _not_null,
    "unique": _unique,
    "accepted_values": _accepted_values,
    "matches": _matches,
    "range": _range,
    "relationships": _relationships,
}


def rate_rows(source: Source) -> str:
    """Return the query of the items that a check of `spec.checks.RATE_KINDS` counts."""
    status = _STATUS_OF.get(source.kind)
    condition = f"status = {quote_literal(status)}" if status else "status <> 'succeeded'"
    if status is None and source.loaded.spec.response.on_invalid == "keep":
        condition += " AND status <> 'invalid'"
    return f"SELECT key, status, stop_reason, error FROM {source.sql} WHERE {condition}"
