from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchspec.durable import PIECE
from batchspec.plan.questions import Spool

MANY = 3000
LONG = 1000


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, MANY - 1), max_size=30), st.sampled_from([range(0), range(MANY)]))
def test_what_was_added_is_read_back_in_any_order(
    tmp_path: Path, order: list[int], onward: range
) -> None:
    """Reading onward, by jumps, or both gives the very bytes, whatever window they stand in."""
    texts = [b"%d:" % number + bytes([number % 251]) * (number % LONG) for number in range(MANY)]
    assert sum(map(len, texts)) > PIECE
    with Spool(tmp_path / "spool") as spool:
        offsets = [spool.append(text) for text in texts]
        for number in [*order, *onward, *order]:
            assert spool.read(offsets[number]) == texts[number]


def test_what_is_added_after_a_read_is_read_too(tmp_path: Path) -> None:
    """A window that ends with the file does not hide what comes later."""
    with Spool(tmp_path / "spool") as spool:
        first = spool.append(b"one")
        assert spool.read(first) == b"one"
        second = spool.append(b"two")
        assert spool.read(second) == b"two"
        with pytest.raises(EOFError, match="ends before"):
            spool.read(second + 3)
