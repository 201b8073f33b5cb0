"""The emulator's fault menu, two faults at a time: paid once, answered, and ended as documented.

The pairs come from the menu itself (`KINDS`), so that a fault that is added there is tried here.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from crash_world import DONE, World, Worlds

from batchspec.emulator.faults import KINDS

ENVIRONMENT, ITEMS_FAILED = 5, 3
STAGES = ("create", "list", "retrieve", "results")
"""The endpoints that a run calls."""
MOST_RUNS = 4
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "status": (
        {"status": 429, "retry_after": 0.1},
        {"status": 500},
        {"status": 529, "should_retry": False},
        {"status": 502, "envelope": False, "request_id": False},
        {"status": 401},
    ),
    "status_after_commit": ({"status": 500},),
    "hang_before": ({"seconds": 0.2},),
    "hang_after": ({"seconds": 0.2},),
    "slow_commit": ({"seconds": 0.2},),
    "torn_response": ({}, {"framing": "cut"}),
    "drop_every": ({"every": 3},),
    "duplicate_every": ({"every": 2},),
    "unknown_result_type": ({"every": 3},),
    "unknown_error_type": ({"every": 3},),
    "list_lag": ({"seconds": 0.2},),
    "foreign_results_url": ({"url": "http://127.0.0.1:9"},),
}
"""Options of kinds that need some, or behave differently with them."""
PAID_AGAIN = frozenset(("drop_every", "unknown_error_type"))
"""What was paid is not answered by the lines that come, so it is asked again, by batch."""
UNTOLD = frozenset(("unknown_result_type",))
"""Whether the answer was paid for is not known, so it is named and never asked again by itself."""
READS_ONLY = frozenset(("status_after_commit", "hang_after", "cut_after", "not_found"))
"""With reading calls these are what their plainer kin is: `status`, `hang_before`, `cut_before`;
with create, 404 is a refusal like `status` 401."""

Fault = dict[str, Any]


def menu() -> list[Fault]:
    """Return every fault at every stage where it makes sense."""
    found: list[Fault] = []
    for kind, entry in KINDS.items():
        needed = [name for name, default in entry.options.items() if default is ...]
        assert not needed or kind in OPTIONS, f"say in OPTIONS what {kind} needs: {needed}"
        stages = [stage for stage in STAGES if stage in entry.endpoints]
        if kind in READS_ONLY:
            stages = ["retrieve" if kind == "not_found" else "create"]
        found += [
            {"endpoint": stage, "kind": kind, **options}
            for stage in stages
            for options in OPTIONS.get(kind, ({},))
        ]
    return found


def name(fault: Fault) -> str:
    """Return a fault in a word."""
    rest = "-".join(str(value) for value in list(fault.values())[2:])
    return f"{fault['endpoint']}:{fault['kind']}" + (f"-{rest}" if rest else "")


def pairs() -> list[tuple[Fault, Fault]]:
    """Return each pair of faults, and each further option together with one of them."""
    faults = menu()
    first: dict[tuple[str, str], Fault] = {}
    for fault in faults:
        first.setdefault((fault["endpoint"], fault["kind"]), fault)
    plain = list(first.values())
    more = [fault for fault in faults if fault not in plain]
    others = itertools.islice(itertools.cycle(plain), len(plain) // 2, None)
    return [*itertools.combinations(plain, 2), *zip(more, others, strict=False)]


PAIRS = pairs()
SHORT, PARTS = 14, 40


def run_under(worlds: Worlds, *faults: Fault) -> None:
    """Run under some faults until all is answered, and judge."""
    world = worlds.make(items=6, chunk=4)
    for fault in faults:
        world.fault(**fault)
    kinds = {fault["kind"] for fault in faults}
    codes: list[int] = []
    while not codes or codes[-1] == ENVIRONMENT:
        codes.append(world.run())
        assert len(codes) <= MOST_RUNS, (faults, world.story())
    judge(world, kinds, codes[-1])
    world.figures["fault combinations"] += 1
    worlds.close(world)


def judge(world: World, kinds: set[str], code: int) -> None:
    """Assert that all is answered and paid once, or again where the answer was withheld.

    A fault of `UNTOLD` may strike no line: the other fault can leave it only a short batch.
    """
    left = world.items - world.answered()
    assert code == (ITEMS_FAILED if left else DONE), world.story()
    assert not left or kinds & UNTOLD, world.story()
    if not kinds & (UNTOLD | PAID_AGAIN):
        world.judge(world.output())
        return
    assert len(world.paid()) == world.items
    assert sum(world.paid().values()) <= (2 if kinds & PAID_AGAIN else 1) * world.items


@pytest.mark.slow
@pytest.mark.parametrize(
    "pair", PAIRS[:: len(PAIRS) // SHORT], ids=lambda pair: "+".join(map(name, pair))
)
def test_pairs_of_the_menu(worlds: Worlds, pair: tuple[Fault, Fault]) -> None:
    """A sample of the pairs."""
    run_under(worlds, *pair)


@pytest.mark.crash_long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_all_pairs_of_the_menu(worlds: Worlds, part: int) -> None:
    """Each pair of faults, at the same stage or at two."""
    for pair in PAIRS[part::PARTS]:
        run_under(worlds, *pair)
