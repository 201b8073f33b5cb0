from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.plan import pack
from batchspec.plan.hashing import custom_id
from batchspec.spec.model import BatchLimits


def asked(length: int, key_json: str = '"k"') -> pack.Entry:
    """Return a question as packing sees it."""
    return length, 1, key_json


SIZES = st.lists(st.integers(1, 400), max_size=60)


@given(st.lists(st.tuples(st.text(max_size=20), st.sampled_from([1, 9, 10, 65_535])), max_size=12))
def test_the_formula_is_the_length_of_the_real_body(texts: list[tuple[str, int]]) -> None:
    """Bytes are known exactly before anything is encoded."""
    params = [orjson.dumps({"text": text}) for text, _ in texts]
    ids = [
        custom_id("abcdefgh", bytes([n]) * 32, "zyxwvuts", attempt)
        for n, (_, attempt) in enumerate(texts)
    ]
    lines = (
        b'{"custom_id":"%s","params":%s}' % (name.encode(), part)
        for name, part in zip(ids, params, strict=True)
    )
    body = b'{"requests":[' + b",".join(lines) + b"]}"
    entries = [
        pack.entry_size(len(part), attempt)
        for part, (_, attempt) in zip(params, texts, strict=True)
    ]
    assert pack.body_size(len(entries), sum(entries)) == len(body)


@given(SIZES, st.integers(1, 20), st.integers(700, 3000), st.sets(st.integers(1, 25), max_size=12))
def test_batches_cover_everything_once_within_the_limits(
    sizes: list[int], max_requests: int, max_bytes: int, forbidden: set[int]
) -> None:
    """No question is lost, doubled or reordered, and no batch breaks a limit or shares a number."""
    questions = [asked(length=size) for size in sizes]
    limits = BatchLimits(max_requests=max_requests, max_bytes=max_bytes)
    batches, problems = pack.pack(questions, limits, forbidden)
    assert problems == ()
    assert [n for b in batches for n in range(b.start, b.stop)] == list(range(len(sizes)))
    for batch in batches:
        entries = [pack.entry_size(size, 1) for size in sizes[batch.start : batch.stop]]
        assert batch.bytes == pack.body_size(len(entries), sum(entries)) <= max_bytes
        assert 1 <= batch.requests <= max_requests
    free = [batch.requests for batch in batches if not batch.contested]
    assert len(set(free)) == len(free)
    assert not set(free) & forbidden
    assert pack.pack(questions, limits, forbidden) == (batches, problems)


@pytest.mark.parametrize(
    ("count", "forbidden", "expected"),
    [
        (25, (), [10, 9, 6]),
        (10, (10,), [9, 1]),
        (1, (), [1]),
        (0, (), []),
        (4, (4, 3), [2, 1, 1]),
    ],
)
def test_numbers_of_requests_are_kept_apart(
    count: int, forbidden: tuple[int, ...], expected: list[int]
) -> None:
    """A batch never has the number of requests of an unresolved or an earlier one if avoidable."""
    limits = BatchLimits(max_requests=10, max_bytes=100_000)
    batches, _ = pack.pack([asked(length=10)] * count, limits, forbidden)
    assert [batch.requests for batch in batches] == expected


def test_a_number_that_cannot_be_avoided_is_marked() -> None:
    """The caller learns that it has to wait."""
    batches, _ = pack.pack([asked(length=5)], BatchLimits(), {1})
    assert batches == (pack.Packed(start=0, stop=1, bytes=batches[0].bytes, contested=True),)


def test_the_hard_limits_hold_whatever_the_spec_says() -> None:
    """100,000 requests and 250 MB are never exceeded."""
    loose = BatchLimits(max_requests=10**9, max_bytes=10**12)
    by_count, _ = pack.pack((asked(length=1) for _ in range(100_002)), loose)
    assert [batch.requests for batch in by_count] == [100_000, 2]
    by_bytes, _ = pack.pack((asked(length=30_000_000) for _ in range(9)), loose)
    assert [batch.requests for batch in by_bytes] == [8, 1]


def test_requests_too_large_are_all_named() -> None:
    """Each request that fits nowhere is a problem; beyond twenty they are counted."""
    limits = BatchLimits(max_bytes=1000)
    questions = [asked(length=2000, key_json=str(n)) for n in range(23)]
    _, problems = pack.pack([asked(length=10), *questions], limits)
    assert len(problems) == 21
    assert {problem.code for problem in problems} == {"request-too-large"}
    assert "item 0 has 2,000 bytes" in problems[0].detail
    assert "3 more items" in problems[-1].detail


def test_a_batch_cut_short_for_its_number_leaves_no_batch_over_the_bytes() -> None:
    """What is moved to the next batch is weighed again before more is added."""
    limits = BatchLimits(max_bytes=1000)
    sizes = [100, 500, 500, 300]
    batches, _ = pack.pack([asked(length=size) for size in sizes], limits, {2})
    assert [batch.requests for batch in batches] == [1, 1, 2]
    assert all(batch.bytes <= 1000 for batch in batches)
