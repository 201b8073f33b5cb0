"""What is asked, what is answered, and why: set operations inside DuckDB.

An item whose row digest stands in the baseline, made under the same render digest, has its request
hash without being rendered. The rest is rendered in Python. Hashes are then compared with what is
known of questions. Unchanged items stay in the baseline's file: only the others are made rows of.
"""

# ruff: noqa: S608 - the names in this SQL are ours, and literals are quoted.

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from batchspec.errors import StateFailure
from batchspec.inputs.columns import quote_literal
from batchspec.inputs.engine import AuthorSqlError, Engine
from batchspec.inputs.tables import InputTable, row_select
from batchspec.plan.baseline import Baseline, BaselinePaths, read_baseline
from batchspec.plan.examples import choose_examples, examples_of
from batchspec.plan.items import ItemTable
from batchspec.plan.matching import differ_in_samples, former_rows, held_rows, match_rows
from batchspec.plan.model import Action, JsonKey, Outcome, Reason
from batchspec.plan.questions import Spool
from batchspec.plan.reasons import action_expression, changed_files, reason_of_parts
from batchspec.plan.render import RenderJob, Renders
from batchspec.plan.rendered import drop_rendered, keep_rendered, no_rendered
from batchspec.problems import Problem
from batchspec.records import frozen
from batchspec.spec.model import Spec

_NAMED = 5
_RENDERED = "r.prefix, r.marked, r.images, r.documents"
_NOTHING_KNOWN = (
    "(SELECT NULL::BLOB AS hash, NULL::UTINYINT AS outcome, NULL::USMALLINT AS attempt LIMIT 0)"
)


@frozen
class DiffOptions:
    """What the command asks for beyond the spec."""

    retry_failed: bool = False
    """Ask again for items whose retries are spent."""
    hold_canceled: bool = False
    """Count canceled items as failed instead of asking again."""
    examples: bool = False
    """Keep the requests of a few items whose question changed."""


def diff_items(  # noqa: PLR0913 - the contract of the plan room: each is independent
    engine: Engine,
    table: InputTable,
    renderer: Renders,
    *,
    spec: Spec,
    baseline: BaselinePaths,
    known: Path | None,
    spool: Spool | None,
    options: DiffOptions,
    on_progress: Callable[[int], None] = lambda _: None,
) -> tuple[ItemTable | None, tuple[Problem, ...]]:
    """Decide what is done with every item.

    Args:
        engine: The engine of ``table``; the folders of ``baseline`` and ``known`` are open to it.
        table: The items.
        renderer: Makes requests of rows.
        spec: For its rules of asking again.
        baseline: Where the items of the last applied plan are kept, if anywhere.
        known: Parquet of what is known of questions: hash (16 bytes), outcome, attempt.
        spool: Takes the params of what is to be submitted; None: a plan that submits nothing.
        options: What the command asks for.
        on_progress: Told now and then how many rows are rendered.

    Returns:
        The decided items, or None with the problems: ``render-failed``, ``unstable-inputs``,
        ``inputs-unreadable``.

    Raises:
        StateFailure: ``known`` cannot be read.
        DiskFailure: The spool cannot be written.
    """
    found = read_baseline(baseline)

    def job() -> RenderJob:
        return RenderJob(
            renderer=renderer,
            spool=spool,
            uploaded=spec.files_api,
            samples=spec.samples,
            on_progress=on_progress,
        )

    diff = _Diff(engine, table, spec, found, job(), known)
    if not diff.run(options):
        # The baseline names another hash than rendering makes: it is not to be believed at all.
        diff = _Diff(engine, table, spec, None, job(), known)
        diff.run(options)
    if diff.problems:
        return None, diff.problems
    return diff.items(), ()


class _Diff:
    """One comparison; `run` makes its tables, whose names begin with the spec's."""

    def __init__(
        self,
        engine: Engine,
        table: InputTable,
        spec: Spec,
        baseline: Baseline | None,
        job: RenderJob,
        known: Path | None,
    ) -> None:
        self.engine = engine
        self.table = table
        self.spec = spec
        self.baseline = baseline
        self.job = job
        self.prefix = "plan_" + spec.name.replace("-", "_")
        self.keys = ", ".join(f"k{n}" for n in range(len(table.key)))
        self.known = (
            _NOTHING_KNOWN if known is None else f"read_parquet({quote_literal(str(known))})"
        )
        self.problems: tuple[Problem, ...] = ()
        self.held = 0
        """Baseline rows that the inputs still have."""
        self.gone = 0
        self.odd = 0
        """Held rows whose question is not answered for good."""
        self.removed = 0
        self.removed_keys = "k0"
        self.former: dict[JsonKey, bytes] = {}
        """Hashes that the examples had before."""

    @property
    def reused(self) -> Baseline | None:
        """The baseline, if its hashes hold for the rows they stand beside."""
        usable = (
            self.baseline is not None
            and not self.job.renderer.reads_files
            and self.baseline.render_digest == self.job.renderer.render_digest
            and self.baseline.key == self.table.key
        )
        return self.baseline if usable else None

    def run(self, options: DiffOptions) -> bool:
        """Make the table of all items that are not simply unchanged; False: do not believe it."""
        self._match_rows()
        self._find_odd(options)
        if options.examples:
            self._choose_examples()
        self._render()
        if self.problems:
            return True
        if self._contradicted():
            return False
        self._decide(options)
        self._find_removed()
        return True

    def items(self) -> ItemTable:
        """Return the decided items."""
        renderer = self.job.renderer
        return ItemTable(
            engine=self.engine,
            prefix=self.prefix,
            keys=self.keys,
            implied=self.held - self.odd,
            removed=self.removed,
            removed_keys=self.removed_keys,
            meta={
                "render_digest": renderer.render_digest,
                "parts": dict(renderer.parts),
                "files": dict(renderer.files),
                "key": list(self.table.key),
            },
            same=self.reused if self._is_same() else None,
            changed_files=self._changed_files(),
            former=None if self.baseline is None else self.baseline.relation,
            examples=tuple(
                examples_of(
                    self.engine, f"{self.prefix}_work", self.keys, self.former, self.job.kept
                )
            ),
        )

    def _is_same(self) -> bool:
        """Tell whether the inputs have all rows of the baseline and no others."""
        return self.reused is not None and self.held == self.table.count == self.reused.rows

    def _changed_files(self) -> tuple[str, ...]:
        """Return the changed files of the prompt, when they are why an item is submitted."""
        if (
            self.baseline is None
            or reason_of_parts(self.job.renderer, self.baseline) is not Reason.FILES
        ):
            return ()
        return changed_files(self.job.renderer.files, self.baseline)

    def _choose_examples(self) -> None:
        """Choose fresh items that were asked before; their requests are kept while rendering."""
        if self.baseline is not None and self.held < self.table.count:
            fresh, former = f"{self.prefix}_fresh", self._former()
            self.former = choose_examples(self.engine, fresh, self.keys, former)
            self.job.keep = frozenset(self.former)

    def _match_rows(self) -> None:
        """Split items into those the baseline answers for and fresh ones; find what is gone."""
        if self.reused is None:
            self._view("fresh", f"FROM {self.table.index}")
        else:
            matched = match_rows(self.engine, self.table, self.reused, self.prefix)
            self.held, self.gone = matched.held, matched.gone

    def _former(self) -> str:
        """Return the relation of what fresh and odd items were before, empty: they were nothing."""
        if self.reused is not None:
            return former_rows(self.prefix)
        return "" if self.baseline is None else self.baseline.relation

    def _find_odd(self, options: DiffOptions) -> None:
        """Find the held items whose question is not answered for good."""
        kept = [Outcome.SUCCEEDED, Outcome.UNCHECKED]
        if self.spec.response.on_invalid == "keep":
            kept.append(Outcome.INVALID)
        good = ", ".join(str(int(outcome)) for outcome in kept)
        if self.reused is None:
            empty = "NULL::BLOB AS hash, NULL::UINTEGER AS bytes, NULL::UINTEGER AS chars"
            rows = f"(SELECT *, {empty} FROM {self.table.index} LIMIT 0)"
        else:
            # Of a million rows only numbers are read and kept, until it is known which are odd.
            self._state_table(
                "open",
                f"SELECT file_row_number FROM {self.reused.numbered} b ANTI JOIN (SELECT hash AS h"
                f" FROM {self.known} WHERE outcome IN ({good})) good ON good.h = b.hash[1:16]",
            )
            rows = held_rows(self.reused, self.prefix, some=self._count("open") > 0)
        # No odd row has a good answer: without those, a million hashes need no second hash table.
        known = f"(FROM {self.known} WHERE outcome NOT IN ({good}))"
        self._state_table(
            "odd",
            f"SELECT *, {self._action(options)} AS action FROM (SELECT o.*, q.outcome, q.attempt"
            f" FROM {rows} o LEFT JOIN {known} q ON q.hash = o.hash[1:16])",
        )
        self.odd = self._count("odd")

    def _render(self) -> None:
        """Render fresh items; for a spool, or files of unknown size, odd ones to submit too."""
        columns = f"key_json, {self.keys}, row_digest"
        wanted = f"SELECT {columns} FROM {self.prefix}_fresh"
        if self.job.spool is not None or self.job.renderer.shows_files:
            odd = f"{self.prefix}_odd WHERE action = '{Action.SUBMIT}'"
            wanted += f" UNION ALL SELECT {columns} FROM {odd}"
        self._view("wanted", wanted)
        rendered, count = f"{self.prefix}_rendered", self._count("wanted")
        if not count:
            no_rendered(self.engine, rendered)
            return
        relation = None if count == self.table.count else f"{self.prefix}_wanted"
        try:
            rows = row_select(self.engine, self.table, relation, typed=True)
            keep_rendered(self.engine, rendered, self.job.chunks(rows))
        except AuthorSqlError as error:
            self.problems = (_unreadable(error),)
            return
        self.problems = self.job.problems() or self._unstable()

    def _unstable(self) -> tuple[Problem, ...]:
        """Compare what was rendered with what the first scan of the inputs saw."""
        mark = "SELECT count(*), bit_xor(hash(key_json, row_digest)) FROM"
        first = self.engine.one(f"{mark} {self.prefix}_wanted")
        if first == self.engine.one(f"{mark} {self.prefix}_rendered"):
            return ()
        rows = self.engine.rows(
            f"SELECT key_json FROM {self.prefix}_wanted ANTI JOIN {self.prefix}_rendered"
            f" USING (key_json, row_digest) ORDER BY key_json LIMIT {_NAMED}"
        )
        named = ", ".join(key for (key,) in rows) or "rows that were not there before"
        return (
            Problem(
                code="unstable-inputs",
                summary="the inputs change from one reading to the next",
                detail=f"Read twice during one plan, they differed for: {named}. Every plan would "
                "ask again and pay again. Remove what is random or depends on the time from the "
                "query, give LIMIT an ORDER BY, and leave the files alone while a plan is made.",
            ),
        )

    def _contradicted(self) -> bool:
        """Tell whether rendering an item made another hash than the baseline has for it."""
        if self.reused is None or self.job.done == 0:
            return False
        (differing,) = self.engine.one(
            f"SELECT count(*) FROM {self.prefix}_odd o JOIN {self.prefix}_rendered r"
            " USING (key_json) WHERE o.hash <> r.hash"
        )
        return bool(differing)

    def _decide(self, options: DiffOptions) -> None:
        """Join fresh items with what is known, and give every item to submit its reason."""
        # Without fresh items the join would read all that is known and find nothing.
        known = self.known if self.held < self.table.count else _NOTHING_KNOWN
        fresh = (
            f"SELECT f.key_json, {self.keys}, f.row_digest, r.hash, r.bytes, r.chars, r.spot,"
            f" {_RENDERED}, q.outcome, q.attempt FROM {self.prefix}_fresh f"
            f" JOIN {self.prefix}_rendered r USING (key_json)"
            f" LEFT JOIN {known} q ON q.hash = r.hash[1:16]"
        )
        odd = (
            f"SELECT o.key_json, {self.keys}, o.row_digest, o.hash, o.bytes, o.chars,"
            f" coalesce(r.spot, -1) AS spot, {_RENDERED}, o.outcome, o.attempt"
            f" FROM {self.prefix}_odd o LEFT JOIN {self.prefix}_rendered r USING (key_json)"
        )
        before, reason = "", f"'{Reason.NEW}'"
        if self.baseline is not None and (self.odd or self.held < self.table.count):
            before = (
                f"LEFT JOIN (SELECT key_json, row_digest AS before FROM {self._former()})"
                " b USING (key_json)"
            )
            reason = (
                f"CASE WHEN before IS NULL THEN '{Reason.NEW}' WHEN before <> row_digest THEN "
                f"'{Reason.INPUT}' ELSE '{reason_of_parts(self.job.renderer, self.baseline)}' END"
            )
        self._state_table(
            "work",
            f"SELECT d.*, CASE WHEN action <> '{Action.SUBMIT}' THEN NULL WHEN outcome IS NOT NULL"
            f" THEN '{Reason.RETRY}' ELSE {reason} END AS reason FROM (SELECT *,"
            f" {self._action(options)} AS action FROM ({fresh} UNION ALL {odd})) d {before}",
        )
        self.engine.execute(f"DROP TABLE {self.prefix}_odd")
        drop_rendered(self.engine, f"{self.prefix}_rendered")
        base = self.reused
        unchanged = (
            ""
            if base is None
            else f" UNION ALL SELECT key_json, {self.keys}, row_digest, hash, bytes, chars,"
            f" '{Action.UNCHANGED}' AS action FROM {base.relation} ANTI JOIN {self.prefix}_gone"
            f" USING (row_digest) ANTI JOIN {self.prefix}_work USING (row_digest)"
        )
        self._view(
            "items",
            f"SELECT key_json, {self.keys}, row_digest, hash, bytes, chars, action"
            f" FROM {self.prefix}_work{unchanged}",
        )

    def _find_removed(self) -> None:
        """Find the baseline's keys that the inputs no longer have."""
        if self.baseline is None:
            return
        source = self.baseline.relation
        kept = f"ANTI JOIN {self.table.index} i USING (key_json)"
        if self.reused is not None:
            # A key that the inputs still have stands in a fresh row, for its former row is gone.
            source = f"{self.prefix}_gone"
            kept = f"ANTI JOIN {self.prefix}_fresh i USING (key_json)"
        elif differ_in_samples(self.baseline.key, self.table.key):
            # Other samples: the keys have another form, and the first samples the same questions.
            kept = f"ANTI JOIN {self.prefix}_items i USING (hash)"
        self.removed_keys = ", ".join(f"k{n}" for n in range(len(self.baseline.key)))
        self._table(
            "removed",
            f"SELECT key_json, {self.removed_keys}, hash FROM {source} b {kept}",
        )
        self.removed = self._count("removed")

    def _action(self, options: DiffOptions) -> str:
        """Return the SQL expression for an item's action."""
        return action_expression(
            self.spec, retry_failed=options.retry_failed, hold_canceled=options.hold_canceled
        )

    def _state_table(self, name: str, select: str) -> None:
        """Make a table that joins with what is known; never go on without it."""
        try:
            self._table(name, select)
        except AuthorSqlError as error:
            raise StateFailure(
                f"What is known of questions cannot be read: {error.message}",
                hint="Remove the state's cache folder and run the command again.",
            ) from error

    def _table(self, name: str, select: str) -> None:
        self.engine.execute(f"CREATE OR REPLACE TABLE {self.prefix}_{name} AS {select}")

    def _view(self, name: str, select: str) -> None:
        self.engine.execute(f"CREATE OR REPLACE VIEW {self.prefix}_{name} AS {select}")

    def _count(self, name: str) -> int:
        return int(self.engine.one(f"SELECT count(*) FROM {self.prefix}_{name}")[0])


def _unreadable(error: AuthorSqlError) -> Problem:
    return Problem(
        code="inputs-unreadable",
        summary="a row of the inputs cannot be read",
        detail=f"{error.message} Correct the data or the query; nothing is skipped.",
    )
