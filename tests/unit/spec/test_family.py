"""The order of needs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.spec.document import Document
from batchspec.spec.draft import Draft
from batchspec.spec.family import family_problems, in_order
from batchspec.spec.load import parse_yaml


def document(text: str) -> Document:
    """Return a document without problems."""
    found, problems = parse_yaml(text.encode(), "x.yaml")
    assert problems == ()
    assert found is not None
    return found


def drafts(needs: Mapping[str, list[str]]) -> list[Draft]:
    """Return one draft for each name, with its needs."""
    return [
        Draft(path=f"{name}.yaml", name=name, document=document(f"needs: {wanted}"), problems=())
        for name, wanted in needs.items()
    ]


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({"a": [], "b": [], "c": []}, "abc"),
        ({"a": ["c"], "b": [], "c": ["b"]}, "bca"),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, "dbca"),
        ({"a": ["x"], "b": []}, "ab"),
        ({"a": ["b"], "b": ["a"], "c": []}, "bac"),
        ({"a": ["a"]}, "a"),
    ],
)
def test_each_spec_comes_after_what_it_needs(needs: dict[str, list[str]], expected: str) -> None:
    """Otherwise the order of files is kept; circles and strangers do not disturb it."""
    assert "".join(draft.name for draft in in_order(drafts(needs))) == expected


@given(st.integers(2, 7).flatmap(
    lambda size: st.lists(
        st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=10
    ).map(lambda pairs: (size, pairs))
))  # fmt: skip
def test_any_needs_without_circles_are_ordered(graph: tuple[int, list[tuple[int, int]]]) -> None:
    """Needs that only go from later to earlier names never form a circle."""
    size, pairs = graph
    needs: dict[str, list[str]] = {f"s{number}": [] for number in reversed(range(size))}
    for one, other in pairs:
        if one != other:
            needs[f"s{max(one, other)}"].append(f"s{min(one, other)}")
    everything = drafts(needs)
    order = [draft.name for draft in in_order(everything)]
    assert sorted(order) == sorted(needs)
    assert all(
        order.index(wanted) < order.index(name) for name, all_ in needs.items() for wanted in all_
    )
    assert not list(family_problems(everything))


def test_each_circle_is_reported_once() -> None:
    """Two circles are two problems, however long they are."""
    needs = {"a": ["b"], "b": ["c"], "c": ["a"], "d": ["e", "a"], "e": ["d"]}
    found = [p.summary for p in family_problems(drafts(needs)) if p.code == "needs-circle"]
    assert found == [
        "the needs form a circle: a needs b needs c needs a",
        "the needs form a circle: d needs e needs d",
    ]
