"""Opening a spec's inputs: one relation with one row per item, and an index of keys and digests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from batchspec.inputs.columns import Column, quote_identifier, quote_literal
from batchspec.inputs.fingerprints import key_json, row_digest
from batchspec.inputs.hardened import FileRefused
from batchspec.inputs.keys import check_columns, check_key, check_values
from batchspec.inputs.places import one_line
from batchspec.inputs.readers import TableRefused, table_query
from batchspec.inputs.sources import Source, open_source
from batchspec.inputs.sql_errors import AuthorSqlError
from batchspec.inputs.values import decoders, projection
from batchspec.problems import Problem, Severity, has_errors
from batchspec.records import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchspec.inputs.engine import Engine
    from batchspec.spec.project import LoadedSpec


SAMPLE = Column(name="sample", type="INTEGER")
"""The column that `samples` of a spec adds, and the last one of the key then."""
_OURS = ("source_", "inputs_", "index_", "plan_", "batchspec_")
"""How names of the program's own tables begin."""


@frozen
class InputTable:
    """The items of one spec, inside an engine."""

    relation: str
    """A view, safe to stand in SQL: one row per item, the author's columns only. It reads the
    files anew each time it is scanned."""
    index: str
    """What the one scan that `open_inputs` did has kept: ``key_json VARCHAR, row_digest BLOB(16)``
    and the key's columns as ``k0``, ``k1``, …, one row per item, in no order. Keys are written as
    JSON when they are read, which a plan without changes never does."""
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """Names of the key's columns."""
    count: int
    sources: tuple[str, ...]
    """Files the rows come from, relative to the project root, sorted."""
    certain: bool
    """True: ``sources`` and the spec alone decide the rows. False when the SQL is unstable or
    reads another spec's output."""

    @property
    def key_expression(self) -> str:
        """The SQL expression over ``relation`` for an item's key as canonical JSON text."""
        by_name = {column.name: column for column in self.columns}
        return key_json([by_name[name] for name in self.key])

    @property
    def digest_expression(self) -> str:
        """The SQL expression over ``relation`` for a row's digest."""
        return row_digest(self.columns)


def drop_index(engine: Engine, table: InputTable) -> None:
    """Free the memory of a table's index; its rows can still be read."""
    engine.execute(f"DROP VIEW IF EXISTS {table.index}")
    engine.execute(f"DROP TABLE IF EXISTS {_rows(table.index)}")


def _rows(index: str) -> str:
    """Return the name of the table that an index reads."""
    return f"batchspec_{index}"


class Row(NamedTuple):
    """One item as it is handed to rendering."""

    key_json: str
    digest: bytes
    """The row's digest in this scan; it differs from the index when the inputs are unstable."""
    values: dict[str, Any]
    """By column name, plain Python values."""


def open_inputs(
    engine: Engine,
    project_root: Path,
    loaded: LoadedSpec,
    upstream: Mapping[str, Path | str],
    *,
    blank: bool = False,
) -> tuple[InputTable | None, tuple[Problem, ...]]:
    """Open a spec's inputs and enforce the rules of keys.

    Args:
        engine: An engine opened on ``project_root``.
        project_root: The project root.
        loaded: The spec.
        upstream: The outputs of the specs that this one needs, by the names that SQL reads them
            under: files, or relations of the engine.
        blank: Only the columns are wanted: no row is read.

    Returns:
        The table, or None when a problem makes it unusable, and every problem found.
    """
    name = loaded.spec.name.replace("-", "_")
    for needed, where in upstream.items():
        _make_upstream(engine, project_root, needed, where)
    source, problems = open_source(engine, project_root.resolve(), loaded, f"source_{name}")
    if source is None:
        return None, problems
    if blank:
        nothing = f"SELECT * FROM ({source.sql}) LIMIT 0"  # noqa: S608 - checked by open_source
        source = replace(source, sql=nothing, exact=None)
    opener = _Opener(engine, loaded, source, name, certain=source.certain and not upstream)
    table, more = opener.open()
    return table, (*problems, *more)


def row_select(
    engine: Engine, table: InputTable, where_relation: str | None, *, typed: bool = False
) -> Iterator[Row]:
    """Yield items with their values, streamed, in no order.

    Args:
        engine: The engine of ``table``.
        table: The items.
        where_relation: A relation with a column ``key_json`` naming the wanted items; None: all.
        typed: It has the key's columns ``k0``, … too; only rows found by them get a key as JSON.

    Raises:
        AuthorSqlError: when a row cannot be read.
    """
    names = [column.name for column in table.columns]
    source, wanted = table.relation, ""
    if where_relation is not None:
        wanted = f"WHERE {table.key_expression} IN (SELECT key_json FROM {where_relation})"  # noqa: S608 - names are ours or quoted
        if typed:
            names_of_key = ", ".join(quote_identifier(name) for name in table.key)
            typed_key = ", ".join(f"k{number}" for number in range(len(table.key)))
            found = f"({names_of_key}) IN (SELECT ({typed_key}) FROM {where_relation})"  # noqa: S608 - names are ours or quoted
            source = f"(FROM {source} WHERE {found})"
    query = (
        f"SELECT {projection(table.columns)}, {table.key_expression}, {table.digest_expression}"  # noqa: S608 - names are ours or quoted
        f" FROM {source} {wanted}"
    )
    last = decoders(table.columns)
    for fetched in engine.rows(query):
        values = dict(zip(names, fetched, strict=False))
        for name, decode in last:
            if values[name] is not None:
                values[name] = decode(values[name])
        yield Row(fetched[-2], fetched[-1], values)


def _make_upstream(engine: Engine, root: Path, needed: str, where: Path | str) -> None:
    """Make the table of a needed spec, and one whose name needs no quotes in SQL."""
    source = f"FROM {where}" if isinstance(where, str) else _output(engine, root, needed, where)
    plain = needed.replace("-", "_")
    names = {needed} if plain.startswith(_OURS) else {needed, plain}
    for name in sorted(names):
        engine.execute(f"CREATE OR REPLACE VIEW {quote_identifier(name)} AS {source}")


def _output(engine: Engine, root: Path, needed: str, where: Path) -> str:
    path = where if where.is_absolute() else root / where
    try:
        query = table_query(path.parent.resolve(), [path.name], engine.names)
    except TableRefused as refused:
        raise AuthorSqlError(f"The output of {needed}: {refused.summary}.") from None
    except FileRefused as refused:
        raise AuthorSqlError(f"The output of {needed} {refused.reason}.") from None
    return query.exact or query.sql


class _Opener:
    def __init__(
        self, engine: Engine, loaded: LoadedSpec, source: Source, name: str, *, certain: bool
    ) -> None:
        self.engine = engine
        self.loaded = loaded
        self.source = source
        self.relation = f"inputs_{name}"
        self.index = f"index_{name}"
        self.certain = certain

        self.sql = source.sql
        """The query in use; the exact one once the sampled one failed."""

    def open(self) -> tuple[InputTable | None, tuple[Problem, ...]]:
        columns, problems = self._columns()
        problems += self._clash(columns)
        if problems:
            return None, problems
        wanted = self.loaded.spec.inputs.key or ("path",)
        key, problems = check_key(self.loaded, columns, wanted)
        if problems:
            return None, problems
        columns, key, problems = self._scan(columns, key)
        if problems:
            return None, problems
        names = tuple(column.name for column in key)
        found = list(
            check_values(
                self.engine,
                self.loaded,
                index=self.index,
                relation=self.relation,
                key=names,
            )
        )
        if has_errors(found):
            return None, tuple(found)
        count = self._sample(key)
        if count == 0:
            found.append(self._empty())
        samples = self.loaded.spec.samples
        if samples > 1:
            columns, key, count = (
                self._repeat(columns, key, samples),
                (*key, SAMPLE),
                count * samples,
            )
        table = InputTable(
            relation=self.relation,
            index=self.index,
            columns=columns,
            key=tuple(column.name for column in key),
            count=count,
            sources=self.source.files,
            certain=self.certain,
        )
        return table, tuple(found)

    def _columns(self) -> tuple[tuple[Column, ...], tuple[Problem, ...]]:
        try:
            columns = self.source.columns or self.engine.names(self.sql)
        except AuthorSqlError as error:
            return (), (self.source.problem(error),)
        return columns, tuple(check_columns(columns, self.source.where))

    def _scan(
        self, columns: tuple[Column, ...], key: tuple[Column, ...]
    ) -> tuple[tuple[Column, ...], tuple[Column, ...], tuple[Problem, ...]]:
        """Make the view and the index; on a value that does not fit, again with exact types."""
        try:
            self._index(columns, key)
        except AuthorSqlError as error:
            if self.source.exact in {None, self.sql}:
                return (), (), (self._unreadable(error),)
        else:
            return columns, key, ()
        self.sql = self.source.exact or self.sql
        columns, problems = self._columns()
        if not problems:
            key, problems = check_key(self.loaded, columns, [column.name for column in key])
        return ((), (), problems) if problems else self._scan(columns, key)

    def _index(self, columns: tuple[Column, ...], key: tuple[Column, ...]) -> None:
        typed = ", ".join(
            f"{quote_identifier(column.name)} AS k{number}" for number, column in enumerate(key)
        )
        self.engine.execute(f"CREATE OR REPLACE VIEW {self.relation} AS {self.sql}")
        self.engine.execute(
            f"CREATE OR REPLACE TABLE {_rows(self.index)} AS SELECT {row_digest(columns)}"  # noqa: S608 - names are ours or quoted
            f" AS row_digest, {typed} FROM {self.relation}"
        )
        kept = [Column(name=f"k{number}", type=column.type) for number, column in enumerate(key)]
        self.engine.execute(
            f"CREATE OR REPLACE VIEW {self.index} AS SELECT {key_json(kept)} AS key_json, *"  # noqa: S608 - names are ours
            f" FROM {_rows(self.index)}"
        )

    def _sample(self, key: tuple[Column, ...]) -> int:
        """Draw the sample by the keys' hashes, so that the order of rows does not matter."""
        sample = self.loaded.spec.inputs.sample
        if sample is not None:
            drawn, whole = f"{self.relation}_drawn", f"{self.relation}_whole"
            seed = quote_literal(f"{sample.seed}:")
            self.engine.execute(
                f"CREATE OR REPLACE TABLE {drawn} AS FROM {self.index}"
                f" ORDER BY sha256({seed} || key_json), key_json LIMIT {int(sample.rows)}"
            )
            self.engine.execute(f"DROP VIEW {self.relation}")
            self.engine.execute(f"CREATE OR REPLACE VIEW {whole} AS {self.sql}")
            self.engine.execute(
                f"CREATE OR REPLACE VIEW {self.relation} AS FROM {whole}"  # noqa: S608 - names are ours or quoted
                f" WHERE {key_json(key)} IN (SELECT key_json FROM {drawn})"
            )
            # The rows go on reading what was drawn when nobody needs the index any more.
            self.engine.execute(
                f"CREATE OR REPLACE TABLE {_rows(self.index)} AS SELECT * EXCLUDE key_json"  # noqa: S608 - names are ours
                f" FROM {drawn}"
            )
        query = f"SELECT count(*) FROM {self.index}"  # noqa: S608 - names are ours or quoted
        return int(self.engine.one(query)[0])

    def _repeat(
        self, columns: tuple[Column, ...], key: tuple[Column, ...], samples: int
    ) -> tuple[Column, ...]:
        """Let every row stand once per sample, numbered from 1, and return the columns then."""
        once, repeated = self.relation, f"{self.relation}_samples"
        numbers = f"(SELECT unnest(range(1, {samples + 1}))::{SAMPLE.type} AS {SAMPLE.name})"
        self.relation, self.index = repeated, f"{self.index}_samples"
        self.sql = f"SELECT * FROM {once}, {numbers}"  # noqa: S608 - names are ours
        self._index((*columns, SAMPLE), (*key, SAMPLE))
        return (*columns, SAMPLE)

    def _clash(self, columns: Sequence[Column]) -> tuple[Problem, ...]:
        if self.loaded.spec.samples == 1:
            return ()
        if not any(column.name.lower() == SAMPLE.name for column in columns):
            return ()
        return (
            Problem(
                code="duplicate-column",
                summary="the inputs have a column sample, which samples adds to them",
                detail="Two columns of one name could not be told apart. Rename yours.",
                where=self.source.where,
            ),
        )

    def _unreadable(self, error: AuthorSqlError) -> Problem:
        return Problem(
            code="inputs-unreadable",
            summary="a row of the inputs cannot be read",
            detail=f"{one_line(error.message)} Correct the data or the query; nothing is skipped.",
            where=self.source.where,
        )

    def _empty(self) -> Problem:
        return Problem(
            code="empty-inputs",
            summary="the inputs have no rows",
            detail="Nothing will be asked, and the output will be empty. Check the filter and the"
            " files when that is not meant.",
            severity=Severity.WARNING,
            where=self.source.where,
        )
