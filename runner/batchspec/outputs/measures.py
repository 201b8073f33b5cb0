"""Checks that compare one figure with a limit: row counts, rates and agreement."""

# ruff: noqa: S608 - the relations were read before.

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from batchspec.events import Evaluation
from batchspec.inputs.engine import Engine
from batchspec.outputs.agreement import evaluate
from batchspec.outputs.builtin import Source, setting_of
from batchspec.outputs.job import Written
from batchspec.outputs.profile import distance, largest_moves
from batchspec.outputs.verdict import Verdict
from batchspec.records import frozen
from batchspec.spec.model import Check, RowCount


@frozen
class Measured:
    """What evaluating a check came to."""

    verdict: Verdict
    failures: int
    detail: str = ""
    evaluation: Evaluation | None = None


def count_rows(engine: Engine, relation: str) -> int:
    """Return how many rows a relation has."""
    return int(engine.one(f"SELECT count(*) FROM {relation}")[0])


def measure_rows(engine: Engine, source: Source) -> Measured:
    """Compare the number of rows with the limits of `row_count`."""
    limits = setting_of(source.check.row_count)
    rows = count_rows(engine, source.sql)
    equals = None
    if limits.equals is not None:
        equals = count_rows(engine, source.relation(limits.equals, "equals")[0])
    wanted, holds = _wanted(limits, rows, equals)
    return Measured(
        verdict="pass" if holds else source.check.severity,
        failures=0 if holds else 1,
        detail=f"{source.table} has {rows} rows; expected: {wanted}",
    )


def _wanted(limits: RowCount, rows: int, equals: int | None) -> tuple[str, bool]:
    words, holds = [], True
    if limits.min is not None:
        words.append(f"at least {limits.min}")
        holds = rows >= limits.min
    if limits.max is not None:
        words.append(f"at most {limits.max}")
        holds = holds and rows <= limits.max
    if equals is not None:
        words.append(f"{equals}, as many as {limits.equals} has")
        holds = holds and rows == equals
    return " and ".join(words), holds


def measure_rate(engine: Engine, source: Source, failing: str) -> Measured:
    """Compare the part of the items that ``failing`` returns with the limit of a rate."""
    most: Decimal = getattr(source.check, source.kind)
    items = count_rows(engine, source.sql)
    failures = count_rows(engine, f"({failing})")
    word = source.kind.removeprefix("max_")
    return Measured(
        verdict="pass" if failures <= most * items else source.check.severity,
        failures=failures,
        detail=f"{failures} of {items} items {word}, {percent(failures, items)};"
        f" at most {_plain(most * 100)} % may be",
    )


def measure_agreement(engine: Engine, source: Source, pairs: str) -> Measured:
    """Compare the accuracy against reference labels with the least that `agreement` allows."""
    limit = setting_of(source.check.agreement)
    found = evaluate(engine, pairs)
    holds = found.compared > 0 and found.agreed >= limit.min * found.compared
    detail = (
        f"{found.agreed} of {found.compared} rows agree with {limit.reference}"
        f", {percent(found.agreed, found.compared)}; at least {_plain(limit.min * 100)} % must"
    )
    if not found.compared:
        detail = f"no row has a reference label in {limit.reference}, so nothing was compared"
    return Measured(
        verdict="pass" if holds else source.check.severity,
        # With nothing to compare, it is the check itself that fails.
        failures=found.compared - found.agreed or int(not holds),
        detail=detail,
        evaluation=found,
    )


def measure_drift(check: Check, written: Written) -> Measured:
    """Compare how far a column's distribution moved with the most that `drift` allows."""
    limit = setting_of(check.drift)
    before = (written.earlier or {}).get(limit.column)
    after = written.profile.get(limit.column)
    if before is None or after is None:
        detail = "there is no earlier output to compare with"
        return Measured(verdict="pass", failures=0, detail=detail)
    moved = distance(before, after)
    holds = moved <= Fraction(limit.max)
    words = ", ".join(
        f"{value} {'+' if change > 0 else '−'}{part_of(abs(change))}"  # noqa: RUF001 - a minus
        for value, change in largest_moves(before, after)
    )
    return Measured(
        verdict="pass" if holds else check.severity,
        failures=int(not holds),
        detail=f"{part_of(moved)} of the rows moved; at most {_plain(limit.max * 100)} % may"
        + (f"; {words}" if words else ""),
    )


def part_of(part: Fraction) -> str:
    """Return a part of 1 as a percentage with at most two decimals."""
    return percent(part.numerator, part.denominator)


def percent(part: int, whole: int) -> str:
    """Return a part as a percentage with at most two decimals; 0 of nothing is 0 %."""
    exact = Decimal(part * 100) / Decimal(whole) if whole else Decimal(0)
    return f"{_plain(exact.quantize(Decimal('0.01'), rounding=ROUND_HALF_UP))} %"


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
