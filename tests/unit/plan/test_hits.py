"""What of shared prefixes can come from the cache at best, and why some never can."""

from __future__ import annotations

from decimal import Decimal

import pytest

from batchspec.plan.hits import Shares


def shares(requests: int, groups: int, marked: int = 1000, minimum: int | None = 512) -> Shares:
    """Return requests that share 100 tokens, and ``marked`` more within each group."""
    return Shares(
        requests=requests,
        groups=groups,
        shared=Decimal(100),
        marked=Decimal(marked),
        minimum=minimum,
    )


@pytest.mark.parametrize(
    ("found", "rate", "hits"),
    [
        (shares(10, 2), "0.3", ("0.3", "0.3")),
        (shares(10, 2), "0.98", ("0.9", "0.8")),
        (shares(10, 10), "0.98", ("0.9", "0")),
        (shares(1, 1), "0.98", ("0", "0")),
    ],
)
def test_the_first_of_each_prefix_writes_it(
    found: Shares, rate: str, hits: tuple[str, str]
) -> None:
    """No expectation of hits goes beyond what can be read."""
    assert found.hits(Decimal(rate)) == tuple(map(Decimal, hits))


def test_a_primer_warms_what_all_share_only() -> None:
    """What a group shares is as cold as without it."""
    assert shares(10, 2).hits(Decimal("0.9"), Decimal("0.3")) == (Decimal("0.9"), Decimal("0.3"))


@pytest.mark.parametrize(
    ("found", "cached", "word"),
    [
        (shares(10, 2), 1000, None),
        (shares(10, 0), 0, None),
        (shares(10, 10), 1000, "can never hit"),
        (shares(10, 2, marked=300), 0, "about 400 tokens, and the model caches from 512 on"),
        (shares(10, 2, marked=300, minimum=None), 300, None),
        (shares(1, 1), 1000, None),
    ],
)
def test_a_breakpoint_that_cannot_pay_is_told_why(
    found: Shares, cached: int, word: str | None
) -> None:
    """Too short for the model, or different in every request."""
    assert found.cached == cached
    notes = found.notes("block 1 of message 1")
    assert bool(notes) == (word is not None)
    assert word is None or word in notes[0]
    assert all("block 1 of message 1" in note for note in notes)
