"""Drift: how far a column moved since the output that stood there before."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from batchspec.outputs.checks import run_checks
from batchspec.outputs.manifest import read_manifest
from batchspec.outputs.profile import (
    MOST_VALUES,
    Profile,
    distance,
    largest_moves,
    profiles_of,
    read_profiles,
)
from batchspec.outputs.receipt import Facts, keep_receipt, profiles_body, receipt_body
from batchspec.outputs.verdict import CheckResult
from batchspec.outputs.writers import write_output

World = Any
"""The folder's conftest has it; test folders are no packages to import it from."""
TAIL = """\
outputs: {path: out/a.jsonl}
checks: [{drift: {column: result.label, max: 0.25}}]
"""


def profile(nulls: int = 0, other: int = 0, **values: int) -> Profile:
    """Return a profile of these values."""
    rows = nulls + other + sum(values.values())
    return Profile(rows=rows, nulls=nulls, values=values, other=other)


def answer(world: World, labels: str) -> None:
    """Answer the items with these labels, a letter each; ``-`` is null."""
    world.schema = {"type": "object"}
    world.write("data/in.csv", "id,body\n" + "".join(f"{n},x\n" for n in range(len(labels))))
    for number, label in enumerate(labels):
        world.say(str(number), json.dumps({"label": None if label == "-" else label}))


def run(world: World, labels: str, *, emulated: bool = False) -> CheckResult:
    """Answer, write the output, check it and leave a receipt."""
    answer(world, labels)
    loaded = world.load(TAIL)
    with world.results(loaded) as opened:
        job = world.job(loaded, emulated=emulated)
        written, problems = write_output(world.engine, opened, job)
        assert written is not None, problems
        table = opened.sources.table
        (result,), problems = run_checks(world.engine, loaded, [written], table)
        assert problems == ()
    body = receipt_body(
        spec="demo",
        path=written.path,
        sha256=written.digest,
        emulated=emulated,
        facts=Facts(batches=(), models={}),
    )
    body |= profiles_body(written.profile, written.earlier)
    keep_receipt(job.target, body, world.now())
    return result


def test_a_profile_is_what_sql_counts(world: World) -> None:
    """Values are counted as text, NULL apart, and the rest of many values together."""
    world.engine.execute(
        "CREATE TABLE t AS SELECT CASE WHEN i % 7 = 0 THEN NULL ELSE 'v' || (i % 300) END AS v"
        " FROM range(3000) r(i)"
    )
    (found,) = profiles_of(world.engine, "FROM t", ["v", "nope"]).values()
    counts = dict(world.engine.rows("SELECT v, count(*) FROM t WHERE v IS NOT NULL GROUP BY v"))
    assert found.rows == 3000
    assert found.nulls == sum(1 for n in range(3000) if n % 7 == 0)
    assert len(found.values) == MOST_VALUES
    assert all(counts[value] == rows for value, rows in found.values.items())
    assert min(found.values.values()) >= sorted(counts.values(), reverse=True)[MOST_VALUES - 1]
    assert found.other == sum(counts.values()) - sum(found.values.values())
    assert list(found.values) == sorted(found.values)
    assert read_profiles(json.loads(json.dumps({"v": found.document()}))) == {"v": found}


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        (profile(a=2, b=2), profile(a=4, b=4), 0),
        (profile(a=2, b=2), profile(a=3, b=1), 0.25),
        (profile(a=1), profile(b=1), 1),
        (profile(a=1, nulls=1), profile(a=1, other=1), 0.5),
        (profile(), profile(), 0),
        (profile(), profile(a=1), 1),
    ],
)
def test_distance_is_half_of_what_shares_changed(
    world: World, before: Profile, after: Profile, moved: float
) -> None:
    """The total variation distance; SQL by hand gives the same."""
    assert distance(before, after) == distance(after, before) == Fraction(moved)
    if before.rows and after.rows:
        rows = [
            f"('{side}', '{'-'.join(category)}', {float(share)!r}::DOUBLE)"
            for side, one in (("old", before), ("new", after))
            for category, share in one.shares().items()
        ]
        sql = (
            "SELECT sum(abs(change)) / 2 FROM (SELECT sum(CASE side WHEN 'new' THEN share"  # noqa: S608
            " ELSE -share END) AS change FROM (VALUES " + ", ".join(rows) + ")"
            " t(side, value, share) GROUP BY value)"
        )
        assert world.engine.one(sql)[0] == pytest.approx(moved)


def test_the_largest_moves_are_named() -> None:
    """In the order of their size, with NULL and the other values by name."""
    moves = largest_moves(profile(a=4, b=4, nulls=2), profile(a=1, b=4, nulls=3, other=2))
    assert moves == [
        ("a", Fraction(-3, 10)),
        ("other values", Fraction(2, 10)),
        ("NULL", Fraction(1, 10)),
    ]


def test_drift_is_measured_against_the_output_before(world: World) -> None:
    """The first output has nothing before it; a small move passes, a large one fails."""
    first = run(world, "aabb")
    assert (first.verdict, first.detail) == ("pass", "there is no earlier output to compare with")
    small = run(world, "aaab")
    assert small.verdict == "pass"
    large = run(world, "bb--")
    assert (large.verdict, large.failures) == ("error", 1)
    assert large.detail == (
        "75 % of the rows moved; at most 25 % may; a −75 %, NULL +50 %, b +25 %"  # noqa: RUF001
    )


def test_a_drift_is_not_forgotten_by_looking_again(world: World) -> None:
    """A run that changes nothing compares with what the one before it compared with."""
    run(world, "aabb")
    assert run(world, "cccc").verdict == "error"
    assert run(world, "cccc").verdict == "error"
    assert run(world, "cccb").verdict == "pass"


def test_a_fresh_checkout_compares_with_the_committed_manifest(world: World) -> None:
    """Without a receipt the manifest that was there is what is compared with."""
    run(world, "aabb")
    (world.root / "out/a.jsonl.receipt.json").unlink()
    assert run(world, "cccc").verdict == "error"


def test_an_interrupted_run_does_not_hide_a_drift(world: World) -> None:
    """When the manifest was written and the output was not, the receipt still knows better."""
    run(world, "aabb")
    first = (world.root / "out/a.jsonl").read_bytes()
    receipt = (world.root / "out/a.jsonl.receipt.json").read_bytes()
    run(world, "cccc")
    world.write("out/a.jsonl", first.decode())
    world.write("out/a.jsonl.receipt.json", receipt.decode())
    assert run(world, "cccc").verdict == "error"


def test_real_answers_are_not_compared_with_emulated_ones(world: World) -> None:
    """Emulated answers mean nothing, so nothing has drifted away from them."""
    run(world, "aabb", emulated=True)
    result = run(world, "cccc")
    assert result.verdict == "pass"
    assert "no earlier" in result.detail


def test_only_checked_columns_are_in_the_manifest(world: World) -> None:
    """A spec without drift has the manifest that it always had."""
    run(world, "aab-")
    manifest = read_manifest(world.root / "out/a.jsonl.manifest.json")
    assert manifest is not None
    assert manifest.profile == {"result.label": profile(nulls=1, a=2, b=1)}
    assert read_manifest(world.root / "nothing") is None
    answer(world, "aab-")
    world.output("out/b.jsonl")
    assert '"profile"' not in (world.root / "out/b.jsonl.manifest.json").read_text()


def test_a_limit_is_exact(world: World) -> None:
    """A quarter is a quarter: no rounding decides."""
    run(world, "aaaa")
    assert run(world, "aaab").verdict == "pass"
    assert Fraction(Decimal("0.25")) == Fraction(1, 4)
